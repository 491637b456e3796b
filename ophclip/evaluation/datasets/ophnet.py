"""OphNet2024: phases, operations (steps) and surgeries of ophthalmic videos. Tables seen, without the videos.

The owner's names of operations and surgeries lie in a spreadsheet beside the repository. Save them here as
`operation_names.csv` (`operation_id,name`) and `surgery_names.csv` (`surgery_id,name`); without them a class is called
by its number, and prompts have to be your own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ophclip.evaluation.datasets.segments import phase_videos, segment_of, spans_of
from ophclip.evaluation.records import (
    Facts,
    FileDataset,
    LabelledFile,
    LabelSegment,
    PhaseDataset,
    Source,
    Task,
)
from ophclip.evaluation.tables import Row, named, names_of, paths_of, read_table

OTHERS = 106
"""Operations with fewer than fifteen clips were put together by the owner."""


def _source(name: str, background_rule: str) -> Source:
    return Source(
        name=name,
        license="MIT (annotations); videos under the terms of their owners",
        citation="Hu et al., OphNet: a large-scale video benchmark for ophthalmic surgical workflow, ECCV 2024",
        obtain="clone minghu0830/OphNet-benchmark for the tables, ask its authors for the videos",
        background_rule=background_rule,
    )


_OTHERS_RULE = "seconds outside every segment are unlabelled and not scored; Others is a class like any other"
_SURGERIES_RULE = "a video shows the surgeries that are listed of it and no other"
OPHNET = Facts(
    source=_source("ophnet-phase", _OTHERS_RULE),
    task=Task.PHASE,
    classes=52,
    protocol="video_macro_v1",
    prompts="ophnet",
)
OPHNET_OPERATIONS = Facts(
    source=_source("ophnet-operations", _OTHERS_RULE), task=Task.PHASE, classes=107, protocol="video_macro_v1"
)
OPHNET_SURGERIES = Facts(
    source=_source("ophnet-surgeries", _SURGERIES_RULE), task=Task.PROCEDURE, classes=80, protocol="file_map"
)


def read_ophnet_phases(
    root: Path, videos: Sequence[Path] = (), *, split: str = "", with_videos: bool = True
) -> PhaseDataset:
    """OphNet2024 phases: `OphNet2024_loca_challenge_phase.csv`, `phase_names.csv`, `videos/case_NNNN.mp4`.

    In the released file 186 neighbouring segments overlap and 407 leave gaps: see the rules in `.source`.

    Raises:
        ValueError: a table, a column or a video is missing, a phase has no name, or a segment ends before it starts.
    """
    named = root / "phase_names.csv"
    names = names_of(named, "phase_id")
    spans, splits = _spans(root / "OphNet2024_loca_challenge_phase.csv", "phase_id", _namer(names, named), split)
    found = phase_videos(spans, [root / "videos", *videos], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=OPHNET.source, classes=tuple(names.values()), videos=found)


def read_ophnet_operations(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """OphNet2024 operations, the steps within phases: `OphNet2024_loca_challenge.csv`, `videos/case_NNNN.mp4`.

    Raises:
        ValueError: a table, a column or a video is missing, an operation has no name where there are names.
    """
    names = _numbered(root / "operation_names.csv", "operation", OTHERS + 1, OTHERS)
    namer = _namer(names, root / "operation_names.csv")
    spans, splits = _spans(root / "OphNet2024_loca_challenge.csv", "operation_id", namer)
    found = phase_videos(spans, [root / "videos", *videos], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=OPHNET_OPERATIONS.source, classes=tuple(names.values()), videos=found)


def read_ophnet_surgeries(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """OphNet2024 surgeries of whole videos, the primary one first: `OphNet2024_surgery.csv`, `videos/case_NNNN.mp4`.

    Raises:
        ValueError: a table, a column or a video is missing, a video or a label of it stands there twice.
    """
    table = root / "OphNet2024_surgery.csv"
    names = _numbered(root / "surgery_names.csv", "surgery", OPHNET_SURGERIES.classes)
    namer = _namer(names, root / "surgery_names.csv")
    lines: dict[str, tuple[Row, tuple[str, ...]]] = {}
    for row in read_table(table, ("video_id", "surgery")):
        labels = tuple(namer(row, "surgery", part.strip()) for part in row["surgery"].split(","))
        if len(set(labels)) != len(labels):
            raise ValueError(f"{row.where}: a surgery of {row['video_id']} stands there twice: {row['surgery']}")
        if named(row, "video_id") in lines:
            raise ValueError(f"{row.where}: {row['video_id']} stands in line {lines[row['video_id']][0].line} already")
        lines[row["video_id"]] = row, labels
    paths = paths_of(list(lines), [root / "videos", *videos], with_videos=with_videos)
    files = (
        LabelledFile(file_id=video_id, path=path, labels=labels, video_id=video_id)
        for (video_id, (_, labels)), path in zip(lines.items(), paths, strict=True)
    )
    return FileDataset(
        source=OPHNET_SURGERIES.source, task=Task.PROCEDURE, classes=tuple(names.values()), files=tuple(files)
    )


_Namer = Callable[[Row, str, str], str]


def _numbered(table: Path, word: str, count: int, others: int = -1) -> dict[str, str]:
    if table.is_file():
        return names_of(table, f"{word}_id")
    return {str(index): "Others" if index == others else f"{word} {index}" for index in range(count)}


def _namer(names: Mapping[str, str], named: Path) -> _Namer:
    def name_of(row: Row, column: str, number: str) -> str:
        if number not in names:
            missing = f"no name in {named}" if named.is_file() else f"expected a number from 0 to {len(names) - 1}"
            raise ValueError(f"{row.where}: {column} {number!r}: {missing}")
        return names[number]

    return name_of


def _spans(
    table: Path, column: str, name_of: _Namer, split: str = ""
) -> tuple[dict[str, list[LabelSegment]], dict[str, str]]:
    rows = read_table(table, ("video_id", "start", "end", "split", column))
    found: list[tuple[Row, str, LabelSegment]] = []
    splits: dict[str, str] = {}
    for row in rows:
        video, label = named(row, "video_id"), name_of(row, column, row[column])
        if split and row["split"] != split:
            continue
        if splits.setdefault(video, row["split"]) != row["split"]:
            raise ValueError(f"{row.where}: {video} is in {splits[video]} and in {row['split']}")
        found.append((row, video, segment_of(row, "start", "end", label)))
    if not found:
        known = ", ".join(sorted({row["split"] for row in rows}))
        raise ValueError(f"{table}: no segment of split {split!r}; it has {known}")
    return spans_of(found), splits
