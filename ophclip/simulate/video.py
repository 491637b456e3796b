"""Frames and sound to an MP4 file: H.264 by one thread, so that the same frames give the same bytes; AAC mono."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ophclip.simulate.eye import Pixels

TICKS_PER_SECOND = 90_000
SAMPLE_RATE_HZ = 22_050
RATES = (10.0, 12.0, 12.5, 15.0, 25.0)
RATE_WEIGHTS = (3.0, 3.0, 2.0, 1.5, 0.5)
VARIABLE_SHARE = 0.2
UNEVEN_STEPS = (0.6, 0.8, 1.0, 1.3, 2.0, 3.0)
UNEVEN_WEIGHTS = (0.1, 0.2, 0.3, 0.2, 0.15, 0.05)

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """When each frame is shown, and the rate that the file declares."""

    ticks: tuple[int, ...]
    nominal_fps: float
    variable: bool
    duration_seconds: float

    @property
    def mean_fps(self) -> float:
        return len(self.ticks) / self.duration_seconds


def draw_clock(rng: np.random.Generator, duration_seconds: float, max_fps: float) -> Clock:
    """A frame rate, and for one video in five truly uneven times: jitter, dropped frames, freezes."""
    allowed = [(rate, weight) for rate, weight in zip(RATES, RATE_WEIGHTS, strict=True) if rate <= max_fps]
    weights = np.array([weight for _, weight in allowed])
    fps = allowed[int(rng.choice(len(allowed), p=weights / weights.sum()))][0]
    variable = bool(rng.random() < VARIABLE_SHARE)
    if not variable:
        count = max(1, round(duration_seconds * fps))
        ticks = tuple(round(k * TICKS_PER_SECOND / fps) for k in range(count))
        return Clock(ticks=ticks, nominal_fps=fps, variable=False, duration_seconds=count / fps)
    steps = rng.choice(
        [0.6, 0.8, 1.0, 1.3, 2.0, 3.0], size=int(duration_seconds * fps), p=[0.1, 0.2, 0.3, 0.2, 0.15, 0.05]
    )
    times = np.concatenate([[0.0], np.cumsum(steps / fps)])
    times = times[times < duration_seconds - 0.02]
    ticks = tuple(round(float(t) * TICKS_PER_SECOND) for t in times)
    return Clock(ticks=ticks, nominal_fps=fps, variable=True, duration_seconds=duration_seconds)


def write_video(path: Path, frames: Iterator[Pixels], clock: Clock, sound: Samples | None) -> None:
    """Encode `frames` (one per tick of the clock, all of one size) and optional mono sound at 22,050 Hz."""
    first = next(frames)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        picture = _picture_stream(container, first.shape[1], first.shape[0], clock)
        voice = _sound_stream(container) if sound is not None else None
        ends = [*clock.ticks[1:], round(clock.duration_seconds * TICKS_PER_SECOND)]
        fed = 0
        for index, tick in enumerate(clock.ticks):
            pixels = first if index == 0 else next(frames)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, TICKS_PER_SECOND)
            frame.duration = ends[index] - tick
            container.mux(picture.encode(frame))
            if voice is not None and sound is not None:
                fed = _feed(container, voice, sound, fed, ends[index] / TICKS_PER_SECOND)
        container.mux(picture.encode(None))
        if voice is not None:
            container.mux(voice.encode(None))


def _picture_stream(container: av.container.OutputContainer, width: int, height: int, clock: Clock) -> VideoStream:
    rate = Fraction(clock.nominal_fps).limit_denominator(1000)
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = Fraction(1, TICKS_PER_SECOND)
    context = stream.codec_context
    context.time_base = Fraction(1, TICKS_PER_SECOND)
    context.thread_count = 1
    context.options = {"preset": "veryfast", "crf": "25", "g": str(int(clock.nominal_fps * 5)), "threads": "1"}
    return stream


def _sound_stream(container: av.container.OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
    stream.codec_context.bit_rate = 48_000
    stream.codec_context.thread_count = 1
    return stream


def _feed(
    container: av.container.OutputContainer, stream: AudioStream, sound: Samples, fed: int, until_seconds: float
) -> int:
    """Encode whole blocks of sound up to a second of the video; returns how many samples are in."""
    block = 1024
    while fed < len(sound) and fed / SAMPLE_RATE_HZ < until_seconds:
        chunk = sound[fed : fed + block]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk[None]), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, fed, Fraction(1, SAMPLE_RATE_HZ)
        container.mux(stream.encode(frame))
        fed += len(chunk)
    return fed
