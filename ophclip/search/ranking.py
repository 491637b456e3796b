"""Rows of a table as spans, best first, and where those that become hits begin and end.

Legend of shapes: c rows, w windows of a video, d width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ophclip.search.contents import Contents
from ophclip.search.entries import Level, SpanEntry
from ophclip.search.hits import Found, merge_neighbours


def ranked_spans(
    contents: Contents, level: Level, rows_c: NDArray[np.int64], scores_c: NDArray[np.float32]
) -> list[Found]:
    """What a search of a level's table found."""
    table = contents.tables[level]
    columns = (rows_c, table.owner_n[rows_c], table.start_n[rows_c], table.end_n[rows_c], scores_c)
    return [
        Found(row=row, video_id=contents.videos[owner].video_id, start_seconds=start, end_seconds=end, score=score)
        for row, owner, start, end, score in zip(*(one.tolist() for one in columns), strict=True)
    ]


def is_apart(found: Found, span: SpanEntry | None) -> bool:
    """Whether it overlaps nothing of a span."""
    if span is None or span.video_id != found.video_id:
        return True
    return found.end_seconds <= span.start_seconds or found.start_seconds >= span.end_seconds


def with_spans(
    contents: Contents,
    peaks: Sequence[Found],
    query_d: NDArray[np.float32],
    apart_from: SpanEntry | None,
    *,
    window_seconds: float,
    gap_seconds: float,
) -> list[Found]:
    """Windows that are the best of their stretches, best first, with the spans that their own videos give them.

    All windows of a video are merged anew, as far down as they can widen one of its hits, against the median of their
    scores: where a hit begins and ends depends on the query and the video, and not on what else was found.
    """
    lengths = {"window_seconds": window_seconds, "gap_seconds": gap_seconds}
    least_of = {peak.video_id: peak.score for peak in peaks}  # the last one of a video is its least
    spans: dict[int, Found] = {}
    for video_id, least in least_of.items():
        windows, background = _curve(contents, video_id, query_d, least)
        for side in _sides(windows, apart_from):
            spans |= {one.row: one for one in merge_neighbours(side, len(side), background=background, **lengths)}
    # Inverted lists may have missed the best window of a stretch, so that another one stands for it.
    return [spans.get(peak.row, peak) for peak in peaks]


def _curve(contents: Contents, video_id: str, query_d: NDArray[np.float32], least: float) -> tuple[list[Found], float]:
    """The windows of a video, best first, that can widen a stretch whose best scores `least`, and the background."""
    table = contents.tables[Level.WINDOW]
    rows = table.rows_of(contents.owner(video_id))
    scores_w = table.products(query_d, rows)
    background = float(np.median(scores_w))
    places_c = np.flatnonzero(scores_w >= (least + background) / 2)
    places_c = places_c[np.argsort(-scores_w[places_c], kind="stable")]
    return ranked_spans(contents, Level.WINDOW, rows.start + places_c, scores_w[places_c]), background


def _sides(windows: Sequence[Found], span: SpanEntry | None) -> list[list[Found]]:
    """The windows before and after a span of their video, which no stretch may cross; or all of them."""
    if span is None or not windows or span.video_id != windows[0].video_id:
        return [list(windows)]
    before = [one for one in windows if one.end_seconds <= span.start_seconds]
    return [before, [one for one in windows if one.start_seconds >= span.end_seconds]]
