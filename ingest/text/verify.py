"""What a rewrite claims beyond its transcript: instruments, drugs, actions, numbers, sides, denials turned round.

Strict on purpose: what is refused falls back to the transcript, what slips through is taught to a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

from ingest.text.lexicon import Lexicon
from ingest.text.quantities import Quantity, quantities
from ingest.text.stems import Token, stem, stems, tokens

_CLAUSE_ENDS = re.compile(r"[,;:.!?]")
_CONJUNCTIONS = frozenset({"but", "however", "although", "because", "while", "so", "then", "instead", "therefore"})
_PRONOUNS = frozenset({"i", "we", "it", "you", "they", "he", "she", "then", "now", "the", "this", "that"})
_NOTHING: frozenset[str] = frozenset()
_NEEDED = frozenset({"use", "need"})
_SCOPE_WORDS = 8
_SUPPORT_OF_ONE = frozenset({"a", "an", "one", "single"})
_SUPPORT_OF_TWO = frozenset({"two", "both", "pair", "double", "twice"})
_NOT_A_SIDE_AFTER = frozenset({"here", "now", "there", "away", "at", "after", "before", "through", "down"})
_NOT_A_SIDE_BEFORE = frozenset({"all", "thats", "that's", "alright", "okay"})
_LEAVING_BEFORE = frozenset({"is", "are", "was", "were", "be", "been", "being", "has", "have", "had"})


@dataclass(frozen=True, slots=True)
class _Claims:
    actions: MappingProxyType[str, frozenset[str]]
    """From a stem to what it does."""
    things: MappingProxyType[str, str]
    """From a stem to `instrument` or `medication`."""
    endings: tuple[tuple[str, str], ...]
    directions: MappingProxyType[str, str]
    negations: frozenset[str]
    predicates: frozenset[str]
    idle: frozenset[str]


class Verifier:
    """Compares rewritten text with its transcript, over one lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon

    def added(self, transcript: str, rewrite: str) -> tuple[str, ...]:
        """Claims of the rewrite that the transcript lacks, each as `kind: words`; empty if there are none."""
        told = _Text(transcript)
        claimed = _Text(rewrite)
        terms = [range(mention.start, mention.end) for mention in self._lexicon.find(rewrite)]
        unjudged = [token for token in claimed.tokens if not any(token.start in term for term in terms)]
        found = (
            *self._terms(told, claimed),
            *_things(told, unjudged),
            *_actions(told, unjudged),
            *_numbers(told, claimed),
            *_directions(told, claimed),
            *_flips(told, claimed),
        )
        return tuple(dict.fromkeys(found))

    def named(self, text: str) -> bool:
        """Whether the whole of `text` is a term of the lexicon."""
        return any(one.start == 0 and one.end == len(text) for one in self._lexicon.find(text))

    def _terms(self, told: _Text, claimed: _Text) -> Iterator[str]:
        heard = {(one.term.category, one.term.name) for one in self._lexicon.find(told.text)}
        for mention in self._lexicon.find(claimed.text):
            words = claimed.text[mention.start : mention.end]
            term = mention.term
            writings = (words, term.name, *term.variants, *(one for one in term.abbreviations if len(one) > 2))
            if (term.category, term.name) not in heard and not any(told.holds(writing) for writing in writings):
                yield f"{term.category}: {words}"


def added(transcript: str, rewrite: str, lexicon: Lexicon) -> tuple[str, ...]:
    """See Verifier.added."""
    return Verifier(lexicon).added(transcript, rewrite)


