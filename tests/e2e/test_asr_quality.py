"""What is heard of spoken surgical sentences, before and after the correction of terms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.hearing import Lecture, Score, read_lectures, score, speak_lectures, words_of
from ingest.config import AsrConfig, CorrectConfig, SegmentConfig, VadConfig
from ingest.media import read_audio
from ingest.records import Segment
from ingest.speech.transcribe import Transcriber, build_transcriber, listen, transcribe, transcribe_all
from ingest.speech.voice import find_speech
from ingest.text.correct import correct
from ingest.text.lexicon import load_lexicon
from ingest.text.segment import join_words, sentences

# openai-whisper, whose normal form of English is used, leaves a file of its own to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

ASR = AsrConfig(threads=2)
Spoken = tuple[tuple[Lecture, ...], dict[str, NDArray[np.float32]]]


@pytest.fixture(scope="module")
def recogniser() -> Transcriber:
    return build_transcriber(ASR)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """The held-out sentences and their sound."""
    lectures = read_lectures("held_out")
    return lectures, speak_lectures(lectures, tmp_path_factory.mktemp("spoken"))


def heard(audio: object, recogniser: Transcriber) -> tuple[Segment, ...]:
    return sentences(transcribe(audio, recogniser, ASR, VadConfig()).segments, SegmentConfig())


def text_of(said: tuple[Segment, ...]) -> str:
    return " ".join(join_words(one.words) for one in said)


@pytest.mark.slow
def test_a_third_of_the_missing_terms_comes_back(spoken: Spoken, recogniser: Transcriber) -> None:
    lectures, sounds = spoken
    assert sum(len(one.marked) for one in lectures) >= 60
    assert len(lectures) >= 8
    lexicon = load_lexicon(["ophthalmology"])
    before = after = Score(0, 0, 0, 0)
    for lecture in lectures:
        said = heard(sounds[lecture.procedure], recogniser)
        before += score(lecture.marked, text_of(said))
        after += score(lecture.marked, text_of(correct(said, lexicon, CorrectConfig())[0]))
    assert after.found - before.found >= (before.terms - before.found) / 3, (before, after)
    assert after.word_error_rate < before.word_error_rate


@pytest.mark.slow
@pytest.mark.parametrize("name", ["audio/jfk.flac", "video/narrated_nasa.mp4"])
def test_speech_that_is_no_surgery_is_not_corrected(name: str, real_data: Path, recogniser: Transcriber) -> None:
    said = heard(read_audio(real_data / name), recogniser)
    assert said
    done, changes = correct(said, load_lexicon(["ophthalmology"]), CorrectConfig())
    assert (done, changes) == (said, ())


@pytest.mark.slow
def test_heard_together_is_as_good_as_heard_alone(spoken: Spoken, recogniser: Transcriber) -> None:
    lectures, sounds = spoken
    speeches = [listen(sounds[lecture.procedure], VadConfig()) for lecture in lectures]
    together = transcribe_all(speeches, recogniser, ASR)
    alone = replace(ASR, batch_size=1)
    lone_recogniser = build_transcriber(alone)
    one_by_one = [transcribe_all([speech], lone_recogniser, alone)[0] for speech in speeches]
    scores = []
    for transcripts in (together, one_by_one):
        total = Score(0, 0, 0, 0)
        for lecture, transcript in zip(lectures, transcripts, strict=True):
            total += score(lecture.marked, text_of(sentences(transcript.segments, SegmentConfig())))
        scores.append(total.word_error_rate)
    assert scores[0] <= scores[1] + 0.005, scores


@pytest.mark.slow
def test_voice_activity_detection_loses_no_words(spoken: Spoken) -> None:
    """A word is lost if less than half of it lies in speech; words share the sound of their sentence by length."""
    words = lost = 0
    lectures, sounds = spoken
    for lecture in lectures:
        sound = sounds[lecture.procedure]
        speech = np.zeros(len(sound), dtype=bool)
        for stretch in find_speech(sound, VadConfig()):
            speech[stretch.first_sample : stretch.end_sample] = True
        spans = spoken_spans(sound, len(lecture.marked))
        for (first, end), sentence in zip(spans, lecture.marked, strict=True):
            said = words_of(sentence)
            edges = np.linspace(first, end, len(said) + 1).round().astype(int)
            kept = [speech[start:stop].mean() >= 0.5 for start, stop in pairwise(edges)]
            words, lost = words + len(kept), lost + kept.count(False)
    assert words > 400
    assert lost <= 0.005 * words, (lost, words)


def spoken_spans(sound: NDArray[np.float32], count: int) -> list[tuple[int, int]]:
    """First and last sample of each sentence: between them are the `count` - 1 longest quiet stretches."""
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    gaps = np.diff(loud)
    breaks = np.sort(np.argsort(gaps)[-(count - 1) :])
    starts = [loud[0], *loud[breaks + 1]]
    ends = [*loud[breaks], loud[-1]]
    return [(int(start), int(end) + 1) for start, end in zip(starts, ends, strict=True)]
