"""The counterpart of a text: the same text with one word or term exchanged for one that contradicts it.

"I inject viscoelastic" becomes "I aspirate viscoelastic", or "I inject trypan blue". What contradicts what is data
(`counterparts.yaml`); terms are found with the lexicon. Endings, plurals, capitals and the article stay right.
"""

from __future__ import annotations

import random as chance
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import yaml

from ingest.text.lexicon import Category, Lexicon, Mention
from ingest.text.spelling import conjugated, plural

_NAMES = frozenset(Category) - {Category.ACTION, Category.ANATOMY}
"""Inside a term of these kinds a word is part of a name: that of "posterior capsule rupture" is no direction."""
_ARTICLE = re.compile(r"\b(an?)\s+$", re.IGNORECASE)
_LAST_WORD = re.compile(r"([\w'\u2019]+)\s+$")
_SENTENCE_START = re.compile(r"(?:^|[.!?])\s*$")
_SPOKEN_AN = re.compile(r"[aeioAEIO]|[uU](?!ni|s[ei]|t[ri])|[FHLMNRSX](?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One way to contradict a text: `written` in the place of `text[start:end]`."""

    start: int
    end: int
    written: str

    def made_in(self, text: str) -> str:
        """The text with the exchange made."""
        return text[: self.start] + self.written + text[self.end :]


class _Meaning(NamedTuple):
    """What a written form may stand for: whether only after certain words, and what contradicts it in the same form."""

    needs_cue: bool
    opposites: tuple[str, ...]


class Opposites:
    """What contradicts what, ready to be looked for in texts."""

    def __init__(self, lexicon: Lexicon) -> None:
        listed: Mapping[str, Any] = yaml.safe_load(
            (resources.files("ingest.text") / "counterparts.yaml").read_text(encoding="utf-8")
        )
        self._lexicon = lexicon
        self._cues = frozenset(listed["before_verbs"])
        self._meanings = _meanings(listed)
        self._terms = {
            word: tuple(other[0] for other in group if other is not member)
            for group in map(_members, listed["terms"])
            for member in group
            for word in member
        }
        longest_first = sorted(self._meanings, key=len, reverse=True)
        written = "|".join(re.escape(form).replace(r"\ ", r"\s+") for form in longest_first)
        self._written = re.compile(rf"(?<![\w'-])(?a:{written})(?![\w-]|'\w)", re.IGNORECASE)

    def exchanges(self, text: str) -> tuple[Exchange, ...]:
        """Every exchange of one word or term that contradicts `text`, by place; none twice.

        What the text says already is not written once more: "the anterior and the posterior capsule" is left alone.
        """
        mentions, said = self._lexicon.find(text), text.casefold()
        found = dict.fromkeys((*self._of_terms(text, mentions), *self._of_words(text, mentions)))
        fitting = (one for one in found if one.written.casefold() not in said and _article_stays(text, one))
        return tuple(sorted(fitting, key=lambda one: (one.start, one.end)))

    def _of_terms(self, text: str, mentions: Iterable[Mention]) -> Iterator[Exchange]:
        for mention in mentions:
            several = _is_plural(text[mention.start : mention.end], mention)
            for name in self._terms.get(mention.term.name, ()):
                written = plural(name) if several else name
                capital = bool(_SENTENCE_START.search(text[: mention.start]))
                yield _cased(text, mention.start, mention.end, written, capital=capital)

    def _of_words(self, text: str, mentions: tuple[Mention, ...]) -> Iterator[Exchange]:
        for place in self._written.finditer(text):
            if any(_names(mention, place) for mention in mentions):
                continue
            before = _LAST_WORD.search(text[: place.start()])
            cued = before is not None and before.group(1).lower().replace("\u2019", "'") in self._cues
            for meaning in self._meanings[" ".join(place.group().lower().split())]:
                if cued or not meaning.needs_cue:
                    for written in meaning.opposites:
                        yield _cased(text, place.start(), place.end(), written, capital=True)


def counterpart(text: str, opposites: Opposites, random: chance.Random) -> str | None:
    """`text` with one word or term exchanged for one that contradicts it; None where nothing in it can be.

    The place is drawn first, then what is written there.
    """
    exchanges = opposites.exchanges(text)
    if not exchanges:
        return None
    start, end = random.choice(sorted({(one.start, one.end) for one in exchanges}))
    drawn = random.choice([one for one in exchanges if (one.start, one.end) == (start, end)])
    return drawn.made_in(text)


def _meanings(listed: Mapping[str, Any]) -> dict[str, list[_Meaning]]:
    """From every written form, lower case, to what it may mean."""
    meanings: dict[str, list[_Meaning]] = {}
    ambiguous, irregular = frozenset(listed["ambiguous"]), listed["irregular"]
    for kind in ("verbs", "nouns", "words"):
        for group in map(_members, listed[kind]):
            for member in group:
                others = [_forms(kind, other[0], irregular) for other in group if other is not member]
                for word in member:
                    forms = _forms(kind, word, irregular)
                    for form in dict.fromkeys(forms):
                        opposites = tuple(other[forms.index(form)] for other in others)
                        needs_cue = kind == "verbs" and form in ambiguous
                        meanings.setdefault(form, []).append(_Meaning(needs_cue, opposites))
    return meanings


def _members(group: Iterable[str | list[str]]) -> list[tuple[str, ...]]:
    return [(member,) if isinstance(member, str) else tuple(member) for member in group]


def _forms(kind: str, word: str, irregular: Mapping[str, list[str]]) -> tuple[str, ...]:
    if kind == "verbs":
        return (word, *irregular.get(word, conjugated(word)))
    return (word, plural(word)) if kind == "nouns" else (word,)


def _names(mention: Mention, place: re.Match[str]) -> bool:
    """Whether the place lies within a name that says more than it."""
    within = mention.start <= place.start() and place.end() <= mention.end
    return within and mention.end - mention.start > place.end() - place.start() and mention.term.category in _NAMES


def _is_plural(written: str, mention: Mention) -> bool:
    singular = {one.casefold() for one in (mention.term.name, *mention.term.variants, *mention.term.abbreviations)}
    plurals = {plural(one) for one in singular} - singular
    return written.casefold() in plurals


def _cased(text: str, start: int, end: int, written: str, *, capital: bool) -> Exchange:
    """The exchange in the capitals of what it replaces; `capital` says that a first capital is not the word's own."""
    if text.isupper():
        return Exchange(start, end, written.upper())
    if capital and text[start].isupper():
        return Exchange(start, end, written[0].upper() + written[1:])
    return Exchange(start, end, written)


def _article_stays(text: str, exchange: Exchange) -> bool:
    article = _ARTICLE.search(text[: exchange.start])
    if article is None:
        return True
    return (article.group(1).lower() == "an") == bool(_SPOKEN_AN.match(exchange.written))
