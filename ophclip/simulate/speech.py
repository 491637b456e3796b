"""Narration spoken by a neural voice: piper's command in its own process, never imported. Same text, same bytes."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ophclip.simulate.config import SimulateConfig
from ophclip.simulate.language import Line
from ophclip.simulate.video import SAMPLE_RATE_HZ, Samples

SENTENCES_PER_PROCESS = 48
GAP_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence at a speaking speed (piper's length scale; smaller is faster)."""

    text: str
    length_scale: float

    @property
    def file_name(self) -> str:
        digest = hashlib.sha256(f"{self.length_scale:.3f}\n{self.text}".encode()).hexdigest()
        return f"{digest[:24]}.wav"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line with the second at which it was really spoken."""

    line: Line
    start_seconds: float
    end_seconds: float


def find_voice(config: SimulateConfig) -> Path:
    """The voice file, once piper and the voice are known to be there; ValueError says what is missing."""
    from ingest.weights import resolve_weights

    if importlib.util.find_spec("piper") is None:
        raise ValueError(
            "simulate.narrated: speech needs the piper command; install the `demo` extra (pip install 'ophclip[demo]') "
            "or set simulate.narrated=0"
        )
    try:
        voice = resolve_weights(config.voice)
    except ValueError as error:
        raise ValueError(f"simulate.voice: {error}") from error
    if not voice.with_name(voice.name + ".json").is_file():
        raise ValueError(f"simulate.voice: expected {voice.name}.json beside {voice}; copy it there from the voice")
    return voice


def speak(voice: Path, utterances: tuple[Utterance, ...], folder: Path) -> None:
    """Write each utterance's WAV into `folder` under its file name; all have one length scale."""
    if not utterances:
        return
    scale = utterances[0].length_scale
    with tempfile.TemporaryDirectory(dir=folder) as work:
        script = Path(work) / "lines.txt"
        script.write_text("\n".join(item.text for item in utterances) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "piper", "-m", str(voice), "-i", str(script), "-d", work,
                   "--length-scale", f"{scale:.3f}", "--noise-scale", "0", "--noise-w-scale", "0"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        made = sorted(Path(work).glob("*.wav"), key=lambda path: int(path.stem))
        if done.returncode != 0 or len(made) != len(utterances):
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"simulate.voice: piper failed on {voice} ({last}); try another voice or narrated=0")
        for item, path in zip(utterances, made, strict=True):
            path.replace(folder / item.file_name)


def read_wav(path: Path) -> Samples:
    """Mono samples, -1..1, at 22,050 Hz."""
    with wave.open(str(path), "rb") as file:
        rate, raw = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(raw, np.int16).astype(np.float32) / np.float32(32768)
    if rate == SAMPLE_RATE_HZ:
        return samples
    times = np.arange(int(len(samples) * SAMPLE_RATE_HZ / rate)) * (rate / SAMPLE_RATE_HZ)
    return np.asarray(np.interp(times, np.arange(len(samples)), samples), np.float32)


def narrate(
    lines: tuple[Line, ...], scale: float, folder: Path, duration_seconds: float
) -> tuple[Samples, list[Spoken]]:
    """Lay the spoken lines on the video's clock; a line waits for the one before it, and the last must fit."""
    sound = np.zeros(round(duration_seconds * SAMPLE_RATE_HZ), np.float32)
    spoken, free = [], 0.0
    for line in lines:
        samples = read_wav(folder / Utterance(line.text, scale).file_name)
        start = max(line.start_seconds, free)
        end = start + len(samples) / SAMPLE_RATE_HZ
        if end > duration_seconds:
            continue
        first = round(start * SAMPLE_RATE_HZ)
        part = sound[first : first + len(samples)]
        part += 0.85 * samples[: len(part)]
        spoken.append(Spoken(line, start, end))
        free = end + GAP_SECONDS
    return sound, spoken


def quiet_sound(rng: np.random.Generator, duration_seconds: float) -> Samples | None:
    """What a silent video carries: no stream, digital silence, the hiss of a room, or soft music."""
    kind = int(rng.integers(4))
    count = round(duration_seconds * SAMPLE_RATE_HZ)
    if kind == 0:
        return None
    if kind == 1:
        return np.zeros(count, np.float32)
    if kind == 2:
        return (0.004 * rng.standard_normal(count)).astype(np.float32)
    times = np.arange(count) / SAMPLE_RATE_HZ
    sound = np.zeros(count)
    for chord in np.array([[220.0, 277.2, 329.6], [196.0, 246.9, 293.7]]):
        swell = 0.5 + 0.5 * np.sin(2 * np.pi * times / 8 + chord[0])
        sound += swell * np.sin(2 * np.pi * chord[:, None] * times).sum(axis=0)
    return np.asarray(0.02 * sound, np.float32)
