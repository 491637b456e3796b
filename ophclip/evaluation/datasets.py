"""Datasets in the layout in which their owners ship them. Nothing is ever downloaded.

With `with_videos=False` only the annotation tables are read and the paths are those that are expected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ophclip.evaluation.records import LabelSegment, PhaseDataset, PhaseVideo, PresenceDataset, PresenceVideo, Source
from ophclip.evaluation.tables import number, read_table, require_video

CATARACT101 = Source(
    name="cataract101",
    license="CC BY-NC 4.0",
    citation="Schoeffmann et al., Cataract-101: video dataset of 101 cataract surgeries, ACM MMSys 2018",
    obtain="ask for it at ftp.itec.aau.at/datasets/ovid/cat-101 and unpack it; the folder holds annotations.csv",
    overlap_rule="a phase runs from its start frame to the next start frame, so none overlap",
    background_rule="frames before the first start are unlabelled and not scored; the last phase runs to the end",
)
OPHNET_PHASE = Source(
    name="ophnet-phase",
    license="MIT (annotations); videos under the terms of their owners",
    citation="Hu et al., OphNet: a large-scale video benchmark for ophthalmic surgical workflow, ECCV 2024",
    obtain="clone minghu0830/OphNet-benchmark for the tables, ask its authors for the videos",
)
TABLE = Source(name="table", license="as you hold it", citation="none", obtain="your own CSV and videos")


def read_cataract101(root: Path, *, with_videos: bool = True) -> PhaseDataset:
    """Cataract-101: `annotations.csv`, `videos.csv`, `phases.csv` (`;`) and `videos/case_NNN.mp4`.

    Raises:
        ValueError: a table, a column or a video is missing, or a row refers to an unknown phase or video.
    """
    phases = read_table(root / "phases.csv", ("Phase", "Meaning"), separator=";")
    names = {row["Phase"]: row["Meaning"] for row in phases}
    table = root / "videos.csv"
    infos = read_table(table, ("VideoID", "Frames", "FPS", "Surgeon", "Experience"), separator=";")
    starts = _phase_starts(root, names, {row["VideoID"] for row in infos})
    ids = [f"case_{row['VideoID']}" for row in infos]
    paths = _paths(ids, [root / "videos"], with_videos=with_videos)
    videos = tuple(
        PhaseVideo(
            video_id=video_id,
            path=path,
            segments=_segments_of_starts(starts[row["VideoID"]], table, row),
            attributes={"surgeon": row["Surgeon"], "experience": row["Experience"]},
        )
        for video_id, path, row in zip(ids, paths, infos, strict=True)
    )
    return PhaseDataset(source=CATARACT101, classes=tuple(names.values()), videos=videos)


def _phase_starts(root: Path, names: dict[str, str], videos: set[str]) -> dict[str, list[tuple[float, str]]]:
    """Start frame and phase name by video, in order; every listed video has at least one."""
    table = root / "annotations.csv"
    starts: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in read_table(table, ("VideoID", "FrameNo", "Phase"), separator=";"):
        if row["Phase"] not in names:
            raise ValueError(f"{table}: phase {row['Phase']!r} has no name in {root / 'phases.csv'}")
        if row["VideoID"] not in videos:
            raise ValueError(f"{table}: video {row['VideoID']} is not listed in {root / 'videos.csv'}")
        starts[row["VideoID"]].append((number(table, row, "FrameNo"), names[row["Phase"]]))
    if bare := sorted(videos - set(starts)):
        raise ValueError(f"{table}: no phase of video {bare[0]}, which videos.csv lists; is the table whole?")
    return {video: sorted(frames) for video, frames in starts.items()}


def _segments_of_starts(
    starts: Sequence[tuple[float, str]], table: Path, row: dict[str, str]
) -> tuple[LabelSegment, ...]:
    fps, frames = number(table, row, "FPS"), number(table, row, "Frames")
    if fps <= 0:
        raise ValueError(f"{table}: FPS of video {row['VideoID']} is {row['FPS']} and must be positive")
    ends = [frame for frame, _ in starts[1:]] + [frames]
    return tuple(
        LabelSegment(start_seconds=start / fps, end_seconds=end / fps, label=label)
        for (start, label), end in zip(starts, ends, strict=True)
        if end > start
    )


def read_ophnet_phases(root: Path, *, split: str = "", with_videos: bool = True) -> PhaseDataset:
    """OphNet2024 phases: `OphNet2024_loca_challenge_phase.csv`, `phase_names.csv`, `videos/case_NNNN.mp4`.

    In the released file 186 neighbouring segments overlap and 407 leave gaps: see the rules in `.source`.

    Raises:
        ValueError: a table, a column or a video is missing, a phase has no name, or a segment ends before it starts.
    """
    table = root / "OphNet2024_loca_challenge_phase.csv"
    rows = read_table(table, ("video_id", "start", "end", "split", "phase_id"))
    named = read_table(root / "phase_names.csv", ("phase_id", "name"))
    names = {row["phase_id"]: row["name"] for row in sorted(named, key=lambda row: int(row["phase_id"]))}
    spans: dict[str, list[LabelSegment]] = defaultdict(list)
    splits: dict[str, str] = {}
    for row in rows:
        if row["phase_id"] not in names:
            raise ValueError(f"{table}: phase_id {row['phase_id']!r} has no name in {root / 'phase_names.csv'}")
        if split and row["split"] != split:
            continue
        spans[row["video_id"]].append(_segment(table, row, "start", "end", names[row["phase_id"]]))
        splits[row["video_id"]] = row["split"]
    if not spans:
        raise ValueError(
            f"{table}: no segment of split {split!r}; it has {', '.join(sorted({r['split'] for r in rows}))}"
        )
    videos = _phase_videos(spans, [root / "videos"], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=OPHNET_PHASE, classes=tuple(names.values()), videos=videos)


def read_phase_table(
    table: Path, videos: Sequence[Path] = (), *, classes: Sequence[str] = (), with_videos: bool = True
) -> PhaseDataset:
    """Any CSV of `video,start_seconds,end_seconds,label`; videos lie in `videos`, else beside the table.

    `classes` fixes the list that is predicted over; by default the labels of the table in order of first appearance.

    Raises:
        ValueError: a column or a video is missing, a label is not in `classes`, or a segment ends before it starts.
    """
    rows = read_table(table, ("video", "start_seconds", "end_seconds", "label"))
    labels = tuple(classes) or tuple(dict.fromkeys(row["label"] for row in rows))
    spans: dict[str, list[LabelSegment]] = defaultdict(list)
    for row in rows:
        if row["label"] not in labels:
            raise ValueError(f"{table}: label {row['label']!r} is not among the classes {', '.join(labels)}")
        spans[row["video"]].append(_segment(table, row, "start_seconds", "end_seconds", row["label"]))
    folders = list(videos) or [table.parent]
    return PhaseDataset(
        source=replace(TABLE, name=table.name),
        classes=labels,
        videos=_phase_videos(spans, folders, with_videos=with_videos),
    )


def _segment(table: Path, row: dict[str, str], start: str, end: str, label: str) -> LabelSegment:
    span = number(table, row, start), number(table, row, end)
    if span[1] <= span[0]:
        raise ValueError(f"{table}: a segment {label!r} ends at {span[1]:g} s, not after its start at {span[0]:g} s")
    return LabelSegment(start_seconds=span[0], end_seconds=span[1], label=label)


def _phase_videos(
    spans: dict[str, list[LabelSegment]],
    folders: Sequence[Path],
    *,
    with_videos: bool,
    splits: dict[str, str] | None = None,
) -> tuple[PhaseVideo, ...]:
    paths = _paths(list(spans), folders, with_videos=with_videos)
    return tuple(
        PhaseVideo(
            video_id=name,
            path=path,
            segments=tuple(sorted(spans[name], key=lambda part: (part.start_seconds, part.end_seconds))),
            split=(splits or {}).get(name, ""),
        )
        for name, path in zip(spans, paths, strict=True)
    )


def _paths(names: Sequence[str], folders: Sequence[Path], *, with_videos: bool) -> list[Path]:
    if not with_videos:
        return [folders[0] / f"{name}.mp4" for name in names]
    return [require_video(folders, name, wanted=len(names), found=index) for index, name in enumerate(names)]


def read_presence_table(table: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PresenceDataset:
    """Any CSV of `video,seconds,label...`: one column per class with 0, 1, or nothing where nobody said.

    Videos lie in `videos` (each folder or its `videos` folder), else beside the table.

    Raises:
        ValueError: a column or a video is missing, or a cell is neither 0, 1 nor empty.
    """
    rows = read_table(table, ("video", "seconds"))
    classes = tuple(name for name in rows[0] if name not in ("video", "seconds"))
    if not classes:
        raise ValueError(f"{table}: no label column after video,seconds; expected one per class")
    by_video: dict[str, list[tuple[float, list[float]]]] = defaultdict(list)
    for row in rows:
        cells = [_presence(table, row, name) for name in classes]
        by_video[row["video"]].append((number(table, row, "seconds"), cells))
    paths = _paths(list(by_video), list(videos) or [table.parent], with_videos=with_videos)
    records = tuple(_presence_video(name, path, by_video[name]) for name, path in zip(by_video, paths, strict=True))
    return PresenceDataset(source=replace(TABLE, name=table.name), classes=classes, videos=records)


def _presence(table: Path, row: dict[str, str], name: str) -> float:
    values = {"0": 0.0, "1": 1.0, "": float("nan")}
    if row[name] not in values:
        raise ValueError(
            f"{table}: {name} of {row['video']} at {row['seconds']} s is {row[name]!r}; expected 0, 1 or empty"
        )
    return values[row[name]]


def _presence_video(name: str, path: Path, rows: Iterable[tuple[float, list[float]]]) -> PresenceVideo:
    ordered = sorted(rows, key=lambda row: row[0])
    return PresenceVideo(
        video_id=name,
        path=path,
        seconds_n=np.array([seconds for seconds, _ in ordered], dtype=np.float64),
        present_nc=np.array([cells for _, cells in ordered], dtype=np.float64),
    )
