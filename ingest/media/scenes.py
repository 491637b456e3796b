"""Where one scene ends and another begins, from the pictures that a pass decodes anyway.

A picture is looked at through a coarse grid of its brightness. A cut is a sudden change of that grid, far above what
the moments before it did, to another arrangement that lasts: a flash or a glint goes back, a lamp that is switched
changes brightness and not arrangement, and a zoom is never sudden. Dissolves are no cuts.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.media.luma import luma_grid

_ROWS, _COLUMNS = 24, 32
_LOOK_SECONDS = 0.1
"""A picture is looked at when so much time has passed since the last one."""
_MOST_HELD = 8
"""Or when so many wait, which bounds what is held."""
_SUDDEN_LEVELS = 6.0
"""Grey levels by which the average point must change at once."""
_SUDDEN_RATIO = 4.0
"""And so many times as much as it changed of late."""
_MEMORY = 0.15
"""Weight of the newest change in what counts as of late."""
_LIKENESS = 0.85
"""Correlation of two grids from which they are the same scene. Default decided here: across the cuts of a real
cataract film it is 0.69 to 0.82, since every scene has the eye in the middle."""
_FLAT_LEVELS = 3.0
"""A grid that varies less than this has no arrangement."""
_SETTLED_SECONDS = 0.4
"""So long after a sudden change the new picture must still be unlike the old one; cuts are no closer than this."""

Grid = NDArray[np.uint8]


class CutFinder:
    """Collects the presentation seconds at which new scenes begin.

    Only some pictures are looked at; those between are held until it is known whether a cut lies among them.
    """

    def __init__(self) -> None:
        self._last: tuple[float, Grid] | None = None
        self._between: list[tuple[float, Any]] = []
        self._usual: float | None = None
        self._pending: tuple[float, Grid] | None = None
        self._cuts: list[float] = []

    def push(self, second: float, frame: Any) -> None:
        """Take the next decoded picture. Pictures out of order are passed over."""
        if self._last is None:
            self._last = (second, _grid(frame))
            return
        seen, before = self._last
        newest = self._between[-1][0] if self._between else seen
        if second <= newest:
            return
        self._between.append((second, frame))
        if second - seen >= _LOOK_SECONDS or len(self._between) == _MOST_HELD:
            self._look(second, _grid(frame), before)

    def _look(self, second: float, grid: Grid, before: Grid) -> None:
        change = cv2.norm(grid, before, cv2.NORM_L1) / grid.size
        if self._pending is not None:
            self._settle(second, before)
        usual = change if self._usual is None else self._usual
        sudden = change >= max(_SUDDEN_LEVELS, _SUDDEN_RATIO * usual)
        if sudden and self._pending is None and not alike(grid, before):
            self._pending = (self._first_unlike(before), before)
        self._usual = usual + _MEMORY * (min(change, 2 * usual + 1.0) - usual)
        self._last = (second, grid)
        self._between.clear()

    def _first_unlike(self, before: Grid) -> float:
        unlike = (second for second, frame in self._between[:-1] if not alike(_grid(frame), before))
        return next(unlike, self._between[-1][0])

    def finish(self) -> tuple[float, ...]:
        """The cuts, in order."""
        if self._between and self._last is not None:
            second, frame = self._between[-1]
            self._look(second, _grid(frame), self._last[1])
        if self._pending is not None and self._last is not None:
            self._settle(float("inf"), self._last[1])
        return tuple(self._cuts)

    def _settle(self, second: float, grid: Grid) -> None:
        """Judge the pending change by the last picture before `second`, once that is late enough."""
        if self._pending is None or second < self._pending[0] + _SETTLED_SECONDS:
            return
        began, before = self._pending
        self._pending = None
        if not alike(grid, before):
            self._cuts.append(began)


def alike(one: Grid, other: Grid) -> bool:
    """Whether two grids show the same arrangement, however bright."""
    first, second = one.astype(np.float32) - one.mean(), other.astype(np.float32) - other.mean()
    spreads = float(first.std()), float(second.std())
    if min(spreads) < _FLAT_LEVELS:
        return max(spreads) < _FLAT_LEVELS
    return float((first * second).mean()) >= _LIKENESS * spreads[0] * spreads[1]


def _grid(frame: Any) -> Grid:
    return luma_grid(frame, _ROWS, _COLUMNS)