class _Text:
    """A text with its words, and which of them are denied."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.stems = frozenset(token.stem for token in self.tokens)
        self.done = frozenset(action for one in self.stems for action in _claims().actions.get(one, ()))
        self.words = frozenset(token.word.lower() for token in self.tokens)
        self.asserted, self.denied, self.cues = _polarity(self.text, self.tokens)

    def holds(self, writing: str) -> bool:
        """Whether all words of `writing` that carry meaning stand here, in any form and order, or the same action."""
        meant = _claims().actions
        wanted = [one for one in stems(writing) if one not in _claims().idle]
        return bool(wanted) and all(one in self.stems or bool(meant.get(one, _NOTHING) & self.done) for one in wanted)


@lru_cache(maxsize=1)
def _claims() -> _Claims:
    listed: dict[str, Any] = yaml.safe_load(
        (resources.files("ingest.text") / "claim_words.yaml").read_text(encoding="utf-8")
    )
    actions: dict[str, set[str]] = {}
    for group in (*listed["actions"], *listed["events"]):
        for word in group:
            actions.setdefault(stem(word), set()).add(group[0])
    things = {stem(word): kind for kind in ("instrument", "medication") for word in listed[f"{kind}s"]}
    return _Claims(
        actions=MappingProxyType({word: frozenset(meant) for word, meant in actions.items()}),
        things=MappingProxyType(things),
        endings=tuple((ending, kind) for kind, endings in listed["endings"].items() for ending in endings),
        directions=MappingProxyType({form: group[0] for group in listed["directions"] for form in _forms(group)}),
        negations=frozenset(map(stem, listed["negations"])),
        predicates=frozenset(map(stem, listed["predicates"])),
        idle=frozenset(map(stem, listed["idle"])),
    )


def _forms(group: Sequence[str]) -> Iterator[str]:
    for word in group:
        yield from (word, f"{word}ly", f"{word}ward", f"{word}wards")


def _things(told: _Text, claimed: Sequence[Token]) -> Iterator[str]:
    for token in claimed:
        if token.stem in told.stems:
            continue
        word = token.word.lower()
        by_ending = (kind for ending, kind in _claims().endings if word.removesuffix("s").endswith(ending))
        kind = _claims().things.get(token.stem) or next(by_ending, "")
        if kind:
            yield f"{kind}: {token.word}"


def _actions(told: _Text, claimed: Sequence[Token]) -> Iterator[str]:
    meant = _claims().actions
    for token in claimed:
        if token.stem in meant and token.stem not in told.stems and not meant[token.stem] & told.done:
            yield f"action: {token.word}"


def _numbers(told: _Text, claimed: _Text) -> Iterator[str]:
    heard = quantities(told.text)
    exact = {(one.value, one.unit) for one in heard}
    values = {one.value for one in heard if one.unit != "ordinal"}
    values |= {"1"} if _SUPPORT_OF_ONE & told.words else set()
    values |= {"2"} if _SUPPORT_OF_TWO & told.words else set()
    for one in quantities(claimed.text):
        if not _is_pronoun(one) and (one.value not in values if not one.unit else (one.value, one.unit) not in exact):
            yield f"number: {claimed.text[one.start : one.end]}"


def _is_pronoun(one: Quantity) -> bool:
    return one.value == "1" and not one.unit and not one.digits


def _directions(told: _Text, claimed: _Text) -> Iterator[str]:
    heard = {direction for _, direction in _sides(told)}
    for token, direction in _sides(claimed):
        mistakable = direction in {"left", "right"}
        if direction not in heard and (mistakable or token.stem not in told.stems):
            yield f"side: {token.word}"


def _sides(text: _Text) -> Iterator[tuple[Token, str]]:
    words = [token.word.lower() for token in text.tokens]
    for place, token in enumerate(text.tokens):
        direction = _claims().directions.get(words[place])
        before = words[place - 1] if place else ""
        after = words[place + 1] if place + 1 < len(words) else ""
        adverb = direction == "right" and (after in _NOT_A_SIDE_AFTER or before in _NOT_A_SIDE_BEFORE)
        leaving = words[place] == "left" and before in _LEAVING_BEFORE
        if direction and not adverb and not leaving:
            yield token, direction


def _flips(told: _Text, claimed: _Text) -> Iterator[str]:
    for token in claimed.tokens:
        word = token.stem
        confirmed = word in claimed.asserted and word in told.denied and word not in told.asserted
        refuted = word in claimed.denied and word in told.asserted and word not in told.denied
        if confirmed or refuted:
            yield f"negation: {token.word}"
    if claimed.cues and not told.cues:
        yield f"negation: {claimed.cues[0]}"


def _polarity(text: str, words: Sequence[Token]) -> tuple[frozenset[str], frozenset[str], tuple[str, ...]]:
    """Stems that are asserted, stems that are denied, and the words that deny."""
    denied: set[int] = set()
    cues: list[str] = []
    for clause in _clauses(text, words):
        for place, token in enumerate(clause):
            if _denies(clause, place):
                cues.append(token.word)
                denied.update(id(one) for one in _scope(clause, place))
    carrying = [token for token in words if token.stem not in _claims().idle]
    asserted = frozenset(token.stem for token in carrying if id(token) not in denied)
    return asserted, frozenset(token.stem for token in carrying if id(token) in denied), tuple(cues)


def _denies(clause: Sequence[Token], place: int) -> bool:
    token = clause[place]
    if token.word.lower().replace("\u2019", "'").endswith("n't"):
        return True
    only = place + 1 < len(clause) and clause[place + 1].word.lower() == "only"
    alone = len(clause) == 1 and token.word.lower() == "no"
    return token.stem in _claims().negations and not only and not alone


def _scope(clause: Sequence[Token], place: int) -> Sequence[Token]:
    following = [
        token for token in clause[place + 1 :] if token.stem not in _claims().idle or token.stem in {"use", "need"}
    ]
    after = following[:_SCOPE_WORDS]
    if after and after[0].stem in _claims().predicates:
        return [*clause[:place], *after]
    return after


def _clauses(text: str, words: Sequence[Token]) -> Iterator[list[Token]]:
    clause: list[Token] = []
    for place, token in enumerate(words):
        gap = text[words[place - 1].end : token.start] if place else ""
        following = words[place + 1].word.lower() if place + 1 < len(words) else ""
        ends = token.word.lower() in _CONJUNCTIONS or (token.word.lower() == "and" and following in _PRONOUNS)
        if clause and (ends or _CLAUSE_ENDS.search(gap)):
            yield clause
            clause = []
        clause.append(token)
    if clause:
        yield clause
