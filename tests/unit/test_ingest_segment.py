"""Words to sentences to clips."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.config import SegmentConfig
from ingest.records import Refused, Segment, Word
from ingest.text.clips import make_clips, split_at_cuts, split_long
from ingest.text.segment import compression_ratio, sentences

CONFIG = SegmentConfig()


def spoken(text: str, start: float = 0.0, word_seconds: float = 0.3, gap: float = 0.05) -> tuple[Word, ...]:
    words = []
    for word in text.split():
        words.append(Word(start_seconds=start, end_seconds=start + word_seconds, text=word, probability=0.9))
        start += word_seconds + gap
    return tuple(words)


def segment(*groups: tuple[Word, ...]) -> Segment:
    words = tuple(word for group in groups for word in group)
    return Segment(
        start_seconds=words[0].start_seconds,
        end_seconds=words[-1].end_seconds,
        text=" ".join(word.text for word in words),
        words=words,
    )


def texts(found: tuple[Segment, ...]) -> list[str]:
    return [sentence.text for sentence in found]


def test_sentences_end_at_full_stops_wherever_the_recogniser_cut() -> None:
    first = segment(spoken("I open the capsule. Then I"))
    second = segment(spoken("turn the nucleus. Good", start=2.2))
    assert texts(sentences([first, second], CONFIG)) == ["I open the capsule.", "Then I turn the nucleus.", "Good"]


def test_a_long_pause_ends_a_sentence_and_a_short_one_does_not() -> None:
    words = spoken("now the lens") + spoken("is in the bag", start=1.5) + spoken("and rotated", start=5.0)
    assert texts(sentences([segment(words)], CONFIG)) == ["now the lens is in the bag", "and rotated"]


def test_titles_and_numbers_do_not_end_a_sentence() -> None:
    words = spoken('Dr. Smith makes a 2.4 millimetre cut. He says "done." Next')
    assert texts(sentences([segment(words)], CONFIG)) == [
        "Dr. Smith makes a 2.4 millimetre cut.",
        'He says "done."',
        "Next",
    ]


def test_figures_of_trust_belong_to_the_sentence() -> None:
    doubtful = Segment(start_seconds=0, end_seconds=9, text="", words=spoken("One two."), no_speech_probability=0.7)
    (sentence,) = sentences([doubtful], CONFIG)
    assert sentence.no_speech_probability == 0.7
    assert sentence.mean_log_probability == pytest.approx(-0.105, abs=0.01)
    assert sentence.compression_ratio == compression_ratio("One two.")


def test_clips_reach_a_little_past_speech_but_not_into_a_neighbour() -> None:
    accepted = [segment(spoken("The wound is hydrated now.", 1.0)), segment(spoken("It is watertight I think.", 2.8))]
    (first, second), _refused = make_clips("v", accepted, 10.0, replace(CONFIG, min_clip_seconds=1.5))
    assert (first.start_seconds, first.end_seconds) == (pytest.approx(0.9), pytest.approx(2.75))
    assert (second.start_seconds, second.end_seconds) == (pytest.approx(2.75), pytest.approx(4.6))
    assert [first.index, second.index] == [0, 1]
    assert first.narration == "The wound is hydrated now."


def test_a_short_sentence_joins_the_nearer_neighbour() -> None:
    accepted = [
        segment(spoken("The capsule is stained with blue.", 0.0)),
        segment(spoken("Okay.", 3.0)),
        segment(spoken("Now the rhexis is begun here.", 3.6)),
    ]
    clips, _refused = make_clips("v", accepted, 10.0, CONFIG)
    assert [clip.narration for clip in clips] == [
        "The capsule is stained with blue.",
        "Okay. Now the rhexis is begun here.",
    ]


def test_a_short_sentence_alone_reaches_into_the_silence_around_it() -> None:
    accepted = [segment(spoken("Okay.", 3.0)), segment(spoken("Now the rhexis is begun here.", 30.0))]
    clips, refused = make_clips("v", accepted, 60.0, CONFIG)
    assert clips[0].narration == "Okay."
    assert (clips[0].start_seconds, clips[0].end_seconds) == (pytest.approx(2.15), pytest.approx(4.15))
    assert not refused
    early = [segment(spoken("Okay.", 0.1)), segment(spoken("Now the rhexis is begun here.", 30.0))]
    ((clip, _after), refused) = make_clips("v", early, 60.0, CONFIG)
    assert (clip.start_seconds, clip.end_seconds) == (0.0, pytest.approx(2.0))


def test_a_sentence_between_two_cuts_that_is_too_short_is_refused_and_kept() -> None:
    accepted = [
        segment(spoken("The capsule is stained with blue.", 0.0)),
        segment(spoken("Thank you.", 4.0)),
        segment(spoken("Now the rhexis is begun here.", 6.0)),
    ]
    clips, (refused,) = make_clips("v", accepted, 10.0, CONFIG, cuts=(3.9, 4.8))
    assert [(clip.index, clip.narration) for clip in clips] == [
        (0, "The capsule is stained with blue."),
        (1, "Now the rhexis is begun here."),
    ]
    assert (refused.kind, refused.text) == (Refused.CLIP, "Thank you.")
    assert refused.reason == "too short: 0.9 s between its neighbours and scene cuts"


def test_a_sentence_over_a_cut_is_split_between_words() -> None:
    words = spoken("a b c d e f g h i j k l m n o p", 0.0)
    assert [len(part) for part in split_at_cuts(words, (2.9,), 2.0)] == [8, 8]
    assert [len(part) for part in split_at_cuts(words, (0.5,), 2.0)] == [16]
    first, second = make_clips("v", [segment(words)], 10.0, CONFIG, cuts=(2.78,))[0]
    assert first.end_seconds == pytest.approx(2.775)
    assert second.start_seconds == pytest.approx(2.78)


def test_a_long_sentence_is_split_at_its_widest_pause() -> None:
    words = spoken("a b c d e f", 0.0, 1.0, 0.1) + spoken("g h i j k l m n o p", 7.2, 1.0, 0.1)
    parts = split_long(words, 12.0)
    assert [" ".join(word.text for word in part) for part in parts] == ["a b c d e f", "g h i j k l m n o p"]


def test_speech_after_the_last_picture_makes_no_clip() -> None:
    accepted = [segment(spoken("This has a picture still.", 0.0)), segment(spoken("This has none of them.", 20.0))]
    clips, (refused,) = make_clips("v", accepted, 10.0, CONFIG)
    assert len(clips) == 1
    assert refused.reason == "after the last picture"
