"""What a search returns, and how overlapping windows become one hit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ophclip.search.entries import Level

MERGED_WINDOWS = 3
"""A merged hit is never longer than this many windows, so that its start still says where to look."""


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


def merge_overlapping(ranked: Iterable[Found], k: int, window_seconds: float) -> list[Found]:
    """The first `k` stretches of a ranking, best first.

    Going down the ranking, a window that overlaps a stretch of its video widens the best such stretch, or is dropped
    where that would exceed `MERGED_WINDOWS` windows; any other opens a stretch. It ends when the next would be number
    k + 1, so that only windows that rank above that one have widened anything.
    """
    merged: list[Found] = []
    longest = MERGED_WINDOWS * window_seconds + 1e-6
    for window in ranked:
        place = next((index for index, other in enumerate(merged) if _overlap(window, other)), None)
        if place is None:
            if len(merged) == k:
                break
            merged.append(window)
            continue
        start = min(window.start_seconds, merged[place].start_seconds)
        end = max(window.end_seconds, merged[place].end_seconds)
        if end - start <= longest and not _touches_another(merged, place, start, end):
            merged[place] = replace(merged[place], start_seconds=start, end_seconds=end)
    return merged


def _overlap(one: Found, other: Found) -> bool:
    same = one.video_id == other.video_id
    return same and one.start_seconds < other.end_seconds and other.start_seconds < one.end_seconds


def _touches_another(merged: Sequence[Found], place: int, start: float, end: float) -> bool:
    grown = replace(merged[place], start_seconds=start, end_seconds=end)
    return any(index != place and _overlap(grown, other) for index, other in enumerate(merged))


def best_of_each_video(ranked: Iterable[Found], k: int) -> list[Found]:
    """The best window of each video, for the first `k` videos of a ranking."""
    best: dict[str, Found] = {}
    for window in ranked:
        if window.video_id not in best:
            if len(best) == k:
                break
            best[window.video_id] = window
    return list(best.values())
