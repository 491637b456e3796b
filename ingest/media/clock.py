"""One clock for all streams of a file, whatever its timestamps do."""

from __future__ import annotations

from typing import Any

from ingest.config.sources import LimitsConfig
from ingest.media.container import clock_may_restart, container_seconds, presented_seconds

_STEADY_SECONDS = 1.0
"""Timestamps that lie no further from the last one need no thought; decoders reorder by less."""
_GAP_SECONDS = 10.0
"""A longer gap is not believed where the format lets clocks begin anew (FFmpeg's own threshold), and nowhere beyond
the length that the file claims."""


class Clock:
    """Turns timestamps of decoded pictures and blocks of sound into seconds from the container's start.

    Recordings put together from parts begin their clock anew with each part, and damage may set it anywhere: seconds
    go on where they were. A block without a timestamp follows the one before it.
    """

    def __init__(self, container: Any, limits: LimitsConfig) -> None:
        self._container = container
        self._may_restart = clock_may_restart(container)
        longest = 3600.0 * limits.max_hours
        self._longest_seconds = min(container_seconds(container) or longest, longest)
        self._last: dict[int, float] = {}
        self._next: dict[int, float] = {}
        self._shift: dict[int, float] = {}
        self._known_shifts = [0.0]
        self.leaps: list[float] = []
        """Where timestamps leapt and seconds went on."""

    def second(self, stream: Any, block: Any, step_seconds: float) -> float:
        """Second of the next block (or packet) of a stream, which the one after it follows by so much."""
        place = stream.index
        told, due = presented_seconds(self._container, block), self._next.get(place, 0.0)
        second = due if told is None else told + self._shift.get(place, 0.0)
        if told is not None and abs(second - self._last.get(place, 0.0)) > _STEADY_SECONDS:
            self._shift[place] = self._shift_after(told, due, place)
            second = told + self._shift[place]
        self._last[place], self._next[place] = second, second + step_seconds
        return second

    def _shift_after(self, told: float, due: float, place: int) -> float:
        # A shift that another stream has met already keeps picture and sound together.
        fitting = [shift for shift in self._known_shifts if abs(told + shift - due) <= _STEADY_SECONDS]
        if fitting:
            return fitting[-1]
        shift = self._shift.get(place, 0.0)
        if self._is_gap(told + shift, due, begun=place in self._last):
            return shift
        self._known_shifts.append(due - told)
        self.leaps.append(due)
        return due - told

    def _is_gap(self, second: float, due: float, *, begun: bool) -> bool:
        if begun and second - due <= _GAP_SECONDS:
            return second > due
        return due < second <= self._longest_seconds and not (begun and self._may_restart)
