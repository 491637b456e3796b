"""Labelled segments as clips that were cut beforehand: where the truth ranks among the classes, and `clip_topk`.

Shapes: T seconds, C classes, V videos.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.atomic import write_text
from ophclip.evaluation.intervals import Statistic, ratio_of_sums
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import LabelSegment, PhaseVideo
from ophclip.evaluation.tables import number, read_table

_COLUMNS = ("video", "start_seconds", "end_seconds", "truth", "rank")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A labelled segment and the rank of its class by score; 1 is first, equals rank behind those they equal."""

    video_id: str
    start_seconds: float
    end_seconds: float
    label: str
    rank: int


def span_of(part: LabelSegment, seconds_t: Floats) -> tuple[int, int]:
    """The seconds (first, stop) in a segment; of one between two seconds the second before."""
    first, stop = (int(place) for place in np.searchsorted(seconds_t, (part.start_seconds, part.end_seconds)))
    return (first, stop) if first < stop else (max(first - 1, 0), max(first, 1))


def rank_clips(video: PhaseVideo, classes: Sequence[str], seconds_t: Floats, scores_tc: Floats) -> list[Clip]:
    """The video's segments, each scored by the mean of its seconds; one between two seconds by the second before.

    Segments that start after the last scored second are left out.
    """
    clips = []
    for part in (one for one in video.segments if one.start_seconds <= seconds_t[-1]):
        first, stop = span_of(part, seconds_t)
        scores_c = scores_tc[first:stop].mean(axis=0)
        rank = int((scores_c >= scores_c[list(classes).index(part.label)]).sum())
        span = {"start_seconds": part.start_seconds, "end_seconds": part.end_seconds}
        clips.append(Clip(video_id=video.video_id, label=part.label, rank=rank, **span))
    return clips


def clip_topk(clips: Sequence[Clip], video_ids: Sequence[str]) -> dict[str, Statistic]:
    """Shares of all clips whose class ranks first, and among the first five; videos are what is drawn."""
    numbers = {name: place for place, name in enumerate(video_ids)}
    owner_n = np.array([numbers[clip.video_id] for clip in clips], dtype=np.int64)
    return topk(np.array([clip.rank for clip in clips], dtype=np.int64), owner_n, len(numbers))


def topk(ranks_n: Ints, owner_n: Ints, videos: int) -> dict[str, Statistic]:
    """Shares of ranks that are 1, and at most 5; `owner_n` is the number of the video of each."""
    totals_v = np.bincount(owner_n, minlength=videos)
    return {f"top{k}": ratio_of_sums(np.bincount(owner_n[ranks_n <= k], minlength=videos), totals_v) for k in (1, 5)}


def write_clips(path: Path, clips: Sequence[Clip]) -> None:
    """CSV of `video,start_seconds,end_seconds,truth,rank`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for clip in clips:
        span = f"{clip.start_seconds:.3f}", f"{clip.end_seconds:.3f}"
        writer.writerow((clip.video_id, *span, clip.label, clip.rank))
    write_text(path, buffer.getvalue())


def read_clips(path: Path) -> tuple[Clip, ...]:
    """Read what `write_clips` wrote.

    Raises:
        ValueError: the file is missing, or a cell is no number.
    """
    return tuple(
        Clip(
            video_id=row["video"],
            start_seconds=number(row, "start_seconds"),
            end_seconds=number(row, "end_seconds"),
            label=row["truth"],
            rank=int(number(row, "rank")),
        )
        for row in read_table(path, _COLUMNS)
    )
