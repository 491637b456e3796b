"""From rows to segments and videos: what the readers share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from ophclip.evaluation.records import Dataset, LabelSegment, PhaseVideo
from ophclip.evaluation.tables import Row, number, paths_of, whole


class Reader(Protocol):
    """Reads a dataset from its folder (of tables of your own: from the table).

    Videos are sought in the folder and in `videos`; without `with_videos` only the annotations have to be there.
    Raises ValueError in one line that names the file, and the line, of what is missing or wrong.
    """

    def __call__(self, root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> Dataset:
        """Read it."""
        ...


def segment_of(row: Row, start: str, end: str, label: str) -> LabelSegment:
    """A segment from two columns of seconds; ValueError if it does not end after its start."""
    span = number(row, start), number(row, end)
    if span[0] < 0:
        raise ValueError(f"{row.where}: a segment {label!r} starts at {span[0]:g} s, before the video")
    if span[1] <= span[0]:
        raise ValueError(
            f"{row.where}: a segment {label!r} ends at {span[1]:g} s, not after its start at {span[0]:g} s"
        )
    return LabelSegment(start_seconds=span[0], end_seconds=span[1], label=label, where=row.where)


def spans_of(rows: Iterable[tuple[Row, str, LabelSegment]]) -> dict[str, list[LabelSegment]]:
    """Segments by video, from row, video and segment; ValueError if a video has the same span twice."""
    lines: dict[tuple[str, float, float], tuple[Row, str]] = {}
    spans: dict[str, list[LabelSegment]] = defaultdict(list)
    for row, video, segment in rows:
        span = video, segment.start_seconds, segment.end_seconds
        first, label = lines.setdefault(span, (row, segment.label))
        if first is not row:
            said = "again" if label == segment.label else f"as {label!r} and as {segment.label!r}"
            raise ValueError(f"{row.where}: the segment of line {first.line} stands there {said}; remove one of them")
        spans[video].append(segment)
    return dict(spans)


def label_of(row: Row, column: str, labels: Mapping[str, str]) -> str:
    """The class that a cell stands for; ValueError if it is none of `labels`."""
    if row[column] not in labels:
        raise ValueError(f"{row.where}: {column} {row[column]!r} is none of {', '.join(labels)}")
    return labels[row[column]]


def segments_of_frames(
    rows: Sequence[Row], frame: str, labels: Sequence[str], *, fps: float, first: int = 0
) -> tuple[LabelSegment, ...]:
    """Runs of frames with one label as segments, from one row per frame; `first` is the number of the first frame.

    Frames may be sampled evenly; where some are missing nothing is labelled. Frames labelled "" are in no segment.

    Raises:
        ValueError: a frame is no whole number, lies before the first, or stands there twice.
    """
    lines: dict[int, tuple[Row, str]] = {}
    for row, label in zip(rows, labels, strict=True):
        index = whole(row, frame) - first
        if index < 0:
            raise ValueError(f"{row.where}: {frame} is {row[frame]}; frames are counted from {first}")
        if index in lines:
            raise ValueError(f"{row.where}: {frame} {row[frame]} stands in line {lines[index][0].line} already")
        lines[index] = row, label
    frames = sorted(lines)
    step = min((after - before for before, after in pairwise(frames)), default=1)
    segments: list[LabelSegment] = []
    start = frames[0]
    for index, after in zip(frames, [*frames[1:], None], strict=True):
        label = lines[index][1]
        if after is not None and after - index == step and lines[after][1] == label:
            continue
        if label:
            span = start / fps, (index + step) / fps
            where = lines[index][0].where
            segments.append(LabelSegment(start_seconds=span[0], end_seconds=span[1], label=label, where=where))
        start = index if after is None else after
    return tuple(segments)


def phase_videos(
    spans: Mapping[str, Sequence[LabelSegment]],
    folders: Sequence[Path],
    *,
    with_videos: bool,
    splits: Mapping[str, str] | None = None,
) -> tuple[PhaseVideo, ...]:
    """Videos with their segments in order of time.

    Raises:
        ValueError: with `with_videos`, a video is missing.
    """
    paths = paths_of(list(spans), folders, with_videos=with_videos)
    return tuple(
        PhaseVideo(
            video_id=name,
            path=path,
            segments=tuple(sorted(spans[name], key=lambda part: (part.start_seconds, part.end_seconds))),
            split=(splits or {}).get(name, ""),
        )
        for name, path in zip(spans, paths, strict=True)
    )
