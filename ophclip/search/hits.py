"""What a search returns, and how neighbouring windows become one hit."""

from __future__ import annotations

import math
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


def merge_neighbours(ranked: Iterable[Found], k: int, *, window_seconds: float, gap_seconds: float) -> list[Found]:
    """The first `k` stretches of a ranking, best first; they do not overlap.

    Going down the ranking, a window that overlaps a stretch of its video, or lies at most `gap_seconds` from it, widens
    the best such stretch. Where that would exceed `MERGED_WINDOWS` windows or reach into another stretch, one that
    overlaps is dropped and one beside it opens a stretch, as any other does. It ends when the next would be number
    k + 1, so that only windows that rank above that one have widened anything.
    """
    merged: list[Found] = []
    longest = MERGED_WINDOWS * window_seconds + _CLOCK_TOLERANCE
    for window in ranked:
        near = [place for place, other in enumerate(merged) if _gap(window, other) <= gap_seconds + _CLOCK_TOLERANCE]
        grown = [(place, _joined(merged[place], window)) for place in near]
        fitting = [
            (place, one)
            for place, one in grown
            if one.end_seconds - one.start_seconds <= longest
            and not any(_overlap(one, other) for number, other in enumerate(merged) if number != place)
        ]
        if fitting:
            place, one = fitting[0]
            merged[place] = one
        elif not any(_overlap(window, merged[place]) for place in near):
            if len(merged) == k:
                break
            merged.append(window)
    return merged


def _joined(one: Found, other: Found) -> Found:
    start, end = min(one.start_seconds, other.start_seconds), max(one.end_seconds, other.end_seconds)
    return replace(one, start_seconds=start, end_seconds=end)


def _gap(one: Found, other: Found) -> float:
    """Seconds between two spans, negative where they overlap."""
    if one.video_id != other.video_id:
        return math.inf
    return max(one.start_seconds - other.end_seconds, other.start_seconds - one.end_seconds)


def _overlap(one: Found, other: Found) -> bool:
    return _gap(one, other) < -_CLOCK_TOLERANCE


def best_of_each_video(ranked: Iterable[Found], k: int) -> list[Found]:
    """The best window of each video, for the first `k` videos of a ranking."""
    best: dict[str, Found] = {}
    for window in ranked:
        if window.video_id not in best:
            if len(best) == k:
                break
            best[window.video_id] = window
    return list(best.values())
