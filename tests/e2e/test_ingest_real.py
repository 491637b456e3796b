"""Real recordings: what is said becomes clips at the right second, and silence stays silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingest.config import AsrConfig, IngestConfig, VadConfig
from ingest.manifest import Manifest
from ingest.media import probe, read_audio
from ingest.records import Level, Segment, Transcript
from ingest.run import ingest
from ingest.shards import ShardReader
from ingest.speech.transcribe import Transcriber, build_transcriber, transcribe
from ingest.text.clean import Cleaned, clean, doubt, normalised
from ingest.text.clips import make_clips
from ingest.text.lexicon import load_lexicon
from ingest.text.segment import sentences
from ingest.text.tools import hot_words
from ophclip.composing import compose

SPOKEN = [
    (
        0.00,
        5.62,
        "Now I make a clear corneal incision with the keratome and inject viscoelastic into the anterior chamber.",
    ),
    (7.10, 12.64, "Next I perform the continuous curvilinear capsulorhexis using the capsulorhexis forceps."),
    (14.10, 19.38, "After hydrodissection the phacoemulsification probe is used to sculpt and divide the nucleus."),
    (20.90, 25.16, "I remove the remaining cortex with the irrigation and aspiration handpiece."),
    (26.70, 31.29, "The intraocular lens is injected into the capsular bag and rotated into position."),
    (32.80, 36.78, "Finally the wound is hydrated and I check that the incision is watertight."),
]
"""Speech start, speech end and words of narrated_cataract.mp4, from the README of the media."""


@pytest.fixture(scope="module")
def config() -> IngestConfig:
    composed = compose("ingest", [], IngestConfig)
    composed.asr.terms = list(hot_words(composed, load_lexicon(composed.lexicons)))
    return composed


@pytest.fixture(scope="module")
def transcriber(config: IngestConfig) -> Transcriber:
    return build_transcriber(config.asr)


def hear(path: Path, transcriber: Transcriber, config: IngestConfig) -> tuple[Transcript, Cleaned]:
    transcript = transcribe(read_audio(path), transcriber, config.asr, config.vad)
    return transcript, clean(sentences(transcript.segments, config.segment), config.gates, config.asr.terms)


def test_sentences_become_clips_within_seven_tenths_of_a_second(
    real_data: Path, transcriber: Transcriber, config: IngestConfig
) -> None:
    path = real_data / "video" / "narrated_cataract.mp4"
    transcript, cleaned = hear(path, transcriber, config)
    clips, _refused = make_clips("v", cleaned.accepted, probe(path).duration_seconds, config.segment)
    right = [
        any(abs(clip.start_seconds - start) <= 0.7 and abs(clip.end_seconds - end) <= 0.7 for clip in clips)
        for start, end, _text in SPOKEN
    ]
    assert sum(right) >= 5, [(clip.start_seconds, clip.end_seconds, clip.narration) for clip in clips]
    assert len(clips) == 6
    heard = {word for clip in clips for word in normalised(clip.narration)}
    said = {word for _start, _end, text in SPOKEN for word in normalised(text)}
    assert len(said & heard) / len(said) > 0.9, sorted(said - heard)
    words = [word for segment in transcript.segments for word in segment.words]
    assert all(word.end_seconds > word.start_seconds for word in words)


def test_a_silent_operation_yields_no_text(real_data: Path, transcriber: Transcriber, config: IngestConfig) -> None:
    transcript, cleaned = hear(real_data / "video" / "laparoscopy_silent.mp4", transcriber, config)
    assert transcript.segments == ()
    assert cleaned == Cleaned(accepted=(), rejected=())


def test_ordinary_narration_is_transcribed(real_data: Path, transcriber: Transcriber, config: IngestConfig) -> None:
    _transcript, cleaned = hear(real_data / "video" / "narrated_nasa.mp4", transcriber, config)
    text = " ".join(sentence.text for sentence in cleaned.accepted)
    assert "optical and science segment" in text
    assert "Goddard Space Flight Center" in text
    _transcript, cleaned = hear(real_data / "audio" / "jfk.flac", transcriber, config)
    assert "ask what you can do for your country" in " ".join(sentence.text for sentence in cleaned.accepted)


@pytest.mark.slow
def test_the_folder_of_real_videos_becomes_a_corpus(real_data: Path, tmp_path: Path, config: IngestConfig) -> None:
    summary = ingest(real_data / "video", tmp_path, config)
    assert (summary.done, summary.narrated, summary.silent) == (3, 2, 1)
    reasons = {one.file: one.reason for one in summary.reports}
    assert reasons == {
        "narrated_nasa.mp4": "2 audio streams: number 1 was taken (16000 Hz, highest sample rate of 2 marked default)"
    }
    reader = ShardReader(tmp_path)
    clips = [entry for entry in reader.entries(Level.CLIP) if entry.video_id == "narrated_cataract"]
    assert len(clips) == 6
    for entry in clips:
        sample = reader.read(entry.key)
        assert 4 <= len(sample.jpegs) <= 16
        assert all(sample.start_seconds - 0.5 <= second <= sample.end_seconds for second in sample.frame_seconds)
    reader.close()
    with Manifest(tmp_path / "manifest.sqlite") as manifest:
        assert manifest.clips("laparoscopy_silent") == []
        assert [row.narrated for row in manifest.videos()] == [False, True, True]


@pytest.mark.slow
def test_no_text_on_silence_noise_tones_music_and_suction(transcriber: Transcriber, config: IngestConfig) -> None:
    rng = np.random.default_rng(0)
    clock = np.arange(10 * 16_000) / 16_000
    believed = 0
    for number in range(500):
        sound = _not_speech(number, rng, clock)
        transcript = transcribe(sound, transcriber, config.asr, config.vad)
        cleaned = clean(sentences(transcript.segments, config.segment), config.gates, config.asr.terms)
        believed += bool(cleaned.accepted)
    assert believed <= 5, "text on at most 1 % of clips without speech"


def _not_speech(number: int, rng: np.random.Generator, clock: np.ndarray) -> np.ndarray:
    level = 10.0 ** rng.uniform(-3.0, -0.5)
    if number % 5 == 0:
        sound = np.zeros_like(clock)
    elif number % 5 == 1:
        sound = rng.standard_normal(len(clock))
    elif number % 5 == 2:
        sound = np.sin(2 * np.pi * rng.uniform(80, 2000) * clock)
    elif number % 5 == 3:
        sound = _suction(rng, clock)
    else:
        notes = 220.0 * 2.0 ** (rng.integers(0, 24, 40) / 12)
        pitch = np.repeat(notes, len(clock) // 40)
        chord = sum(np.sin(2 * np.pi * np.cumsum(pitch * step) / 16_000) / step for step in (1, 1.25, 1.5, 2, 3))
        sound = np.asarray(chord) * (1 - np.tile(np.linspace(0, 0.9, len(clock) // 40), 40))
    return (level * sound / max(1.0, float(np.abs(sound).max()))).astype(np.float32)


def _suction(rng: np.random.Generator, clock: np.ndarray) -> np.ndarray:
    """Hiss in a band that wanders, with gurgles of a few a second, as an aspirating tip makes it."""
    hiss = np.convolve(rng.standard_normal(len(clock)), rng.standard_normal(64) * np.hanning(64), mode="same")
    rate, depth = rng.uniform(2.0, 9.0), rng.uniform(0.3, 1.0)
    gurgle = 1 + depth * np.sin(2 * np.pi * np.cumsum(rate + 2.0 * np.sin(clock)) / 16_000)
    return np.asarray(hiss * gurgle)


def test_terms_in_the_prompt_make_no_text_on_silence(transcriber: Transcriber, config: IngestConfig) -> None:
    assert config.asr.terms
    # Shown silence in spite of voice activity detection, the engine must not get an echo of the prompt past the gates.
    (heard,) = transcriber.hear([np.zeros(16_000 * 5, dtype=np.float32)])
    silence = Segment(
        start_seconds=0.0,
        end_seconds=5.0,
        text=heard.text,
        no_speech_probability=heard.no_speech_probability,
        mean_log_probability=heard.mean_log_probability,
        compression_ratio=heard.compression_ratio,
    )
    prompt = normalised(" ".join(config.asr.terms))
    assert not heard.words or doubt(silence, config.gates, prompt), heard
    assert transcribe(np.zeros(160_000, np.float32), transcriber, AsrConfig(), VadConfig()).segments == ()
