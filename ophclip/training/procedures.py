"""What retrieval is measured by while training: whether a narrated video and what it retrieved are of one procedure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ingest.shards import ShardReader
from ingest.text.lexicon import Category, Lexicon, load_lexicon, shipped_lexicons


class Procedures:
    """The procedures that the titles of a corpus name, as far as the shipped lexicons know them."""

    def __init__(self, reader: ShardReader) -> None:
        self._reader = reader
        self._named: dict[str, frozenset[str]] = {}

    def of(self, video_id: str) -> frozenset[str]:
        """Canonical names; empty where the title names none."""
        if video_id not in self._named:
            mentions = _lexicon().find(self._reader.text(video_id))
            names = frozenset(one.term.name for one in mentions if one.term.category is Category.PROCEDURE)
            self._named[video_id] = names
        return self._named[video_id]

    def agreements(self, pairs: Iterable[tuple[str, str]]) -> list[bool]:
        """Whether the two videos of a pair name a procedure in common, for each pair of which both name one."""
        named = ((self.of(one), self.of(other)) for one, other in pairs)
        return [bool(one & other) for one, other in named if one and other]


@lru_cache(maxsize=1)
def _lexicon() -> Lexicon:
    return load_lexicon(shipped_lexicons())
