"""What a search returns, and how neighbouring windows become one hit."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ophclip.search.entries import Level

MERGED_WINDOWS = 3
"""A merged hit is never longer than this many windows, so that its start still says where to look."""

_CLOCK_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A stretch of one video that answers a query; `score` and the picture are those of its best window."""

    hit_id: str
    """Of its best window, or of the clip or the video that it is."""
    video_id: str
    path: Path
    start_seconds: float
    end_seconds: float
    peak_seconds: float
    """The middle of the best window."""
    score: float
    """Cosine of the query with the best window."""
    probability: float | None
    """That the instrument which the text names is seen, where the index was calibrated for it."""
    level: Level
    narration: str
    title: str
    license: str
    thumbnail_jpeg: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A span as the search returned it; `row` is that of the best window merged into it."""

    row: int
    video_id: str
    start_seconds: float
    end_seconds: float
    score: float


def merge_neighbours(
    ranked: Iterable[Found], k: int, *, window_seconds: float, gap_seconds: float, background: float = -math.inf
) -> list[Found]:
    """The first `k` stretches of a ranking, best first; they do not overlap.

    Going down the ranking, a window that overlaps a stretch of its video, or lies at most `gap_seconds` from it, widens
    the best such stretch. Where that would exceed `MERGED_WINDOWS` windows or reach into another stretch, one that
    overlaps is dropped and one beside it opens a stretch, as any other does. It ends when the next would be number
    k + 1.

    Args:
        ranked: windows, best first.
        k: how many stretches at most.
        window_seconds: length of a window.
        gap_seconds: how far from a stretch a window may lie that widens it.
        background: the score of what does not answer the query. Only windows that score at least half way from there
            to the best of a stretch are told as part of it; what others add is kept from other stretches, no more.
    """
    merged: list[_Stretch] = []
    grounds: defaultdict[str, _Ground] = defaultdict(_Ground)
    longest = MERGED_WINDOWS * window_seconds + _CLOCK_TOLERANCE
    for window in ranked:
        ground = grounds[window.video_id]
        near = ground.near(window, gap_seconds + _CLOCK_TOLERANCE)
        fitting = next((one for one in near if one.length_with(window) <= longest and one.may_take(window, near)), None)
        if fitting is not None:
            ground.widen(fitting, window)
        elif not any(one.overlaps(window.start_seconds, window.end_seconds) for one in near):
            if len(merged) == k:
                break
            merged.append(_Stretch(window, len(merged), (window.score + background) / 2))
            ground.add(merged[-1])
    return [one.found for one in merged]


class _Stretch:
    """What was merged so far: the span that is told, and the ground from `first` to `last` that no other may enter."""

    def __init__(self, best: Found, rank: int, least: float) -> None:
        self.found = best
        self.rank = rank
        self.first, self.last = best.start_seconds, best.end_seconds
        self._least = least

    def length_with(self, window: Found) -> float:
        return max(self.last, window.end_seconds) - min(self.first, window.start_seconds)

    def overlaps(self, first: float, last: float) -> bool:
        return max(first - self.last, self.first - last) < -_CLOCK_TOLERANCE

    def may_take(self, window: Found, near: Iterable[_Stretch]) -> bool:
        first, last = min(self.first, window.start_seconds), max(self.last, window.end_seconds)
        return not any(other.overlaps(first, last) for other in near if other is not self)

    def take(self, window: Found) -> None:
        self.first, self.last = min(self.first, window.start_seconds), max(self.last, window.end_seconds)
        if window.score >= self._least:
            start = min(self.found.start_seconds, window.start_seconds)
            end = max(self.found.end_seconds, window.end_seconds)
            self.found = replace(self.found, start_seconds=start, end_seconds=end)


class _Ground:
    """The stretches of one video, from first to last."""

    def __init__(self) -> None:
        self._firsts: list[float] = []
        self._stretches: list[_Stretch] = []

    def near(self, window: Found, reach_seconds: float) -> list[_Stretch]:
        """Those at most so far from a window, best first."""
        place = bisect_right(self._firsts, window.end_seconds + reach_seconds)
        found = []
        while place and self._stretches[place - 1].last >= window.start_seconds - reach_seconds:
            place -= 1
            found.append(self._stretches[place])
        return sorted(found, key=lambda one: one.rank)

    def add(self, stretch: _Stretch) -> None:
        place = bisect_right(self._firsts, stretch.first)
        self._firsts.insert(place, stretch.first)
        self._stretches.insert(place, stretch)

    def widen(self, stretch: _Stretch, window: Found) -> None:
        place = self._stretches.index(stretch)
        stretch.take(window)
        self._firsts[place] = stretch.first


def best_of_each_video(ranked: Iterable[Found], k: int) -> list[Found]:
    """The best window of each video, for the first `k` videos of a ranking."""
    best: dict[str, Found] = {}
    for window in ranked:
        if window.video_id not in best:
            if len(best) == k:
                break
            best[window.video_id] = window
    return list(best.values())
