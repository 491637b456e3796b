"""Words without their endings, so that "injecting", "injected" and "injection" count as one: English, spoken, rough."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_WORD = re.compile(r"[A-Za-z]+(?:['\u2019](?:s|t|re|ve|ll|d|m))?|\d+(?:[.,:]\d+)*", re.IGNORECASE)
_IRREGULAR = {
    "made": "make",
    "held": "hold",
    "torn": "tear",
    "tore": "tear",
    "sewn": "sew",
    "took": "take",
    "taken": "take",
    "given": "give",
    "gave": "give",
    "drawn": "draw",
    "drew": "draw",
    "brought": "bring",
    "broken": "break",
    "broke": "break",
    "found": "find",
    "seen": "see",
    "saw": "see",
    "shown": "show",
    "done": "do",
    "did": "do",
    "does": "do",
    "bled": "bleed",
    "fed": "feed",
    "lenses": "lens",
    "irises": "iris",
    "using": "use",
    "used": "use",
    "uses": "use",
    "division": "divide",
    "divisions": "divide",
    "dilatation": "dilate",
    "centring": "center",
    "centred": "center",
    "knives": "knife",
    "removal": "remove",
    "closure": "close",
    "exposure": "expose",
    "tying": "tie",
    "tied": "tie",
    "dyed": "dye",
    "dyeing": "dye",
    "vertebrae": "vertebra",
}
_WHOLE = frozenset({"lens", "iris", "gas", "pus", "use", "bleed", "feed", "need", "speed", "string", "ring"})
"""What looks like an ending here is none."""
_ENDINGS = (
    "ifications",
    "ification",
    "ifying",
    "ified",
    "ifies",
    "ify",
    "izations",
    "ization",
    "ations",
    "ation",
    "ating",
    "ated",
    "ates",
    "ate",
    "ators",
    "ator",
    "ments",
    "ment",
    "ings",
    "ing",
    "ions",
    "ion",
    "ies",
    "ied",
    "ed",
    "es",
    "ally",
    "ly",
    "s",
    "e",
)
_REPLACED = {
    "ifications": "if",
    "ification": "if",
    "ifying": "if",
    "ified": "if",
    "ifies": "if",
    "ify": "if",
    "ization": "is",
    "izations": "is",
    "ies": "y",
    "ied": "y",
    "ally": "al",
}
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Token:
    """A word or number of a text: `text[start:end]`."""

    word: str
    stem: str
    start: int
    end: int


def tokens(text: str) -> tuple[Token, ...]:
    """Words and numbers in order, with their stems."""
    return tuple(
        Token(word=found.group(), stem=stem(found.group()), start=found.start(), end=found.end())
        for found in _WORD.finditer(text)
    )


def stems(text: str) -> tuple[str, ...]:
    """Stems of the words in order."""
    return tuple(token.stem for token in tokens(text))


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A word in lower case, British and American alike, without its ending."""
    plain = re.sub(r"['\u2019]s$", "", word.lower()).replace("\u2019", "'")
    if not plain.isalpha():
        return plain
    plain = _IRREGULAR.get(plain, plain)
    spelled = plain.replace("ae", "e").replace("oe", "e").replace("our", "or").replace("yz", "ys")
    spelled = re.sub(r"(?<=[a-z]{2})iz(?=e|i|a)", "is", re.sub(r"(?<=[a-z]{2})tre(?=s?$)", "ter", spelled))
    if spelled in _WHOLE:
        return spelled
    return _undoubled(_without_ending(spelled))


def _without_ending(word: str) -> str:
    for ending in _ENDINGS:
        kept = word.removesuffix(ending)
        if kept != word and len(kept) >= _SHORTEST and not (ending == "s" and kept.endswith(("s", "u"))):
            bare = kept + _REPLACED.get(ending, "")
            return (
                bare[:-1]
                if ending in {"ing", "ings", "ed", "es", "s", "ment", "ments"} and bare.endswith("e")
                else bare
            )
    return word


def _undoubled(word: str) -> str:
    double = len(word) > _SHORTEST and word[-1] == word[-2] and word[-1] not in "aeiouls"
    return word[:-1] if double else word
