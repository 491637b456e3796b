"""Cataract-101: start frames of ten phases in 101 videos. Layout seen, without the videos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from ophclip.evaluation.datasets.segments import label_of
from ophclip.evaluation.records import Facts, LabelSegment, PhaseDataset, PhaseVideo, Source, Task
from ophclip.evaluation.tables import Row, names_of, number, paths_of, read_table

CATARACT101 = Facts(
    source=Source(
        name="cataract101",
        license="CC BY-NC 4.0",
        citation="Schoeffmann et al., Cataract-101: video dataset of 101 cataract surgeries, ACM MMSys 2018",
        obtain="ask for it at ftp.itec.aau.at/datasets/ovid/cat-101 and unpack it; the folder holds annotations.csv",
        overlap_rule="a phase runs from its start frame to the next start frame, so none overlap",
        background_rule="frames before the first start are unlabelled and not scored; the last phase runs to the end",
    ),
    task=Task.PHASE,
    classes=10,
    protocol="video_macro_v1",
    prompts="cataract101",
)


def read_cataract101(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """Cataract-101: `annotations.csv`, `videos.csv`, `phases.csv` (`;`) and `videos/case_NNN.mp4`.

    Raises:
        ValueError: a table, a column or a video is missing, or a row refers to an unknown phase or video.
    """
    names = names_of(root / "phases.csv", "Phase", "Meaning", separator=";")
    infos = read_table(root / "videos.csv", ("VideoID", "Frames", "FPS", "Surgeon", "Experience"), separator=";")
    by_id: dict[str, Row] = {}
    for row in infos:
        if by_id.setdefault(row["VideoID"], row) is not row:
            raise ValueError(f"{row.where}: video {row['VideoID']} stands in line {by_id[row['VideoID']].line} already")
    starts = _phase_starts(root, names, by_id)
    ids = [f"case_{name}" for name in by_id]
    paths = paths_of(ids, [root / "videos", *videos], with_videos=with_videos)
    return PhaseDataset(
        source=CATARACT101.source,
        classes=tuple(names.values()),
        videos=tuple(
            PhaseVideo(
                video_id=video_id,
                path=path,
                segments=_segments_of_starts(starts[row["VideoID"]], row),
                attributes={"surgeon": row["Surgeon"], "experience": row["Experience"]},
            )
            for video_id, path, row in zip(ids, paths, infos, strict=True)
        ),
    )


def _phase_starts(
    root: Path, names: Mapping[str, str], videos: Mapping[str, Row]
) -> dict[str, list[tuple[float, str, Row]]]:
    """Start frame and phase name by video, in order; every listed video has at least one."""
    table = root / "annotations.csv"
    starts: dict[str, list[tuple[float, str, Row]]] = defaultdict(list)
    for row in read_table(table, ("VideoID", "FrameNo", "Phase"), separator=";"):
        if row["Phase"] not in names:
            raise ValueError(f"{row.where}: phase {row['Phase']!r} has no name in {root / 'phases.csv'}")
        if row["VideoID"] not in videos:
            raise ValueError(f"{row.where}: video {row['VideoID']} is not listed in {root / 'videos.csv'}")
        starts[row["VideoID"]].append((number(row, "FrameNo"), label_of(row, "Phase", names), row))
    if bare := sorted(set(videos) - set(starts)):
        raise ValueError(f"{table}: no phase of video {bare[0]}, which videos.csv lists; is the table whole?")
    return {video: sorted(frames, key=lambda item: item[:2]) for video, frames in starts.items()}


def _segments_of_starts(starts: Sequence[tuple[float, str, Row]], info: Row) -> tuple[LabelSegment, ...]:
    fps, frames = number(info, "FPS"), number(info, "Frames")
    if fps <= 0:
        raise ValueError(f"{info.where}: FPS of video {info['VideoID']} is {info['FPS']} and must be positive")
    ends = [frame for frame, _, _ in starts[1:]] + [frames]
    segments = []
    for (start, label, row), end in zip(starts, ends, strict=True):
        if end <= start or start < 0:
            twice = sum(frame == start for frame, _, _ in starts) > 1
            why = "two phases start there" if twice else f"it has frames 0 to {frames - 1:g}"
            raise ValueError(f"{row.where}: a phase of video {info['VideoID']} starts at frame {start:g}, but {why}")
        segments.append(LabelSegment(start_seconds=start / fps, end_seconds=end / fps, label=label, where=row.where))
    return tuple(segments)
