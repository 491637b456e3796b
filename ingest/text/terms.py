"""Terms as data: what a lexicon's YAML file says, read and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ingest.options import Option
from ingest.parsing import SafeLoader, parse_yaml
from ingest.text.spelling import british, conjugated, plural

_FORBIDDEN_IN_NAMES = re.compile(r"[,;:\"\n]|^\s|\s$|\s\s|^$")
_ENTRY_KEYS = frozenset({"also", "abbr", "from", "hot"})
_FILE_KEYS = frozenset({"about", "source", "sources", "terms"})


class Category(Option):
    """What kind of thing a term names."""

    PROCEDURE = "procedure"
    TECHNIQUE = "technique"
    PHASE = "phase"
    ACTION = "action"
    INSTRUMENT = "instrument"
    MEDICATION = "medication"
    ANATOMY = "anatomy"
    DISEASE = "disease"
    COMPLICATION = "complication"


@dataclass(frozen=True, kw_only=True, slots=True)
class Term:
    """One term of a lexicon."""

    name: str
    """Canonical writing."""
    category: Category
    variants: tuple[str, ...] = ()
    """Other ways to say or write it."""
    abbreviations: tuple[str, ...] = ()
    """Matched with regard to case."""
    source: str = ""
    """Where the term comes from; the file's default if it names none of its own."""
    hot: bool = False
    """Whether the recogniser is prompted with it."""


class _Strict(SafeLoader):  # type: ignore[misc]
    """YAML without repeated keys, of which the plain loader keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, or an error at the line of a repeated key."""
        seen: set[str] = set()
        for key in (key for key, _value in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.YAMLError(f"{key.value!r} stands twice (line {key.start_mark.line + 1})")
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_terms(path: Path) -> tuple[Term, ...]:
    """The terms of one YAML file: `source` (default), `sources` (legend), `terms` (category -> name -> entry).

    An entry is empty or holds `also` (variants), `abbr` (abbreviations), `from` (source) and `hot`. Raises ValueError
    in one line naming file and term.
    """
    try:
        read = parse_yaml(path.read_text(encoding="utf-8"), _Strict)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as YAML ({' '.join(str(error).split())}): mend the file") from error
    if not isinstance(read, Mapping) or not isinstance(read.get("terms"), Mapping) or set(read) - _FILE_KEYS:
        raise ValueError(f"{path}: expected a mapping of {', '.join(sorted(_FILE_KEYS))} with `terms` among them")
    legend = read.get("sources") or {}
    try:
        return tuple(
            _term(name, category, entry or {}, read.get("source", ""), legend)
            for category, entries in read["terms"].items()
            for name, entry in _entries(category, entries)
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _entries(category: object, entries: object) -> Iterable[tuple[object, Any]]:
    if category not in [one.value for one in Category] or not isinstance(entries, Mapping):
        raise ValueError(f"terms: {category!r}: expected a mapping under {', '.join(Category)}")
    return entries.items()


def _term(name: object, category: str, entry: Any, source: str, legend: Mapping[str, str]) -> Term:
    if not isinstance(name, str) or _FORBIDDEN_IN_NAMES.search(name):
        raise ValueError(
            f"term {name!r}: expected words without comma, colon, semicolon, quote (put numbers in quotes)"
        )
    if not isinstance(entry, Mapping) or set(entry) - _ENTRY_KEYS:
        raise ValueError(f"term {name!r}: expected a mapping of {', '.join(sorted(_ENTRY_KEYS))}")
    origin = entry.get("from", source)
    if origin not in legend:
        raise ValueError(f"term {name!r}: source {origin!r} is not in the legend `sources` of the file")
    hot = entry.get("hot", False)
    if not isinstance(hot, bool):
        raise ValueError(f"term {name!r}: hot: {hot!r} given, expected true or false")
    return Term(
        name=name,
        category=Category(category),
        variants=_writings(name, "also", entry),
        abbreviations=_writings(name, "abbr", entry),
        source=origin,
        hot=hot,
    )


def _writings(name: str, key: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    listed = entry.get(key, [])
    if not isinstance(listed, list) or not all(isinstance(one, str) and re.search(r"[^\W_]", one) for one in listed):
        raise ValueError(f"term {name!r}: {key}: {listed!r} given, expected a list of words (put numbers in quotes)")
    return tuple(listed)


def derived_writings(term: Term) -> Iterator[str]:
    """Forms that follow by rule: plurals, endings of verbs, British spellings, eponyms without their `'s`."""
    for written in (term.name, *term.variants):
        forms = conjugated(written) if term.category is Category.ACTION else (plural(written),)
        for form in (written, *forms):
            yield from (form, british(form), re.sub(r"['\u2019]s\b", "", form))
