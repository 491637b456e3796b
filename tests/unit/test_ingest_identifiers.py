"""Identifiers go, surgery stays: measured on two hand-made lists of invented people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import Segment, Word
from ingest.text.identifiers import find_identifiers, mask_identifiers, mask_sentence
from ingest.text.lexicon import Lexicon, load_lexicon
from ingest.text.segment import join_words

LISTED = yaml.safe_load((Path(__file__).parents[1] / "golden" / "identifiers.yaml").read_text(encoding="utf-8"))
BRACKETS = re.compile(r"<([^>]*)>")
EMPTY = Lexicon(())


def lexicon() -> Lexicon:
    return load_lexicon(["ophthalmology"])


def measure(sentences: list[str], allow: Lexicon) -> dict[str, float]:
    """Share of the marked letters that are masked, of marked spans wholly masked, of clean sentences that changed."""
    letters = masked = spans = whole = clean = spoiled = 0
    for listed in sentences:
        text = BRACKETS.sub(r"\1", listed)
        hidden = {place for one in find_identifiers(text, allow) for place in range(one.start, one.end)}
        shift = 0
        for match in BRACKETS.finditer(listed):
            start = match.start() - shift
            wanted = {start + n for n, letter in enumerate(match[1]) if letter.isalnum()}
            shift += 2
            letters, masked = letters + len(wanted), masked + len(wanted & hidden)
            spans, whole = spans + 1, whole + (wanted <= hidden)
        if "<" not in listed:
            clean, spoiled = clean + 1, spoiled + bool(hidden)
    return {"recall": whole / spans, "letters": masked / letters, "spoiled": spoiled / clean}


def test_development_list() -> None:
    assert measure(LISTED["development"], lexicon()) == {"recall": 1.0, "letters": 1.0, "spoiled": 0.0}


def test_masks_say_what_was_there() -> None:
    text, found = mask_identifiers("My name is John Miller, born on 12/03/1956.", EMPTY)
    assert text == "My name is [name], born on [date]."
    assert [one.kind for one in found] == ["name", "date"]


def test_masking_twice_changes_nothing_more() -> None:
    for listed in (*LISTED["development"], *LISTED["held_out"]):
        once, _ = mask_identifiers(BRACKETS.sub(r"\1", listed), EMPTY)
        assert mask_identifiers(once, EMPTY)[0] == once


def test_own_words_are_kept() -> None:
    text = "with the help of Robert Forster we go on"
    assert mask_identifiers(text, EMPTY)[0] == "with the help of [name] we go on"
    assert mask_identifiers(text, EMPTY, ["forster"])[0] == text


def spoken(text: str) -> Segment:
    words = tuple(
        Word(start_seconds=float(place), end_seconds=place + 0.5, text=word, probability=0.9)
        for place, word in enumerate(text.split())
    )
    return Segment(start_seconds=0.0, end_seconds=words[-1].end_seconds, text=text, words=words)


def test_a_mask_is_one_word_with_the_time_of_all() -> None:
    sentence, found = mask_sentence(spoken("My name is John Miller, I am here."), EMPTY)
    assert [word.text for word in sentence.words] == ["My", "name", "is", "[name],", "I", "am", "here."]
    assert (sentence.words[3].start_seconds, sentence.words[3].end_seconds) == (3.0, 4.5)
    assert sentence.text == join_words(sentence.words) == "My name is [name], I am here."
    assert len(found) == 1


@given(st.text(alphabet=st.sampled_from("abc .,'-0129/@<>\n\tDrMay"), max_size=60))
def test_any_text_is_masked_without_an_error(text: str) -> None:
    masked, found = mask_identifiers(text, EMPTY)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert (masked == text) == (not found)


@pytest.mark.parametrize("listed", LISTED["development"] + LISTED["held_out"])
def test_words_and_text_of_a_sentence_stay_equal(listed: str) -> None:
    sentence, _ = mask_sentence(spoken(BRACKETS.sub(r"\1", listed)), EMPTY)
    assert sentence.text == join_words(sentence.words)
