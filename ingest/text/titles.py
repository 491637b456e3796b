"""Structured titles: what a whole video shows, as canonical terms with evidence, and as one sentence that parses back.

The attributes come from a lexicon, the wording from the title itself. A vague title ("Case 12", "Live surgery") is
kept and known as vague.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from ingest.records import VIDEO_SUFFIXES, Chapter, Evidence, Metadata, Segment
from ingest.text.evidence import Finding, findings, without_noise
from ingest.text.lexicon import Lexicon

MAX_VALUES = 8
"""An attribute holds so many values at most, the objective one: those of title, description and chapters first, then
the most often said."""

_QUALITY = re.compile(
    r"[\[(]\s*(?:full\s+)?(?:hd|uhd|4k|8k|1080p|720p|video|official|unedited)\s*[\])]|\b(?:4k|1080p|720p)\b",
    re.IGNORECASE,
)
_MEDIA_SUFFIX = re.compile(rf"(?:{'|'.join(map(re.escape, VIDEO_SUFFIXES))})$", re.IGNORECASE)
_BREAKS_VALUES = re.compile(r"[,;:\"\s]+")
_NO_PROCEDURE = "a surgical video"
_LEADS = {
    "procedure": "a video of ",
    "technique": "by ",
    "eye_condition": "for ",
    "instruments": "with ",
    "medications": "giving ",
    "objective": "in order to ",
    "phases": "showing ",
}
"""How each clause of the sentence begins; none begins another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StructuredTitle:
    """What is known of a whole video in words. Attributes hold canonical names, in order of mention.

    Raises ValueError in one line if a title or value would break the sentence (`clean_title` and `clean_value` mend).
    """

    title: str = ""
    procedure: tuple[str, ...] = ()
    technique: tuple[str, ...] = ()
    eye_condition: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    medications: tuple[str, ...] = ()
    objective: tuple[str, ...] = ()
    """What the operation is for, beginning with a verb: `reduce intraocular pressure`."""
    phases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if re.search(r"[;:\n]|^\s|\s$|\.$", self.title):
            raise ValueError(
                f"title {self.title!r}: expected one line without colon, semicolon and full stop at the end"
            )
        for name, value in self.values():
            if not value or clean_value(value) != value:
                raise ValueError(
                    f"title: {name}: {value!r} given, expected words without comma, colon, semicolon, quote"
                )

    def values(self) -> tuple[tuple[str, str], ...]:
        """Every (attribute, value), in the order of the fields."""
        return tuple((name, value) for name in _LEADS for value in getattr(self, name))

    @property
    def vague(self) -> bool:
        """Whether nothing here says what is to be seen."""
        words = re.findall(r"[^\W\d_]{2,}", self.title.lower())
        return not self.values() and all(word in _vague_words() for word in words)


def structure(
    metadata: Metadata,
    lexicon: Lexicon,
    chapters: Sequence[Chapter] = (),
    narration: Sequence[Segment] = (),
    *,
    min_mentions: int = 2,
) -> tuple[StructuredTitle, tuple[Evidence, ...]]:
    """Read title, description, chapters and narration into a structured title with the evidence of every value.

    What is denied, lies in the past or is only feared is no evidence. A term of the narration counts if at least
    `min_mentions` sentences hold it, or one that says it is being done; a procedure only if nothing written names one.
    Equal input gives equal output.
    """
    found = findings(metadata, lexicon, chapters, narration)
    attributes: dict[str, tuple[str, ...]] = {}
    evidence: list[Evidence] = []
    for name in _LEADS:
        chosen = _chosen(name, [one for one in found if one.evidence.attribute == name], min_mentions)
        attributes[name] = tuple(chosen)
        evidence += [one.evidence for ones in chosen.values() for one in _first_of_each_origin(ones)]
    return StructuredTitle(title=clean_title(metadata.title), **attributes), tuple(evidence)


def _chosen(attribute: str, found: Iterable[Finding], min_mentions: int) -> dict[str, list[Finding]]:
    """The values that have enough evidence, in order of mention."""
    by_value: dict[str, list[Finding]] = {}
    for one in found:
        by_value.setdefault(one.evidence.value, []).append(one)
    enough = {
        value: ones for value, ones in by_value.items() if len(ones) >= min_mentions or any(one.sure for one in ones)
    }
    written = {value for value, ones in enough.items() if any(one.evidence.origin != "narration" for one in ones)}
    if attribute == "procedure" and written:
        return {value: ones for value, ones in enough.items() if value in written}
    most = 1 if attribute == "objective" else MAX_VALUES
    best = sorted(enough, key=lambda value: (value not in written, -len(enough[value])))[:most]
    return {value: ones for value, ones in enough.items() if value in best}


def _first_of_each_origin(found: Iterable[Finding]) -> list[Finding]:
    first: dict[str, Finding] = {}
    for one in found:
        first.setdefault(one.evidence.origin, one)
    return list(first.values())


def to_text(title: StructuredTitle) -> str:
    """One sentence, empty if nothing is known: `TITLE: a video of A, B; by C; for D; with E; giving F; ...`."""
    clauses = [lead + ", ".join(getattr(title, name)) for name, lead in _LEADS.items() if getattr(title, name)]
    if not clauses:
        return title.title
    if not title.procedure:
        clauses.insert(0, _NO_PROCEDURE)
    return (f"{title.title}: " if title.title else "") + "; ".join(clauses) + "."


def from_text(text: str) -> StructuredTitle:
    """The inverse of `to_text`. Raises ValueError in one line for text that it did not write."""
    if not text.endswith("."):
        return StructuredTitle(title=text)
    title, colon, sentence = text[:-1].rpartition(": ")
    attributes: dict[str, tuple[str, ...]] = {}
    for clause in (sentence if colon else text[:-1]).split("; "):
        if clause == _NO_PROCEDURE:
            continue
        name = next((name for name, lead in _LEADS.items() if clause.startswith(lead)), None)
        if name is None:
            raise ValueError(f"{clause!r} is no clause of a structured title: expected text that to_text wrote")
        attributes[name] = tuple(clause.removeprefix(_LEADS[name]).split(", "))
    return StructuredTitle(title=title, **attributes)


def clean_title(title: str) -> str:
    """A title without addresses, tags, picture quality, file endings and ornament, in one line."""
    text = _MEDIA_SUFFIX.sub("", without_noise(title))
    text = _QUALITY.sub(" ", text)
    text = re.sub(r"[_|;:]+", " ", text)
    text = "".join(letter for letter in text if unicodedata.category(letter)[0] not in "CS" or letter in "+<>=")
    text = re.sub(r"\s*([!?.])[!?.]+", r"\1", text)
    return re.sub(r"\s+", " ", text).strip(" -,.")


def clean_value(value: str) -> str:
    """Words that can be an attribute's value: without comma, colon, semicolon, quote and full stop at the end."""
    return _BREAKS_VALUES.sub(" ", value).strip(" .")


@lru_cache(maxsize=1)
def _vague_words() -> frozenset[str]:
    return frozenset((resources.files("ingest.text") / "vague_words.txt").read_text(encoding="utf-8").split())
