"""Cholec80 and AutoLaparo: phases outside ophthalmology, because the public surgical models report on them.

Tables of `path,label` by frame, one per split (`train.csv`, `val.csv`, `test.csv`); a path ends in
`VIDEO/NAME_NUMBER.png`, whose number counts frames at 25 fps. Layout after the habit of public surgical models; not
seen here. Public copies number the phases differently, so a label is a name; numbers need `label_map.json`, a JSON
object of numbers by name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from ophclip.evaluation.datasets.segments import phase_videos, segments_of_frames
from ophclip.evaluation.prompts import normal
from ophclip.evaluation.records import Facts, LabelSegment, PhaseDataset, Source, Task
from ophclip.evaluation.tables import Row, label_numbers, read_table

FPS = 25.0
CHOLEC80_PHASES = (
    "Preparation",
    "Calot triangle dissection",
    "Clipping and cutting",
    "Gallbladder dissection",
    "Gallbladder packaging",
    "Cleaning and coagulation",
    "Gallbladder retraction",
)
AUTOLAPARO_PHASES = (
    "Preparation",
    "Dividing ligament and peritoneum",
    "Dividing uterine vessels and ligament",
    "Transecting the vagina",
    "Specimen removal",
    "Suturing",
    "Washing",
)
_CHOLEC80_JOINED = {
    "calottriangledissection": "Calot triangle dissection",
    "clippingcutting": "Clipping and cutting",
    "gallbladderdissection": "Gallbladder dissection",
    "gallbladderpackaging": "Gallbladder packaging",
    "cleaningcoagulation": "Cleaning and coagulation",
    "gallbladderretraction": "Gallbladder retraction",
}
_SPLITS = ("train", "val", "test")

CHOLEC80 = Facts(
    source=Source(
        name="cholec80",
        license="CC BY-NC-SA 4.0",
        citation="Twinanda et al., EndoNet: a deep architecture for recognition tasks on laparoscopic videos, TMI 2017",
        obtain="ask for it at camma.unistra.fr/datasets and make the tables of its frames",
        overlap_rule="every frame has one label, so none overlap",
    ),
    task=Task.PHASE,
    classes=7,
    protocol="video_macro_v1",
    prompts="cholec80",
)
AUTOLAPARO = Facts(
    source=Source(
        name="autolaparo",
        license="terms of its owners, for research",
        citation="Wang et al., AutoLaparo: a dataset of integrated multi-tasks for hysterectomy, MICCAI 2022",
        obtain="ask for it at autolaparo.github.io and make the tables of its frames",
        overlap_rule="every frame has one label, so none overlap",
    ),
    task=Task.PHASE,
    classes=7,
    protocol="video_macro_v1",
    prompts="autolaparo",
)


def read_cholec80(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """Cholec80 from tables of frames.

    Raises:
        ValueError: no table or video, a label that is no phase's name, or a path without a frame's number.
    """
    return _read(CHOLEC80, CHOLEC80_PHASES, _CHOLEC80_JOINED, root, videos, with_videos=with_videos)


def read_autolaparo(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """AutoLaparo from tables of frames. Raises as `read_cholec80`."""
    return _read(AUTOLAPARO, AUTOLAPARO_PHASES, {}, root, videos, with_videos=with_videos)


def _read(
    facts: Facts,
    phases: Sequence[str],
    joined: Mapping[str, str],
    root: Path,
    videos: Sequence[Path],
    *,
    with_videos: bool,
) -> PhaseDataset:
    known = {normal(phase): phase for phase in phases} | dict(joined)
    numbered = _label_map(root / "label_map.json", known)
    rows: dict[str, list[Row]] = defaultdict(list)
    labels: dict[str, list[str]] = defaultdict(list)
    splits: dict[str, str] = {}
    for split in _SPLITS:
        for row in read_table(root / f"{split}.csv", ("path", "label")) if (root / f"{split}.csv").is_file() else ():
            video, frame = _frame_of(row)
            if splits.setdefault(video, split) != split:
                raise ValueError(f"{row.where}: {video} is in {splits[video]} and in {split}")
            rows[video].append(Row((("frame", frame),), row.table, row.line))
            labels[video].append(_label(row, known, numbered))
    if not rows:
        raise ValueError(f"{root / 'test.csv'}: expected this table, or train.csv or val.csv, and none is there")
    spans: dict[str, tuple[LabelSegment, ...]] = {
        video: segments_of_frames(rows[video], "frame", labels[video], fps=FPS) for video in rows
    }
    found = phase_videos(spans, [root / "videos", *videos], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=facts.source, classes=tuple(phases), videos=found)


def _frame_of(row: Row) -> tuple[str, str]:
    path = PurePosixPath(row["path"].replace("\\", "/"))
    number = re.search(r"(\d+)$", path.stem)
    if number is None or not path.parent.name:
        raise ValueError(f"{row.where}: expected a path that ends in VIDEO/NAME_NUMBER.png, not {row['path']!r}")
    return path.parent.name, number[1]


def _label(row: Row, known: Mapping[str, str], numbered: Mapping[str, str]) -> str:
    label = row["label"]
    if label in numbered:
        return numbered[label]
    if label.isdecimal():
        raise ValueError(
            f"{row.where}: label {label} is a number, and public copies number the phases differently; "
            f"say which is which in {row.table.parent / 'label_map.json'}"
        )
    if normal(label) not in known:
        raise ValueError(f"{row.where}: label {label!r} is none of {', '.join(dict.fromkeys(known.values()))}")
    return known[normal(label)]


def _label_map(path: Path, known: Mapping[str, str]) -> dict[str, str]:
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for name, index in label_numbers(path).items():
        if normal(name) not in known:
            raise ValueError(f"{path}: {name!r} is none of {', '.join(dict.fromkeys(known.values()))}")
        found[index] = known[normal(name)]
    return found
