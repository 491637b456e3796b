"""Structured titles: what title and description say of surgery, phases and instruments, as text that parses back.

The attributes come from a list of terms (`surgical_terms.yaml`), the wording from the title itself. A vague title
("Case 12", "Live surgery") is kept and known as vague.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

import yaml

from ingest.records import Metadata

_KINDS = ("surgery", "phase", "instrument")
_ADDRESS = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\S+")
_TAG = re.compile(r"[#@][\w-]+")
_QUALITY = re.compile(
    r"[\[(]\s*(?:full\s+)?(?:hd|uhd|4k|8k|1080p|720p|video|official|unedited)\s*[\])]|\b(?:4k|1080p|720p)\b",
    re.IGNORECASE,
)
_MEDIA_SUFFIX = re.compile(r"\.(?:mp4|mkv|mov|avi|webm|m4v|mpg|ts)$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class StructuredTitle:
    """What is known of a whole video in words. Attributes hold canonical names, in order of mention."""

    title: str
    surgery: tuple[str, ...] = ()
    phase: tuple[str, ...] = ()
    instrument: tuple[str, ...] = ()

    @property
    def vague(self) -> bool:
        """Whether nothing here says what is to be seen."""
        if self.surgery or self.phase or self.instrument:
            return False
        words = re.findall(r"[^\W\d_]{2,}", self.title.lower())
        return all(word in _terms().vague for word in words)


@dataclass(frozen=True, slots=True)
class _Terms:
    names: MappingProxyType[str, tuple[str, str]]
    """From each way of writing to (kind, canonical name)."""
    pattern: re.Pattern[str]
    vague: frozenset[str]


@lru_cache(maxsize=1)
def _terms() -> _Terms:
    listed = yaml.safe_load((resources.files("ingest.text") / "surgical_terms.yaml").read_text(encoding="utf-8"))
    names = {
        writing: (kind, name)
        for kind in _KINDS
        for name, synonyms in listed[kind].items()
        for writing in (name, *synonyms)
    }
    longest_first = sorted(names, key=lambda writing: (-len(writing), writing))
    pattern = re.compile(r"(?<![\w])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![\w])")
    return _Terms(MappingProxyType(names), pattern, frozenset(listed["vague"]))


def structure(metadata: Metadata) -> StructuredTitle:
    """Read a title and its description into a structured title. Equal metadata give equal titles."""
    title = clean_title(metadata.title)
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for text in (title, _plain(metadata.description)):
        for match in _terms().pattern.finditer(text.lower()):
            kind, name = _terms().names[match.group()]
            if name not in found[kind]:
                found[kind].append(name)
    return StructuredTitle(title=title, **{kind: tuple(names) for kind, names in found.items()})


def clean_title(title: str) -> str:
    """A title without addresses, tags, picture quality, file endings and ornament, in one line."""
    text = _MEDIA_SUFFIX.sub("", _plain(title))
    text = _QUALITY.sub(" ", text)
    text = re.sub(r"[_|;:]+", " ", text)
    text = "".join(letter for letter in text if unicodedata.category(letter)[0] not in "CS" or letter in "+<>=")
    text = re.sub(r"\s*([!?.])[!?.]+", r"\1", text)
    return re.sub(r"\s+", " ", text).strip(" -,.")


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).replace("\n", " ").replace("\r", " ").replace("\t", " ")
    return _TAG.sub(" ", _ADDRESS.sub(" ", folded))


def to_text(title: StructuredTitle) -> str:
    """The text that training sees: `TITLE; surgery: A, B; phase: C; instrument: D`, empty if nothing is known."""
    parts = [title.title] if title.title else []
    for kind in _KINDS:
        names: tuple[str, ...] = getattr(title, kind)
        if names:
            parts.append(f"{kind}: {', '.join(names)}")
    return "; ".join(parts)


def from_text(text: str) -> StructuredTitle:
    """The inverse of `to_text` for titles that `structure` made."""
    title = ""
    attributes: dict[str, tuple[str, ...]] = {}
    for part in text.split("; ") if text else []:
        kind, colon, names = part.partition(": ")
        if colon and kind in _KINDS:
            attributes[kind] = tuple(names.split(", "))
        else:
            title = part
    return StructuredTitle(title=title, **attributes)
