"""The gates, and the line between narrated and silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.config import GatesConfig
from ingest.records import Segment, Word
from ingest.text.clean import clean, doubt, echoes, longest_loop, normalised, why_silent
from ingest.text.segment import compression_ratio

GATES = GatesConfig()


def sentence(text: str, start: float = 0.0, seconds: float = 4.0) -> Segment:
    return Segment(
        start_seconds=start,
        end_seconds=start + seconds,
        text=text,
        no_speech_probability=0.1,
        mean_log_probability=-0.3,
        compression_ratio=compression_ratio(text),
    )


GOOD = sentence("I remove the remaining cortex with the irrigation and aspiration handpiece.")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (GOOD, ""),
        (replace(GOOD, no_speech_probability=0.9), ""),
        (replace(GOOD, no_speech_probability=0.9, mean_log_probability=-1.4), "no speech: "),
        (replace(GOOD, mean_log_probability=-1.4), "unlikely words: "),
        (sentence("of the faculty " * 30), "repetition: compression ratio "),
        (sentence("so so so so we go on"), "loop: the same phrase 4 times"),
        (sentence(" ... "), "no words"),
        (sentence("♪"), "no words"),
    ],
)
def test_each_gate_says_why(one: Segment, reason: str) -> None:
    assert doubt(one, GATES).startswith(reason)
    assert bool(doubt(one, GATES)) == bool(reason)


def test_a_sentence_said_over_and_over_is_refused_each_time() -> None:
    said = [sentence("Thank you.", start) for start in range(0, 25, 5)]
    cleaned = clean([GOOD, *said], GATES)
    assert cleaned.accepted == (GOOD,)
    assert {one.reason for one in cleaned.rejected} == {"loop: the same sentence 5 times"}
    assert len(cleaned.rejected) == 5


def test_the_prompt_is_not_taken_for_speech() -> None:
    terms = ["keratome", "viscoelastic", "capsulorhexis", "irrigation and aspiration", "iris"]
    assert doubt(
        sentence("Keratome, viscoelastic, capsulorhexis, irrigation and aspiration."),
        GATES,
        normalised(" ".join(terms)),
    )
    assert clean([GOOD], GATES, terms).accepted == (GOOD,)
    assert not echoes(("irrigation", "and", "aspiration"), normalised(" ".join(terms)))


@pytest.mark.parametrize(("text", "loop"), [("", 0), ("a b c", 1), ("a b a b a b", 3), ("x a a x", 2)])
def test_longest_loop(text: str, loop: int) -> None:
    assert longest_loop(text.split()) == loop


def test_narrated_needs_speech_and_words() -> None:
    assert why_silent([GOOD], "en", 60.0, GATES) == ""
    assert why_silent([GOOD], "en", 600.0, GATES).startswith("too little speech: ")
    assert "words a minute" in why_silent([sentence("Yes.", seconds=30.0)], "en", 60.0, GATES)
    assert why_silent([], "en", 60.0, GATES) == "too little speech: 0.0% of the video"
    assert why_silent([GOOD], "en", 0.0, GATES) == "too little speech: 0.0% of the video"


def test_unsure_words_and_other_languages_make_a_video_silent() -> None:
    def spoken(probability: float) -> Segment:
        words = tuple(
            Word(start_seconds=n, end_seconds=n + 1.0, text=text, probability=probability)
            for n, text in enumerate(GOOD.text.split())
        )
        return replace(GOOD, words=words)

    assert why_silent([spoken(0.5)], "en", 60.0, GATES) == ""
    assert why_silent([spoken(0.4)], "en", 60.0, GATES) == "unsure words: 0.40 on average"
    english = replace(GATES, languages=["en"])
    assert why_silent([spoken(0.5)], "en", 60.0, english) == ""
    assert why_silent([spoken(0.5)], "de", 60.0, english) == "spoken in de"
    assert why_silent([spoken(0.5)], "", 60.0, english) == "spoken in no known language"
