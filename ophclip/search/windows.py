"""How a video is cut into windows, and which frames of the index' grid a span holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CLOCK_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The span [start, end) of a video and its frames `first` to `stop` (exclusive) on the index' grid."""

    start_seconds: float
    end_seconds: float
    first: int
    stop: int

    @property
    def span(self) -> tuple[int, int]:
        """Its frames as `embed.pool_spans` takes them."""
        return self.first, self.stop

    @property
    def middle(self) -> int:
        """The frame in its middle, of which the thumbnail is made."""
        return (self.first + self.stop - 1) // 2


def cut_windows(duration_seconds: float, *, fps: float, window_seconds: float, stride_seconds: float) -> list[Window]:
    """Windows that cover the whole video: one at every stride, the last one ending with the video.

    A video shorter than a window is one window. Every window holds at least one frame.
    """
    starts = [0.0]
    while starts[-1] + window_seconds < duration_seconds - _CLOCK_TOLERANCE:
        following = starts[-1] + stride_seconds
        starts.append(min(following, max(duration_seconds - window_seconds, 0.0)))
    frames = frames_of(duration_seconds, fps)
    return [window_at(start, min(start + window_seconds, duration_seconds), fps, frames) for start in starts]


def frames_of(duration_seconds: float, fps: float) -> int:
    """How many frames of the grid a video has."""
    return max(int(np.ceil(duration_seconds * fps - _CLOCK_TOLERANCE)), 1)


def window_at(start_seconds: float, end_seconds: float, fps: float, frames: int) -> Window:
    """The span [start, end) on a grid of so many frames; it holds at least one of them."""
    first = min(int(np.ceil(start_seconds * fps - _CLOCK_TOLERANCE)), frames - 1)
    stop = min(max(int(np.ceil(end_seconds * fps - _CLOCK_TOLERANCE)), first + 1), frames)
    return Window(start_seconds=start_seconds, end_seconds=end_seconds, first=first, stop=stop)
