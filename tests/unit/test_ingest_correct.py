"""Misheard terms are put right, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.config import CorrectConfig
from ingest.records import Correction, Segment, Word
from ingest.text.correct import correct
from ingest.text.english import FUNCTION_WORDS, uses_per_million
from ingest.text.lexicon import Category, Lexicon, Term
from ingest.text.segment import join_words
from ingest.text.sounds import Sounds, code_of, letters_of

TERMS = (
    "cystotome", "bimanual", "trabecular meshwork", "Westcott scissors", "hydrodissection", "cornea", "iris", "sclera",
    "anterior chamber", "pars plana", "triamcinolone", "endothelium", "capsulorhexis", "Seidel test", "goniotomy",
)  # fmt: skip
LEXICON = Lexicon(
    (
        *(Term(name=name, category=Category.ANATOMY, source="test") for name in TERMS),
        Term(name="trephine", category=Category.INSTRUMENT, source="test", variants=("trefine",)),
        Term(name="viscoelastic", category=Category.MEDICATION, source="test", variants=("visco elastic", "O V D")),
    )
)
HERE = "The cornea and the sclera are seen."


def sentence(text: str, start: float = 0.0, probability: float = 0.5) -> Segment:
    """Words of 0.4 s with a gap of 0.1 s, all of one probability."""
    words = tuple(
        Word(start_seconds=start + 0.5 * n, end_seconds=start + 0.5 * n + 0.4, text=word, probability=probability)
        for n, word in enumerate(text.split())
    )
    return Segment(start_seconds=words[0].start_seconds, end_seconds=words[-1].end_seconds, text=text, words=words)


def mended(text: str, probability: float = 0.5, config: CorrectConfig | None = None) -> str:
    """The text after correction, said next to a surgical sentence."""
    done, _ = correct(
        [sentence(HERE, probability=1.0), sentence(text, 10.0, probability)], LEXICON, config or CorrectConfig()
    )
    return done[1].text


@pytest.mark.parametrize(
    ("heard", "meant"),
    [
        ("The cystitone opens it.", "The cystotome opens it."),
        ("With bim annual technique.", "With bimanual technique."),
        ("See the tracular mesh work, then stop.", "See the trabecular meshwork, then stop."),
        ("Cut it with west-gott scissors.", "Cut it with Westcott scissors."),
        ("Trincinolone makes it visible.", "Triamcinolone makes it visible."),
        ("Through the parce plana.", "Through the pars plana."),
        ("The saddle test is negative.", "The Seidel test is negative."),
        ("We did a gonyotomy (again).", "We did a goniotomy (again)."),
        ("The trefine is centred.", "The trephine is centred."),
    ],
)
def test_a_misheard_term_is_put_right(heard: str, meant: str) -> None:
    assert mended(heard) == meant


@pytest.mark.parametrize(
    "said",
    [
        "The corneas of both eyes.",
        "An endothelial cell is lost.",
        "We enter the anterior chamber now.",
        "He is a very happy man.",
        "The five of them ate a good dinner.",
        "The cystotomes are sharp, and the capsulorhexis is round.",
    ],
)
def test_what_is_no_misheard_term_stays(said: str) -> None:
    assert mended(said) == said


def test_a_sure_recogniser_is_believed() -> None:
    assert mended("The cystitone opens it.", probability=0.97) == "The cystitone opens it."


def test_without_surgery_nearby_nothing_changes() -> None:
    far = [sentence("The cystitone opens it.", 100.0 * n) for n in range(4)] + [sentence(HERE, 900.0)]
    done, changes = correct(far, LEXICON, CorrectConfig(context_sentences=1))
    assert [one.text for one in done[:3]] == [one.text for one in far[:3]]
    assert done[3].text == "The cystotome opens it."
    assert [change.before for change in changes] == ["cystitone"]


def test_punctuation_ends_a_span() -> None:
    assert mended("One is bim, annual checks follow.") == "One is bim, annual checks follow."


def test_words_share_the_time_of_what_they_replace() -> None:
    done, changes = correct([sentence(HERE), sentence("See the tracular mesh work.", 10.0)], LEXICON, CorrectConfig())
    assert changes == (
        Correction(
            start_seconds=11.0,
            end_seconds=12.4,
            before="tracular mesh work.",
            after="trabecular meshwork.",
            reason=changes[0].reason,
        ),
    )
    first, second = done[1].words[2:]
    assert (first.text, second.text) == ("trabecular", "meshwork.")
    assert first.start_seconds == 11.0
    assert first.end_seconds == second.start_seconds == pytest.approx(11.0 + 1.4 * 11 / 21)
    assert second.end_seconds == 12.4
    assert first.interpolated
    assert second.interpolated
    assert first.probability == 0.5
    assert done[1].words[:2] == sentence("See the", 10.0).words


def test_word_for_word_keeps_the_times() -> None:
    done, _ = correct([sentence(HERE), sentence("Through the parce plana.", 10.0)], LEXICON, CorrectConfig())
    assert done[1].words == tuple(
        replace(word, text=text)
        for word, text in zip(sentence("a b c d", 10.0).words, ["Through", "the", "pars", "plana."], strict=True)
    )


def test_off_and_without_words() -> None:
    bare = Segment(start_seconds=0.0, end_seconds=1.0, text="the cystitone")
    said = (sentence(HERE), sentence("The cystitone.", 10.0), bare)
    assert correct(said, LEXICON, CorrectConfig(enabled=False)) == (said, ())
    done, changes = correct(said, LEXICON, CorrectConfig())
    assert done[2] == bare
    assert len(changes) == 1
    assert correct((), LEXICON, CorrectConfig()) == ((), ())


SAID = """
the a of cystitone bim annual mesh work tracular cornea iris, sclera. saddle test parce plana now 2.4 mm -
visco elastic OVD trefine capsule or hexis hydro dissection anterior chamber endothelion five \u00e9
"""
WORDS = st.sampled_from(SAID.split())


@given(st.lists(st.lists(WORDS, min_size=1, max_size=12), max_size=4), st.floats(0.0, 1.0))
def test_order_time_and_accounts_hold(texts: list[list[str]], probability: float) -> None:
    said = tuple(sentence(" ".join(text), 20.0 * place, probability) for place, text in enumerate(texts))
    done, changes = correct(said, LEXICON, CorrectConfig())
    assert correct(said, LEXICON, CorrectConfig()) == (done, changes)
    assert len(done) == len(said)
    for before, after in zip(said, done, strict=True):
        assert (before.start_seconds, before.end_seconds) == (after.start_seconds, after.end_seconds)
        assert after.words[0].start_seconds == before.words[0].start_seconds
        assert after.words[-1].end_seconds == before.words[-1].end_seconds
        assert all(a.end_seconds <= b.start_seconds + 1e-9 for a, b in zip(after.words, after.words[1:], strict=False))
        assert after.text == join_words(after.words)
        mine = [one for one in changes if before.start_seconds <= one.start_seconds <= before.end_seconds]
        assert replayed(before, mine) == after.text


def replayed(before: Segment, changes: Sequence[Correction]) -> str:
    """What the list of changes makes of a sentence: it must account for the whole difference."""
    texts = []
    for word in before.words:
        change = next((one for one in changes if one.start_seconds <= word.start_seconds < one.end_seconds), None)
        if change is None:
            texts.append(word.text)
        elif change.start_seconds == word.start_seconds:
            texts.append(change.after)
    return " ".join(texts)


@given(st.lists(st.sampled_from(list("abcdefghiklmnoprstu")), min_size=4, max_size=14))
def test_search_by_sound_misses_nothing(drawn: list[str]) -> None:
    """Against every term, one after the other."""
    from rapidfuzz.distance import Levenshtein

    letters = "".join(drawn)
    sounds = Sounds(LEXICON.terms)
    most = int(len(code_of(letters)) * 0.25)
    found = {like.writing.letters for like in sounds.like(letters, 0.25)}
    every = {letters_of(text) for term in LEXICON.terms for text in (term.name, *term.variants)} - {"ovd"}
    assert found == {one for one in every if Levenshtein.distance(code_of(letters), code_of(one)) <= most}


def test_words_of_english_are_known() -> None:
    assert uses_per_million("the") > 10_000
    assert uses_per_million("cystitone") == 0.0
    assert all(uses_per_million(word) > 50 for word in FUNCTION_WORDS)


@pytest.mark.parametrize("option", ["max_words", "min_phonetic", "min_context_terms", "unsure_probability"])
def test_bad_options_are_named(option: str) -> None:
    with pytest.raises(ValueError, match=rf"correct\.{option}"):
        CorrectConfig(**{option: -1})
