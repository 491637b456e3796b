"""Tables of your own: phases as segments, presence as one column per class.

A column `split` in either says to which part a video belongs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ophclip.evaluation.datasets.segments import phase_videos, segment_of, spans_of
from ophclip.evaluation.records import (
    Facts,
    PhaseDataset,
    PresenceDataset,
    PresenceVideo,
    Source,
    Task,
)
from ophclip.evaluation.tables import Row, named, number, paths_of, read_table

_TABLE = Source(name="table", license="as you hold it", citation="none", obtain="your own CSV and videos")
PHASE_TABLE = Facts(source=_TABLE, task=Task.PHASE, classes=0, protocol="video_macro_v1")
_SECONDS = replace(
    _TABLE,
    overlap_rule="any number of classes at a second",
    background_rule="cells without 0 or 1, and seconds without a row, are not scored",
)
PRESENCE_TABLE = Facts(
    source=_SECONDS, task=Task.PRESENCE, classes=0, protocol="instrument_video_map", prompts="instruments"
)


def read_phase_table(
    root: Path, videos: Sequence[Path] = (), *, classes: Sequence[str] = (), with_videos: bool = True
) -> PhaseDataset:
    """Any CSV of `video,start_seconds,end_seconds,label`; videos lie in `videos`, else beside the table `root`.

    `classes` fixes the list that is predicted over; by default the labels of the table in order of first appearance.

    Raises:
        ValueError: a column or a video is missing, a label is not in `classes`, a segment ends before it starts, or a
            video is in two splits.
    """
    rows = read_table(root, ("video", "start_seconds", "end_seconds", "label"))
    labels = tuple(classes) or tuple(dict.fromkeys(row["label"] for row in rows))
    splits = _splits(rows)
    for row in rows:
        if not row["label"]:
            raise ValueError(f"{row.where}: a segment of {row['video']} has no label")
        if row["label"] not in labels:
            raise ValueError(f"{row.where}: label {row['label']!r} is not among the classes {', '.join(labels)}")
    spans = spans_of((row, row["video"], segment_of(row, "start_seconds", "end_seconds", row["label"])) for row in rows)
    return PhaseDataset(
        source=replace(_TABLE, name=root.name),
        classes=labels,
        videos=phase_videos(spans, list(videos) or [root.parent], with_videos=with_videos, splits=splits),
    )


def read_presence_table(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PresenceDataset:
    """Any CSV of `video,seconds,label...`: one column per class with 0, 1, or nothing where nobody said.

    Videos lie in `videos` (each folder or its `videos` folder), else beside the table `root`.

    Raises:
        ValueError: a column or a video is missing, a cell is neither 0, 1 nor empty, a second stands there twice, or a
            video is in two splits.
    """
    rows = read_table(root, ("video", "seconds"))
    classes = tuple(name for name in rows[0] if name not in ("video", "seconds", "split"))
    if not classes:
        raise ValueError(f"{root}: no label column after video,seconds; expected one per class")
    splits = _splits(rows)
    by_video: dict[str, dict[float, tuple[Row, list[float]]]] = defaultdict(dict)
    for row in rows:
        seconds, lines = number(row, "seconds"), by_video[row["video"]]
        if seconds < 0:
            raise ValueError(f"{row.where}: seconds is {row['seconds']}, before the video")
        if seconds in lines:
            raise ValueError(
                f"{row.where}: {row['video']} at {row['seconds']} s stands in line {lines[seconds][0].line} already"
            )
        lines[seconds] = row, [presence_of(row, name) for name in classes]
    paths = paths_of(list(by_video), list(videos) or [root.parent], with_videos=with_videos)
    records = (
        presence_video(name, path, ((seconds, cells) for seconds, (_, cells) in by_video[name].items()), splits[name])
        for name, path in zip(by_video, paths, strict=True)
    )
    return PresenceDataset(source=replace(_SECONDS, name=root.name), classes=classes, videos=tuple(records))


def _splits(rows: Sequence[Row]) -> dict[str, str]:
    """The split of every video, empty in a table without that column; ValueError if one is in two, or has no name."""
    splits: dict[str, str] = {}
    for row in rows:
        video, split = named(row, "video"), row.get("split", "")
        if splits.setdefault(video, split) != split:
            raise ValueError(f"{row.where}: {video} is in split {splits[video]!r} and in {split!r}")
    return splits


def presence_of(row: Row, column: str) -> float:
    """0, 1, or NaN for an empty cell; ValueError for anything else."""
    values = {"0": 0.0, "1": 1.0, "": float("nan")}
    if row[column] not in values:
        raise ValueError(f"{row.where}: {column} is {row[column]!r}; expected 0, 1 or empty")
    return values[row[column]]


def presence_video(name: str, path: Path, rows: Iterable[tuple[float, list[float]]], split: str = "") -> PresenceVideo:
    """A video with its labelled seconds in order."""
    ordered = sorted(rows, key=lambda row: row[0])
    return PresenceVideo(
        video_id=name,
        path=path,
        seconds_n=np.array([seconds for seconds, _ in ordered], dtype=np.float64),
        present_nc=np.array([cells for _, cells in ordered], dtype=np.float64),
        split=split,
    )
