"""What an index holds at one moment, in memory or mapped; a change makes another one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from ophclip.search.catalogue import Catalogue
from ophclip.search.entries import Level, VideoEntry
from ophclip.search.filters import Facets
from ophclip.search.vectors import SpanTable, open_table


class Contents:
    """Videos by id, in order, and the spans of every level."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        with catalogue.unchanging():
            self.by_id: Mapping[str, VideoEntry] = catalogue.videos()
            self.tables: Mapping[Level, SpanTable] = {level: open_table(catalogue, level, folder) for level in Level}
        self.videos = tuple(self.by_id.values())
        self._owner_of = {video_id: owner for owner, video_id in enumerate(self.by_id)}

    @cached_property
    def facets(self) -> Facets:
        """The videos' attributes."""
        return Facets(self.videos)

    def owner(self, video_id: str) -> int:
        """The place of a video among all.

        Raises:
            ValueError: it is not there.
        """
        if video_id not in self._owner_of:
            raise ValueError(f"{video_id!r}: no such video in the index; `videos()` lists those that are")
        return self._owner_of[video_id]
