"""A counterpart differs from its text where a word was exchanged and nowhere else."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.text.counterparts import Opposites, counterpart
from ingest.text.lexicon import load_lexicon, shipped_lexicons

WORDS = re.findall(
    r"\S+",
    """the a an I we to with of into now anterior posterior chamber capsule inject injected injecting removes
keratome an aspiration forceps scissors trypan blue viscoelastic nucleus open closed closing left eye hand right suture
cut toothed cannula. Then, cornea's self-sealing irrigation and handpiece THE Superior quadrant phaco-tip""",
)
LETTERS = "aeinrst INS\u0131\u0130\u017f\u00e9\u00df\u2019'-.\n"


@pytest.fixture(scope="module")
def opposites() -> Opposites:
    return Opposites(load_lexicon(shipped_lexicons()))


@given(st.lists(st.sampled_from(WORDS), max_size=14), st.integers(0, 99), st.booleans())
def test_only_the_exchanged_words_differ(opposites: Opposites, words: list[str], seed: int, loud: bool) -> None:
    text = " ".join(words).upper() if loud else " ".join(words)
    exchanges = opposites.exchanges(text)
    for one in exchanges:
        made = one.made_in(text)
        assert text[one.start : one.end].casefold() != one.written.casefold()
        assert made.startswith(text[: one.start])
        assert made.endswith(text[one.end :])
        assert made.casefold() != text.casefold()
        assert re.fullmatch(r"\w.*\w", text[one.start : one.end], re.DOTALL)
    drawn = counterpart(text, opposites, random.Random(seed))
    assert (drawn is None) == (not exchanges)
    assert drawn is None or drawn in {one.made_in(text) for one in exchanges}


@given(st.lists(st.sampled_from(["insert", "in\u017fert", "\u0131nsert", "eye", *LETTERS]), max_size=20).map("".join))
def test_any_text_is_looked_through(opposites: Opposites, text: str) -> None:
    for one in opposites.exchanges(text):
        assert 0 <= one.start < one.end <= len(text)
