"""What a pass over a video gathers: pictures on a grid of seconds, sound on one clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av.error
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from ingest.media.container import CLOCK_TOLERANCE_SECONDS
from ingest.records import SAMPLE_RATE_HZ

_GAP_SECONDS = 0.1
"""Sound that is missing for longer is filled with silence, so that later words keep their second."""


class PictureClock:
    """Where the pictures have got to."""

    def __init__(self) -> None:
        self.last_seconds: float | None = None
        self.end_seconds = 0.0
        self.count = 0
        self.longest_gap = (0.0, 0.0)
        """First and last second of it."""

    def push(self, second: float, frame: Any) -> None:
        self.count += 1
        if self.last_seconds is not None and second - self.last_seconds > self.longest_gap[1] - self.longest_gap[0]:
            self.longest_gap = self.last_seconds, second
        if self.last_seconds is None or second > self.last_seconds:
            # Only the last picture's length counts: with reordered pictures the others' may be wrong.
            self.last_seconds = second
            self.end_seconds = second + float((frame.duration or 0) * frame.time_base)

    def finish(self) -> None:
        """Nothing is held back."""


class GridSampler(PictureClock):
    """Hands on, for each tick of a grid, the picture at or before it, and no picture twice."""

    def __init__(self, fps: float, emit: Callable[[float, Any], None]) -> None:
        super().__init__()
        self._fps = fps
        self._emit = emit
        self._tick = 0
        self._held: tuple[float, Any] | None = None
        self._handed_on = False

    def push(self, second: float, frame: Any) -> None:
        if self._held is None:
            self._take(second, frame)
            self._skip_to(second + CLOCK_TOLERANCE_SECONDS)
            self._hand_on()
        elif second > self._held[0]:
            if self._skip_to(second - CLOCK_TOLERANCE_SECONDS):
                self._hand_on()
            self._take(second, frame)
        super().push(second, frame)

    def finish(self) -> None:
        if self._held is not None and self._tick / self._fps < self.end_seconds - CLOCK_TOLERANCE_SECONDS:
            self._hand_on()

    def _take(self, second: float, frame: Any) -> None:
        self._held, self._handed_on = (second, frame), False

    def _skip_to(self, second: float) -> bool:
        before = self._tick
        while self._tick / self._fps < second:
            self._tick += 1
        return self._tick > before

    def _hand_on(self) -> None:
        if self._held is not None and not self._handed_on:
            self._handed_on = True
            self._emit(*self._held)


class SoundTrack:
    """Collects sound on the container's clock, as 16-bit samples to halve what is held."""

    def __init__(self) -> None:
        self._form: tuple[str, str, int] | None = None
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        self._blocks: list[NDArray[np.int16]] = []
        self._samples = 0
        self._heard_seconds = 0.0
        self.lost_blocks = 0
        """Blocks of a form that cannot be brought to ours."""
        self.filled_seconds = 0.0
        """Silence put in where sound was missing, before the first sound apart."""

    @property
    def end_seconds(self) -> float:
        return self._heard_seconds

    def push(self, second: float, block: Any) -> None:
        """Take the next decoded block. A block of another form (rate, channels) than the one before is no fault."""
        form = (block.format.name, block.layout.name, block.sample_rate)
        if self._form not in (None, form):
            self._drain()
        self._form = form
        if second - self._heard_seconds > _GAP_SECONDS:
            self._drain()
            self.filled_seconds += second - self._heard_seconds if self._samples else 0.0
            self._pad_to(round(second * SAMPLE_RATE_HZ))
            self._heard_seconds = second
        self._heard_seconds += block.samples / block.sample_rate
        block.pts = None
        self._take(block)

    def finish(self) -> NDArray[np.float32]:
        self._drain()
        sound = np.empty(self._samples, dtype=np.float32)
        place = 0
        for samples in self._blocks:
            np.multiply(samples, np.float32(1 / 32768), out=sound[place : place + len(samples)], dtype=np.float32)
            place += len(samples)
        return sound

    def _drain(self) -> None:
        self._take(None)
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)

    def _take(self, block: Any | None) -> None:
        try:
            pieces = self._resampler.resample(block)
        except av.error.FFmpegError:
            self.lost_blocks += 1
            return
        for piece in pieces:
            self._blocks.append(np.asarray(piece.to_ndarray(), dtype=np.int16).reshape(-1))
            self._samples += len(self._blocks[-1])

    def _pad_to(self, samples: int) -> None:
        self._blocks.append(np.zeros(max(0, samples - self._samples), dtype=np.int16))
        self._samples += len(self._blocks[-1])
