"""What is heard of spoken surgical sentences, before and after the correction of terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hearing import Score, read_lectures, score, speak_lectures
from ingest.config import AsrConfig, CorrectConfig, SegmentConfig, VadConfig
from ingest.media import read_audio
from ingest.records import Segment
from ingest.speech.transcribe import Transcriber, build_transcriber, transcribe
from ingest.text.correct import correct
from ingest.text.lexicon import load_lexicon
from ingest.text.segment import join_words, sentences

ASR = AsrConfig(threads=2)


@pytest.fixture(scope="module")
def recogniser() -> Transcriber:
    return build_transcriber(ASR)


def heard(audio: object, recogniser: Transcriber) -> tuple[Segment, ...]:
    return sentences(transcribe(audio, recogniser, ASR, VadConfig()).segments, SegmentConfig())


def text_of(said: tuple[Segment, ...]) -> str:
    return " ".join(join_words(one.words) for one in said)


@pytest.mark.slow
# openai-whisper, whose normal form of English is used, leaves a file of its own to the garbage collector
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_third_of_the_missing_terms_comes_back(tmp_path: Path, recogniser: Transcriber) -> None:
    lectures = read_lectures("held_out")
    assert sum(len(one.marked) for one in lectures) >= 60
    assert len(lectures) >= 8
    sounds = speak_lectures(lectures, tmp_path)
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
