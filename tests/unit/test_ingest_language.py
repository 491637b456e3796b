"""Languages are voted on: the video's by its windows, a window's own where it is sure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingest.config import AsrConfig, Foreign
from ingest.speech.engines import task_of
from ingest.speech.language import Guess, spread, vote, window_languages


class Oracle:
    """Guesses what it was told of each window, which is marked by its first sample."""

    def __init__(self, guesses: Sequence[Guess]) -> None:
        self.guesses = guesses
        self.asked: list[int] = []

    def __call__(self, windows: Sequence[NDArray[np.float32]]) -> list[Guess]:
        places = [int(window[0]) for window in windows]
        self.asked += places
        return [self.guesses[place] for place in places]


def windows(count: int, samples: int = 10) -> list[NDArray[np.float32]]:
    return [np.full(samples, place, np.float32) for place in range(count)]


def test_the_language_with_most_sure_seconds_wins() -> None:
    assert vote([Guess("de", 0.9), Guess("en", 0.6), Guess("en", 0.6)], [10.0, 10.0, 10.0]) == "en"
    assert vote([Guess("de", 0.9), Guess("en", 0.6), Guess("en", 0.6)], [30.0, 10.0, 10.0]) == "de"
    assert vote([Guess("fr", 0.5), Guess("de", 0.5)], [1.0, 1.0]) == "de"
    assert vote([], []) == ""


def test_a_few_windows_are_asked_where_they_agree() -> None:
    oracle = Oracle([Guess("en", 0.95)] * 40)
    assert window_languages(windows(40), oracle, AsrConfig(language_windows=4)) == ("en",) * 40
    assert oracle.asked == [5, 15, 25, 35]


def test_all_are_asked_where_one_is_sure_of_another() -> None:
    guesses = [Guess("en", 0.95)] * 40
    guesses[15] = guesses[16] = Guess("de", 0.9)
    guesses[17] = Guess("fr", 0.4)
    oracle = Oracle(guesses)
    found = window_languages(windows(40), oracle, AsrConfig(language_windows=4))
    assert sorted(oracle.asked) == list(range(40))
    assert [place for place, language in enumerate(found) if language == "de"] == [15, 16]
    assert found[17] == "en", "an unsure window goes with its video"


@given(st.integers(0, 300), st.integers(1, 20))
def test_spread_places_are_distinct_and_in_order(count: int, most: int) -> None:
    places = spread(count, most)
    assert len(places) == min(count, most)
    assert list(places) == sorted(set(places))
    assert all(0 <= place < count for place in places)
    if count > most:
        gaps = np.diff([-1, *places, count])
        assert gaps.max() <= count / most + 1


@given(st.lists(st.tuples(st.sampled_from(["de", "en", "fr"]), st.floats(0.01, 1.0)), max_size=12))
def test_every_window_has_the_videos_language_or_its_own_sure_one(drawn: list[tuple[str, float]]) -> None:
    guesses = [Guess(*one) for one in drawn]
    config = AsrConfig(language_windows=12)
    found = window_languages(windows(len(guesses)), Oracle(guesses), config)
    winner = vote(guesses, [10.0] * len(guesses))
    for language, guess in zip(found, guesses, strict=True):
        assert language == (guess.language if guess.probability >= config.foreign_probability else winner)


def test_only_other_languages_are_translated() -> None:
    translate = AsrConfig(foreign=Foreign.TRANSLATE)
    assert task_of("de", translate) == "translate"
    assert task_of("en", translate) == "transcribe"
    assert task_of("de", AsrConfig()) == "transcribe"


@pytest.mark.parametrize("option", ["language_windows", "foreign_probability"])
def test_bad_options_are_named(option: str) -> None:
    with pytest.raises(ValueError, match=rf"asr\.{option}"):
        AsrConfig(**{option: 0})
