"""Instruments by every name that the prompts and the lexicon of eye surgery know, and what a search box may suggest.

The prompts say which instruments there are and what is said of them; a term of the lexicon that shares a name with one
of them brings it all its other names. Terms of the lexicon that no prompt knows are instruments of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from ingest.text.lexicon import Category, Lexicon, Term, load_lexicon
from ophclip.evaluation.prompts import PromptClass, builtin_prompts, normal

_PROMPTS = "instruments"
_SUGGESTED = (Category.TECHNIQUE, Category.PHASE, Category.PROCEDURE)
"""Beside instruments: what else can be seen in a window."""
_LITTLE_WORDS = frozenset({"a", "an", "the", "with", "using", "show", "find", "me", "my", "surgical", "instrument"})


def instrument_named(text: str) -> str | None:
    """The label of the instrument whose name `text` is, whatever the name, the case and the number; else None.

    Articles and the like may stand beside it. A sentence that mentions an instrument says more than its name does and
    names none.
    """
    mentions = _instruments().find(text)
    if len(mentions) != 1:
        return None
    (only,) = mentions
    beside = normal(f"{text[: only.start]} {text[only.end :]}").split()
    return only.term.name if _LITTLE_WORDS.issuperset(beside) else None


def prompts_of(label: str) -> PromptClass | None:
    """What the prompts say of an instrument by its label, None where only the lexicon knows it."""
    return _described().get(label)


def suggestions(prefix: str, limit: int = 8) -> list[str]:
    """Names of instruments, techniques, phases and procedures in which a word begins with `prefix`, at most `limit`.

    Names that begin with it stand first; among them labels that the prompts describe, then other labels of instruments,
    then all other names, short ones first. Without a prefix: the labels that the prompts describe.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"suggestions: limit is {limit} and must be at least 1")
    wanted = normal(prefix)
    if not wanted:
        return list(_described())[:limit]
    found = [one for one in _suggestible() if f" {wanted}" in f" {one[0]}"]
    found.sort(key=lambda one: (not one[0].startswith(wanted), one[1], len(one[0]), one[0]))
    return [written for _, _, written in found[:limit]]


@cache
def _described() -> dict[str, PromptClass]:
    return {entry.label: entry for entry in builtin_prompts(_PROMPTS).classes}


@cache
def _instruments() -> Lexicon:
    """Every instrument as a term: its label and all its other names."""
    terms = load_lexicon([str(_lexicon_folder() / "instruments.yaml")]).terms
    taken: set[str] = set()
    joined = list(_of_prompts(terms, taken))
    joined += [
        Term(name=term.name, category=Category.INSTRUMENT, variants=_new(_others(term), taken))
        for term in terms
        if _new((term.name,), taken)
    ]
    return Lexicon(tuple(joined))


def _of_prompts(terms: Iterable[Term], taken: set[str]) -> Iterator[Term]:
    """The classes of the prompts; their own names go before what the lexicon adds to any of them."""
    classes = tuple(_described().values())
    owner = {key: entry.label for entry in classes for key in map(_key, (entry.label, *entry.name, *entry.synonyms))}
    taken.update(owner)
    added: dict[str, list[str]] = {entry.label: [] for entry in classes}
    for term in terms:
        writings = (term.name, *_others(term))
        label = next((owner[key] for key in map(_key, writings) if key in owner), None)
        if label is not None:
            added[label] += _new(writings, taken)
    for entry in classes:
        own = {_key(name): name for name in (*entry.name, *entry.synonyms) if _key(name) != _key(entry.label)}
        yield Term(name=entry.label, category=Category.INSTRUMENT, variants=(*own.values(), *added[entry.label]))


def _others(term: Term) -> tuple[str, ...]:
    """Variants and abbreviations: who types a query does not mind its case."""
    return (*term.variants, *term.abbreviations)


def _new(writings: Iterable[str], taken: set[str]) -> tuple[str, ...]:
    """Those that name nothing yet; they do from now on."""
    fresh = {_key(one): one for one in writings if _key(one) not in taken}
    taken.update(fresh)
    return tuple(fresh.values())


def _key(name: str) -> str:
    return re.sub(r"['\u2019]", "", normal(name))


@cache
def _suggestible() -> tuple[tuple[str, int, str], ...]:
    """(as compared, rank, as written) of every name, each once."""
    found: dict[str, tuple[str, int, str]] = {}
    for term in _instruments().terms:
        rank = 1 if prompts_of(term.name) is None else 0
        for written in (term.name, *term.variants):
            found.setdefault(normal(written), (normal(written), rank if written == term.name else 2, written))
    for term in load_lexicon(["ophthalmology"]).terms:
        if term.category in _SUGGESTED:
            found.setdefault(normal(term.name), (normal(term.name), 2, term.name))
    return tuple(found.values())


def _lexicon_folder() -> Path:
    return Path(str(resources.files("ingest"))) / "lexicons" / "ophthalmology"
