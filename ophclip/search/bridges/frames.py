"""Between seconds and frames that are counted from 1, whatever the frame rate does.

Shapes: F frames of one video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SAME_TIME_SECONDS = 1e-4
"""Seconds that were written and read again may differ by less."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameClock:
    """When each frame of a video is on the screen: from its second to that of the next."""

    seconds_f: NDArray[np.float64]
    """Presentation seconds, rising; at least one."""
    end_seconds: float
    """When the last one is gone."""

    def support(self, start_seconds: float, end_seconds: float) -> tuple[int, int]:
        """First and last frame, counted from 1, of those on the screen between two seconds; at least one."""
        first = int(np.searchsorted(self.seconds_f, start_seconds + _SAME_TIME_SECONDS, side="right"))
        last = int(np.searchsorted(self.seconds_f, end_seconds - _SAME_TIME_SECONDS, side="left"))
        first = max(first, 1)
        return first, max(last, first)

    def span(self, first: int, last: int) -> tuple[float, float] | None:
        """Start and end in seconds of the frames `first` to `last`; None if the video has none of the first.

        Frames past the end, which other programs count from lengths that are rounded, end with the last one.
        """
        if first > len(self.seconds_f):
            return None
        end = self.seconds_f[last] if last < len(self.seconds_f) else max(self.end_seconds, self.seconds_f[-1])
        return float(self.seconds_f[first - 1]), float(end)


def steady_clock(fps: float, duration_seconds: float) -> FrameClock:
    """A clock of equal steps, as programs count that know a frame rate only."""
    count = max(int(np.ceil(duration_seconds * fps - _SAME_TIME_SECONDS)), 1)
    return FrameClock(np.arange(count) / fps, count / fps)


def file_clock(path: Path) -> FrameClock:
    """The clock of a video file, by the presentation time of every frame.

    Raises:
        ValueError: it cannot be read.
    """
    from ingest.media import picture_seconds, probe

    seconds_f = picture_seconds(path)
    step = float(np.median(np.diff(seconds_f))) if len(seconds_f) > 1 else 1.0
    return FrameClock(seconds_f, max(probe(path).duration_seconds, float(seconds_f[-1]) + step))


Clocks = Callable[[Path], FrameClock]
