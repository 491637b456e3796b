"""Which language is spoken: windows vote for the video's, and a window that is sure of another keeps its own.

Guessing costs one pass of the encoder for each window, so a few windows spread over the video are asked first, and the
rest only where these do not agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.config import AsrConfig

ENGLISH = "en"
Windows = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Guess:
    """The likeliest language of one window, as Whisper's code, with its probability."""

    language: str
    probability: float


def vote(guesses: Sequence[Guess], seconds: Sequence[float]) -> str:
    """The language with the most seconds, each weighed by its probability; empty without guesses.

    Among equals the first in the alphabet.
    """
    weights: dict[str, float] = {}
    for guess, length in zip(guesses, seconds, strict=True):
        weights[guess.language] = weights.get(guess.language, 0.0) + guess.probability * length
    return min(weights, key=lambda language: (-weights[language], language), default="")


def window_languages(windows: Windows, guess: Callable[[Windows], list[Guess]], config: AsrConfig) -> tuple[str, ...]:
    """The language in which each window of one video is to be heard.

    It is the video's, unless the window's own guess reaches `asr.foreign_probability`.
    """
    asked = spread(len(windows), config.language_windows)
    guesses = dict(zip(asked, guess([windows[place] for place in asked]), strict=True))
    language = _winner(windows, guesses)
    if any(one.language != language and _sure(one, config) for one in guesses.values()):
        rest = [place for place in range(len(windows)) if place not in guesses]
        guesses |= zip(rest, guess([windows[place] for place in rest]), strict=True)
        language = _winner(windows, guesses)
    return tuple(
        guesses[place].language if place in guesses and _sure(guesses[place], config) else language
        for place in range(len(windows))
    )


def spread(count: int, most: int) -> tuple[int, ...]:
    """At most so many places of `count`, evenly over them, in order."""
    if count <= most:
        return tuple(range(count))
    return tuple(((2 * number + 1) * count) // (2 * most) for number in range(most))


def _winner(windows: Windows, guesses: dict[int, Guess]) -> str:
    return vote(list(guesses.values()), [float(len(windows[place])) for place in guesses])


def _sure(guess: Guess, config: AsrConfig) -> bool:
    return guess.probability >= config.foreign_probability


def guess_faster_whisper(model: Any, windows: Windows, batch_size: int) -> list[Guess]:
    """Ask multilingual faster-whisper weights; windows are at most 30 s of mono sound at 16 kHz."""
    from faster_whisper.audio import pad_or_trim

    guesses = []
    for first in range(0, len(windows), batch_size):
        features = [model.feature_extractor(window)[..., :-1] for window in windows[first : first + batch_size]]
        encoded = model.encode(np.stack([pad_or_trim(one) for one in features]))
        guesses += [Guess(ranked[0][0][2:-2], float(ranked[0][1])) for ranked in model.model.detect_language(encoded)]
    return guesses


def guess_openai_whisper(model: Any, windows: Windows) -> list[Guess]:
    """Ask multilingual openai-whisper weights; windows are at most 30 s of mono sound at 16 kHz."""
    import whisper

    guesses = []
    for window in windows:
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(window), n_mels=model.dims.n_mels)
        _token, shares = model.detect_language(mel.to(model.device))
        language = max(shares, key=lambda name: (shares[name], name))
        guesses.append(Guess(str(language), float(shares[language])))
    return guesses
