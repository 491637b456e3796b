"""From sound to a transcript: speech found first, then one of two Whisper engines, behind one protocol.

The engines see the same windows of speech and the same prompt, and answer with words on the window's clock; finding
speech, putting words back onto the video's clock and mending their times is done here, alike for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.config import AsrConfig, Engine, VadConfig
from ingest.records import SAMPLE_RATE_HZ, Segment, Transcript
from ingest.speech.engines import FasterWhisper, Heard, OpenAIWhisper
from ingest.speech.voice import Window, find_speech, pack_windows
from ingest.weights import PACKAGE_PREFIX, resolve_weights


class Transcriber(Protocol):
    """An engine that hears windows of speech."""

    def hear(self, windows: Sequence[NDArray[np.float32]]) -> list[Heard]:
        """What was said in each window of mono sound at 16 kHz, at most 30 s long, with word times from its start."""
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


def transcribe(audio: NDArray[np.float32], transcriber: Transcriber, asr: AsrConfig, vad: VadConfig) -> Transcript:
    """Find speech in mono sound at 16 kHz, recognise it, and place every word on the clock of `audio`.

    Sound without speech is never shown to the engine and gives a transcript without segments.
    """
    windows = pack_windows(find_speech(audio, vad))
    heard = transcriber.hear([window.cut(audio) for window in windows]) if windows else []
    return Transcript(
        segments=tuple(_segment(window, said) for window, said in zip(windows, heard, strict=True) if said.words),
        language=asr.language,
        engine=asr.engine.value,
        model=asr.model,
        speech_seconds=sum(window.seconds for window in windows),
        duration_seconds=len(audio) / SAMPLE_RATE_HZ,
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
    )
