"""Cataract-1K: twelve phases of 56 videos, whole or cut beforehand.

Two layouts: the owner's, `annotations/case_N/case_N_annotations_phases.csv` with `comment,sec,endSec` (after the
owner's code; not seen here), and lists of clips `train.csv`, `val.csv` of `path label` with `label_map.json`, where
the boundaries stand in the names of the clips (seen, without the videos). Where the first is not there the second is
read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ophclip.evaluation.datasets.segments import phase_videos, segment_of, spans_of
from ophclip.evaluation.prompts import normal
from ophclip.evaluation.records import (
    Facts,
    FileDataset,
    LabelledFile,
    LabelSegment,
    PhaseDataset,
    Source,
    Task,
)
from ophclip.evaluation.tables import Row, label_numbers, read_table

PHASES = (
    "Incision",
    "Viscoelastic",
    "Capsulorhexis",
    "Hydrodissection",
    "Phacoemulsification",
    "Irrigation/Aspiration",
    "Capsule polishing",
    "Lens implantation",
    "Lens positioning",
    "Viscoelastic suction",
    "Anterior chamber flushing",
    "Tonifying/Antibiotics",
)
_SPELLINGS = {normal(phase): phase for phase in PHASES} | {"capsule pulishing": "Capsule polishing"}
_CLIP = re.compile(r"(?P<video>case_\d+)_segment_(?P<number>\d+)_(?P<phase>.+)_(?P<start>[\d.]+)-(?P<end>[\d.]+)")

SOURCE = Source(
    name="cataract1k",
    license="CC BY 4.0",
    citation="Ghamsarian et al., Cataract-1K: cataract surgery dataset, Scientific Data 2024",
    obtain="register at synapse.org, project syn52540135, and take its phase recognition dataset",
    background_rule="time outside the phases is idle, as its owners say: unlabelled and not scored",
)
CATARACT1K = Facts(source=SOURCE, task=Task.PHASE, classes=12, protocol="video_macro_v1", prompts="cataract1k")
CATARACT1K_CLIPS = Facts(
    source=replace(SOURCE, name="cataract1k-clips"),
    task=Task.CLIP,
    classes=12,
    protocol="clip_topk",
    prompts="cataract1k",
)


def read_cataract1k(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """Cataract-1K phases of whole videos, `videos/case_N.mp4`.

    Raises:
        ValueError: neither layout is there, a video is missing, or a phase is none of the twelve.
    """
    splits: dict[str, str] = {}
    if (root / "annotations").is_dir():
        spans = {folder.name: _phases(folder) for folder in sorted(root.glob("annotations/case_*"))}
        if not spans:
            raise ValueError(f"{root / 'annotations'}: expected a folder case_N per video and there is none")
    else:
        spans = defaultdict(list)
        for clip in _clips(root):
            if splits.setdefault(clip.video_id, clip.split) != clip.split:
                raise ValueError(f"{clip.row.where}: {clip.video_id} is in {splits[clip.video_id]} and in {clip.split}")
            spans[clip.video_id].append(clip.segment)
    found = phase_videos(spans, [root / "videos", *videos], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=SOURCE, classes=PHASES, videos=found)


def read_cataract1k_clips(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """Cataract-1K phases of clips that were cut beforehand, `split_video/case_N/case_N_segment_...mp4`.

    Raises:
        ValueError: a list or a clip is missing, or a clip's name and number disagree on its phase.
    """
    clips = list(_clips(root))
    places = [folder for place in (root, *videos) for folder in (place / "split_video", place)]
    files = []
    for index, clip in enumerate(clips):
        inside = Path(clip.video_id) / clip.name
        path = next((folder / inside for folder in places if (folder / inside).is_file()), places[0] / inside)
        if with_videos and not path.is_file():
            raise ValueError(f"{path}: expected this clip ({index} of {len(clips)} found before it); unpack the rest")
        files.append(
            LabelledFile(
                file_id=inside.stem, path=path, labels=(clip.segment.label,), video_id=clip.video_id, split=clip.split
            )
        )
    return FileDataset(source=CATARACT1K_CLIPS.source, task=Task.CLIP, classes=PHASES, files=tuple(files))


def _phases(folder: Path) -> list[LabelSegment]:
    rows = read_table(folder / f"{folder.name}_annotations_phases.csv", ("comment", "sec", "endSec"))
    found = ((row, folder.name, segment_of(row, "sec", "endSec", _phase(row, row["comment"]))) for row in rows)
    return spans_of(found)[folder.name]


def _phase(row: Row, name: str) -> str:
    if normal(name) not in _SPELLINGS:
        raise ValueError(f"{row.where}: phase {name!r} is none of {', '.join(PHASES)}")
    return _SPELLINGS[normal(name)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Clip:
    """A line of a list of clips."""

    row: Row
    name: str
    video_id: str
    split: str
    segment: LabelSegment


def _clips(root: Path) -> Iterator[_Clip]:
    listed = [root / f"{split}.csv" for split in ("train", "val", "test") if (root / f"{split}.csv").is_file()]
    if not listed:
        raise ValueError(f"{root / 'annotations'}: expected this folder, or the lists train.csv and val.csv of clips")
    names = {index: name for name, index in label_numbers(root / "label_map.json").items()}
    seen: dict[str, Row] = {}
    for table in listed:
        for row in read_table(table, ("path", "label"), separator=" ", header=("path", "label")):
            name = PurePosixPath(row["path"]).name
            if seen.setdefault(name, row) is not row:
                raise ValueError(f"{row.where}: {name} stands in {seen[name].where} already")
            yield _clip(row, name, table.stem, names)


def _clip(row: Row, name: str, split: str, names: dict[str, str]) -> _Clip:
    parts = _CLIP.fullmatch(PurePosixPath(name).stem)
    if parts is None:
        raise ValueError(f"{row.where}: expected a clip called case_N_segment_N_PHASE_START-END.mp4, not {name!r}")
    if row["label"] not in names:
        raise ValueError(f"{row.where}: label {row['label']!r} is none of label_map.json's {', '.join(names)}")
    phase = _phase(row, names[row["label"]])
    if _phase(row, parts["phase"]) != phase:
        raise ValueError(f"{row.where}: the name says {parts['phase']!r} and the label {names[row['label']]!r}")
    span = Row(((key, parts[key]) for key in ("start", "end")), row.table, row.line)
    return _Clip(
        row=row,
        name=name,
        video_id=parts["video"],
        split=split,
        segment=segment_of(span, "start", "end", phase),
    )
