"""Surgical terms as data: YAML files of canonical terms, how they are spoken and abbreviated, and where they come from.

Shipped: `ophthalmology` and `laparoscopy` (`ingest/lexicons/`); any other speciality is a file of the same form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path

from ingest.text.spelling import spelled
from ingest.text.terms import Category, Term, derived_writings, read_terms

__all__ = ["Category", "Lexicon", "Mention", "Term", "load_lexicon", "shipped_lexicons"]

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_GAP = re.compile(r"\s{1,2}|[-\u2010\u2011\u2013/:.&]")
"""What may stand between two words of one term: never the end of a clause."""
_Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """A term as it stands in a text: `text[start:end]`."""

    term: Term
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms of which no two share a writing. Raises ValueError in one line if two do."""

    terms: tuple[Term, ...]
    _folded: dict[_Key, Term] = field(init=False, repr=False, compare=False, default_factory=dict)
    """From the words of names and variants, folded, to the term."""
    _exact: dict[_Key, Term] = field(init=False, repr=False, compare=False, default_factory=dict)
    """From the words of abbreviations, as written, to the term."""
    _longest: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)
    """From a first word, folded, to the most words of a writing that begins with it."""

    def __post_init__(self) -> None:
        for term in self.terms:
            for writing in (term.name, *term.variants):
                _enter(self._folded, _words(writing, fold=True), term)
            for writing in term.abbreviations:
                _enter(self._exact, _words(writing, fold=False), term)
        for term in self.terms:
            for writing in derived_writings(term):
                self._folded.setdefault(_words(writing, fold=True), term)
            for writing in map(spelled, term.abbreviations):
                self._exact.setdefault(_words(writing, fold=False), term)
            for writing in term.abbreviations:
                self._exact.setdefault(_words(writing + "s", fold=False), term)
        for key in (*self._folded, *self._exact):
            first = _fold(key[0])
            self._longest[first] = max(self._longest.get(first, 0), len(key))

    def find(self, text: str) -> tuple[Mention, ...]:
        """Every term in `text` as whole words, in order; where two overlap the longer stands, then the earlier.

        Names and variants are found in any case, with plurals, verb endings and British spellings; abbreviations in
        their own case, also spelled letter by letter.
        """
        free = [True] * len(text)
        kept: list[Mention] = []
        for mention in sorted(self._candidates(text), key=lambda one: (one.start - one.end, one.start)):
            if all(free[mention.start : mention.end]):
                free[mention.start : mention.end] = [False] * (mention.end - mention.start)
                kept.append(mention)
        return tuple(sorted(kept, key=lambda one: one.start))

    def _candidates(self, text: str) -> Iterator[Mention]:
        tokens = list(_TOKEN.finditer(text))
        exact = [_plain(token.group()) for token in tokens]
        folded = [_fold(word) for word in exact]
        joined = [_GAP.fullmatch(text, one.end(), two.start()) is not None for one, two in pairwise(tokens)]
        for first, word in enumerate(folded):
            for last in range(first, min(first + self._longest.get(word, 0), len(tokens))):
                if last > first and not joined[last - 1]:
                    break
                key = slice(first, last + 1)
                term = self._exact.get(tuple(exact[key])) or self._folded.get(tuple(folded[key]))
                if term is not None:
                    yield Mention(term=term, start=tokens[first].start(), end=tokens[last].end())

    def names(self, category: Category) -> tuple[str, ...]:
        """Canonical names of a category, in the order of the files."""
        return tuple(term.name for term in self.terms if term.category is category)

    @property
    def hot(self) -> tuple[str, ...]:
        """Names that the recogniser is prompted with, in the order of the files."""
        return tuple(term.name for term in self.terms if term.hot)


def load_lexicon(names: Sequence[str]) -> Lexicon:
    """Join the lexicons of these names: shipped ones, or paths of YAML files.

    A term that two of them hold is one term with the writings of both. Raises ValueError in one line for a lexicon
    that is not there, a malformed file and a writing that two terms claim.
    """
    joined: dict[tuple[Category, str], Term] = {}
    for name in dict.fromkeys(names):
        for term in _shipped(name) if _is_shipped(name) else _of_path(name):
            before = joined.get((term.category, term.name))
            joined[term.category, term.name] = _merged(before, term) if before else term
    try:
        return Lexicon(tuple(joined.values()))
    except ValueError as error:
        raise ValueError(f"lexicons {', '.join(names)}: {error}") from error


def shipped_lexicons() -> tuple[str, ...]:
    """Names of the lexicons that come with this package."""
    return tuple(sorted(path.stem for path in _shipped_root().iterdir() if path.is_dir() or path.suffix == ".yaml"))


def _shipped_root() -> Path:
    return Path(str(resources.files("ingest"))) / "lexicons"


def _is_shipped(name: str) -> bool:
    return name in shipped_lexicons()


@lru_cache(maxsize=8)
def _shipped(name: str) -> tuple[Term, ...]:
    folder = _shipped_root() / name
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else [folder.with_suffix(".yaml")]
    return tuple(term for file in files for term in read_terms(file))


def _of_path(name: str) -> tuple[Term, ...]:
    path = Path(name)
    if not path.is_file():
        shipped = ", ".join(shipped_lexicons())
        raise ValueError(
            f"lexicon {name!r}: no such file and not shipped; expected {shipped} or the path of a YAML file"
        )
    return read_terms(path)


def _merged(one: Term, two: Term) -> Term:
    return Term(
        name=one.name,
        category=one.category,
        variants=tuple(dict.fromkeys((*one.variants, *two.variants))),
        abbreviations=tuple(dict.fromkeys((*one.abbreviations, *two.abbreviations))),
        source=one.source,
        hot=one.hot or two.hot,
    )


def _enter(index: dict[_Key, Term], key: _Key, term: Term) -> None:
    holder = index.setdefault(key, term)
    if holder is not term:
        raise ValueError(
            f"{' '.join(key)!r} means {holder.name!r} ({holder.category}) and {term.name!r} ({term.category}): "
            "keep it with one of them"
        )


@lru_cache(maxsize=65536)
def _plain(word: str) -> str:
    """A word without apostrophes and accents."""
    bare = word.replace("'", "").replace("\u2019", "")
    return "".join(one for one in unicodedata.normalize("NFKD", bare) if not unicodedata.combining(one))


@lru_cache(maxsize=65536)
def _fold(word: str) -> str:
    return _plain(word).casefold()


def _words(writing: str, *, fold: bool) -> _Key:
    words = tuple(_plain(token) for token in _TOKEN.findall(writing))
    if not words:
        raise ValueError(f"{writing!r} holds no word")
    return tuple(_fold(word) for word in words) if fold else words
