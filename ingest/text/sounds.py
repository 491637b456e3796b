"""A lexicon by how its terms sound: which writing is the nearest to a span of misheard words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import jellyfish
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ingest.text.lexicon import Term

_SHORTEST_WRITING = 4
_SHORTEST_CODE = 2
_SAME, _NEAR = 0.7, 0.8
"""How alike the letters of two spellings of one name are: of equal sound, and of nearly equal sound."""
_FOLDED = str.maketrans({"0": "T", "M": "N"})
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Writing:
    """One way to write a term, with its letters and its code of sounds (Metaphone, words run together)."""

    text: str
    """What is written for it: the name, where the variant is only another spelling of it."""
    letters: str
    code: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a span of words is to a writing, both figures from 0 to 1."""

    writing: Writing
    phonetic: float
    spelling: float


def letters_of(text: str) -> str:
    """The letters of a text in lower case, run together."""
    return "".join(_LETTERS.findall(text.lower()))


@lru_cache(maxsize=65_536)
def code_of(letters: str) -> str:
    """The Metaphone code of letters that are run together; sounds that a recogniser mixes up are folded into one."""
    code = str(jellyfish.metaphone(letters)).translate(_FOLDED)
    return code[:1] + code[1:].replace("Y", "")


def phonetic_likeness(one: str, other: str) -> float:
    """How much of the sound of two runs of letters agrees, 0 to 1."""
    return Levenshtein.normalized_similarity(code_of(one), code_of(other))


class Sounds:
    """The writings of a lexicon, to be searched by sound. Immutable after it is built."""

    def __init__(self, terms: Sequence[Term]) -> None:
        writings: dict[str, Writing] = {}
        words: set[str] = set()
        spellings: set[str] = set()
        for term in terms:
            for text in _spoken(term):
                letters = letters_of(text)
                respelled = text != term.name and is_respelling(text, term.name)
                if respelled:
                    spellings.add(" ".join(_LETTERS.findall(text.lower())))
                else:
                    words.update(word.lower() for word in _LETTERS.findall(text))
                writing = Writing(term.name if respelled else text, letters, code_of(letters))
                if len(letters) >= _SHORTEST_WRITING and len(writing.code) >= _SHORTEST_CODE:
                    writings.setdefault(letters, writing)
        self.words = frozenset(words)
        """Every word of the lexicon in lower case, but for mere spellings of a name."""
        self.spellings = frozenset(spellings)
        """Words of the variants that only spell a name in another way ("cysto tome", "cystatome")."""
        self._by_code: dict[str, list[Writing]] = {}
        for writing in writings.values():
            self._by_code.setdefault(writing.code, []).append(writing)
        self._codes: dict[int, list[str]] = {}
        for code in self._by_code:
            self._codes.setdefault(len(code), []).append(code)

    def like(self, letters: str, edits_per_sound: float) -> Iterator[Likeness]:
        """Writings whose code is at most so many edits away for each sound of the span."""
        code = code_of(letters)
        most = int(len(code) * edits_per_sound)
        for length in range(len(code) - most, len(code) + most + 1):
            codes = self._codes.get(length, ())
            found = process.extract(code, codes, scorer=Levenshtein.distance, score_cutoff=most, limit=None)
            for other, edits, _place in found:
                phonetic = 1.0 - edits / max(len(code), len(other))
                for writing in self._by_code[other]:
                    yield Likeness(writing, phonetic, Levenshtein.normalized_similarity(letters, writing.letters))


def is_respelling(text: str, name: str) -> bool:
    """Whether a variant only spells a name in another way: in no fewer words, sound and letters alike."""
    parts, letters, meant = len(text.split()), letters_of(text), letters_of(name)
    if parts < len(name.split()):
        return False
    edits = Levenshtein.distance(code_of(letters), code_of(meant))
    return edits <= 1 and Levenshtein.normalized_similarity(letters, meant) >= (_NEAR if edits else _SAME)


def _spoken(term: Term) -> Iterator[str]:
    """Name and variants that are words: no abbreviations, spelled-out letters or numbers."""
    short = {letters_of(text) for text in term.abbreviations}
    for text in (term.name, *term.variants):
        one_letter = any(len(word) == 1 for word in text.split())
        if not one_letter and letters_of(text) not in short and not any(letter.isdigit() for letter in text):
            yield text


@lru_cache(maxsize=4)
def sounds_of(terms: tuple[Term, ...]) -> Sounds:
    """The terms by sound; built once for each lexicon."""
    return Sounds(terms)
