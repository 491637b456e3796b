"""From sound to a transcript: speech found first, then one of two Whisper engines, behind one protocol.

The engines see the same windows of speech and the same prompt, and answer with words on the window's clock; finding
speech, putting words back onto the video's clock and mending their times is done here, alike for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.config import AsrConfig, Engine, VadConfig
from ingest.records import SAMPLE_RATE_HZ, Segment, Transcript
from ingest.speech.engines import FasterWhisper, Heard, OpenAIWhisper
from ingest.speech.language import Guess, Windows, vote
from ingest.speech.voice import Window, find_speech, pack_windows
from ingest.weights import PACKAGE_PREFIX, resolve_weights

_BATCHES_AT_ONCE = 8
"""So many batches are handed to an engine in one call: their sound and spectra are in memory together."""


class Transcriber(Protocol):
    """An engine that hears windows of speech."""

    def hear(self, windows: Windows, languages: Sequence[str] = ()) -> list[Heard]:
        """What was said in each window of mono sound at 16 kHz, at most 30 s long, with word times from its start.

        Without `languages` the windows are taken for one video's, and its language is found first.
        """
        ...

    def languages(self, windows: Windows) -> tuple[str, ...]:
        """The language of each window of one video, by vote unless `asr.language` is set."""
        ...


def build_transcriber(config: AsrConfig) -> Transcriber:
    """Load the engine that `config` names, ready to hear. Raises ValueError in one line if its weights are missing."""
    weights = find_weights(config)
    engine = FasterWhisper if config.engine is Engine.FASTER_WHISPER else OpenAIWhisper
    return engine(weights, config)


def find_weights(config: AsrConfig) -> str:
    """The local path of `asr.model`, or the hub name it is. Raises ValueError in one line if it can be neither."""
    spec = config.model
    try:
        path = resolve_weights(spec)
    except ValueError as error:
        if spec.startswith(PACKAGE_PREFIX) or Path(spec).suffix or Path(spec).is_absolute():
            raise ValueError(f"asr.model: {error}") from error
        return spec
    return str(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Speech:
    """The speech of one video: where it is, and how it sounds. Silence is left behind."""

    windows: tuple[Window, ...]
    sounds: tuple[NDArray[np.float32], ...]
    """Of each window, mono at 16 kHz."""
    duration_seconds: float

    @property
    def seconds(self) -> float:
        """Length of the speech."""
        return sum(window.seconds for window in self.windows)


def listen(audio: NDArray[np.float32], vad: VadConfig) -> Speech:
    """Find speech in mono sound at 16 kHz, and keep only that."""
    windows = pack_windows(find_speech(audio, vad))
    sounds = tuple(window.cut(audio) for window in windows)
    return Speech(windows=windows, sounds=sounds, duration_seconds=len(audio) / SAMPLE_RATE_HZ)


def transcribe_all(
    speeches: Sequence[Speech], transcriber: Transcriber, asr: AsrConfig, moving: Callable[[], None] = lambda: None
) -> list[Transcript]:
    """Recognise the speech of several videos at once, every word on the clock of its own video.

    Windows of all videos are heard in order of length, so that those of a batch end together; `moving` is called
    between batches. Sound without speech is never shown to the engine and gives a transcript without segments.
    """
    places = [(video, number) for video, one in enumerate(speeches) for number in range(len(one.windows))]
    longest_first = sorted(places, key=lambda place: -len(speeches[place[0]].sounds[place[1]]))
    languages = [transcriber.languages(one.sounds) for one in speeches]
    heard: dict[tuple[int, int], Heard] = {}
    size = asr.batch_size * _BATCHES_AT_ONCE
    for first in range(0, len(longest_first), size):
        block = longest_first[first : first + size]
        sounds = [speeches[video].sounds[number] for video, number in block]
        said = transcriber.hear(sounds, [languages[video][number] for video, number in block])
        heard.update(zip(block, said, strict=True))
        moving()
    return [
        _transcript(one, [heard[video, number] for number in range(len(one.windows))], asr)
        for video, one in enumerate(speeches)
    ]


def transcribe(audio: NDArray[np.float32], transcriber: Transcriber, asr: AsrConfig, vad: VadConfig) -> Transcript:
    """As `transcribe_all`, of mono sound at 16 kHz."""
    (transcript,) = transcribe_all([listen(audio, vad)], transcriber, asr)
    return transcript


def _transcript(speech: Speech, heard: Sequence[Heard], asr: AsrConfig) -> Transcript:
    pairs = [(window, said) for window, said in zip(speech.windows, heard, strict=True) if said.words]
    return Transcript(
        segments=tuple(_segment(window, said) for window, said in pairs),
        language=vote([Guess(said.language, 1.0) for _, said in pairs], [window.seconds for window, _ in pairs]),
        engine=asr.engine.value,
        model=asr.model,
        speech_seconds=speech.seconds,
        duration_seconds=speech.duration_seconds,
    )


def _segment(window: Window, said: Heard) -> Segment:
    words = window.to_clock(said.words)
    return Segment(
        start_seconds=words[0].start_seconds,
        end_seconds=words[-1].end_seconds,
        text=said.text.strip(),
        words=words,
        no_speech_probability=said.no_speech_probability,
        mean_log_probability=said.mean_log_probability,
        compression_ratio=said.compression_ratio,
        translated_from=said.translated_from,
    )
