"""Small real media files for tests: every picture carries its own number, readable after compression and scaling."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, BITS = 128, 96, 8


def numbered_picture(number: int) -> NDArray[np.uint8]:
    """Eight upright bars, white for one and black for zero, the highest bit first."""
    bars = [255 if number >> (BITS - 1 - bit) & 1 else 0 for bit in range(BITS)]
    row = np.repeat(np.array(bars, dtype=np.uint8), WIDTH // BITS)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_of(pixels_hwc: NDArray[np.uint8]) -> int:
    """The number in a picture of any size."""
    columns = ((np.arange(BITS) + 0.5) * pixels_hwc.shape[1] / BITS).astype(int)
    levels = pixels_hwc.mean(axis=(0, 2))[columns]
    return int(sum(1 << (BITS - 1 - bit) for bit, level in enumerate(levels) if level > 127))


def film(
    path: Path,
    seconds: Sequence[float],
    sounds: Sequence[tuple[NDArray[np.float32], int]] = (),
    *,
    gop: int = 12,
    b_frames: int = 2,
) -> Path:
    """Write H.264 pictures at the given presentation seconds, and audio tracks of (mono samples in -1..1, rate)."""
    with av.open(str(path), "w", format="matroska" if path.suffix == ".webm" else None) as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, 12800)
        video.options = {"g": str(gop), "bf": str(b_frames), "crf": "18", "threads": "1"}
        tracks = [container.add_stream("aac", rate=rate, layout="mono") for _samples, rate in sounds]
        for number, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            frame.pts, frame.time_base = round(second * 12800), Fraction(1, 12800)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for track, (samples, rate) in zip(tracks, sounds, strict=True):
            _mux_sound(container, track, samples, rate)
    return path


def _mux_sound(
    container: av.container.OutputContainer, track: av.AudioStream, samples: NDArray[np.float32], rate: int
) -> None:
    for first in range(0, len(samples), 1024):
        block = av.AudioFrame.from_ndarray(samples[None, first : first + 1024].copy(), format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, first, Fraction(1, rate)
        container.mux(track.encode(block))
    container.mux(track.encode(None))


def tone(seconds: float, rate: int = 16_000, hertz: float = 440.0) -> NDArray[np.float32]:
    """A steady tone."""
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def steady(seconds: float, fps: float = 10.0) -> list[float]:
    """Presentation seconds of constant frame rate."""
    return [number / fps for number in range(int(seconds * fps))]
