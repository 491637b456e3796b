"""CatRelDet and LensID: clips cut beforehand, in folders. Layout after the owner's description; not seen here.

A clip's split is the folder `train` or `test` on its way, and its class the folder named after it. CatRelDet holds four
tasks, each a folder of a phase with clips of the phase and clips of the rest; a folder inside it whose name begins with
other, rest, non or not holds the rest. In the task of five ways the rest of one phase may show another of the four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.records import VIDEO_SUFFIXES
from ophclip.evaluation.prompts import normal
from ophclip.evaluation.records import Facts, FileDataset, LabelledFile, Source, Task

REST = "Rest"
CATRELDET_PHASES = {
    "implantation": "Implantation",
    "irrigation aspiration plus viscoelastic suction": "Irrigation/Aspiration and viscoelastic suction",
    "irrigation aspiration viscoelastic suction": "Irrigation/Aspiration and viscoelastic suction",
    "phacoemulsification": "Phacoemulsification",
    "phacoemulification": "Phacoemulsification",
    "rhexis": "Rhexis",
}
LENSID_PHASES = {"implantation": "Lens implantation", "lens implantation": "Lens implantation"}
_SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}

CATRELDET = Facts(
    source=Source(
        name="catreldet",
        license="CC BY-NC 4.0",
        citation="Ghamsarian et al., Relevance detection in cataract surgery videos by spatio-temporal action "
        "localization, ICPR 2020",
        obtain="ask for it at ftp.itec.aau.at/datasets/ovid and unpack it; a folder per phase holds train and test",
        overlap_rule="a clip has one class",
        background_rule="clips of other phases are the class Rest, which of five ways may show another of the four",
    ),
    task=Task.CLIP,
    classes=5,
    protocol="clip_topk",
    prompts="catreldet",
)
LENSID = Facts(
    source=Source(
        name="lensid",
        license="CC BY-NC 4.0",
        citation="Ghamsarian et al., LensID: a CNN-RNN-based framework towards lens irregularity detection in cataract "
        "surgery videos, MICCAI 2021",
        obtain="ask for it at ftp.itec.aau.at/datasets/ovid/LensID and unpack it; train and test hold a folder a class",
        overlap_rule="a clip has one class",
        background_rule="clips without lens implantation are the class Rest",
    ),
    task=Task.CLIP,
    classes=2,
    protocol="clip_topk",
    prompts="lensid",
)


def read_catreldet(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """CatRelDet: four phases and the rest; `group` of a clip is the phase whose task it belongs to.

    Raises:
        ValueError: there is no clip, or one whose phase or split the folders do not tell.
    """
    del videos, with_videos  # The clips in the folder are the annotations.
    return _read(CATRELDET, CATRELDET_PHASES, root)


def read_lensid(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """LensID: lens implantation or not.

    Raises:
        ValueError: there is no clip, or one whose class or split the folders do not tell.
    """
    del videos, with_videos
    return _read(LENSID, LENSID_PHASES, root, group="Lens implantation")


def _read(facts: Facts, phases: Mapping[str, str], root: Path, group: str = "") -> FileDataset:
    found = (
        _file(root, path, phases, group)
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
    )
    files = tuple(found)
    if not files:
        raise ValueError(f"{root}: no clip in it or its folders; is the folder the right one, and unpacked?")
    return FileDataset(
        source=facts.source, task=facts.task, classes=(*dict.fromkeys(phases.values()), REST), files=files
    )


def _file(root: Path, path: Path, phases: Mapping[str, str], group: str) -> LabelledFile:
    folders = [normal(part) for part in path.relative_to(root).parts[:-1]]
    splits = {_SPLITS[name] for name in folders if name in _SPLITS}
    named = {phases[name] for name in folders if name in phases}
    rest = any(name.split()[:1] in (["other"], ["others"], ["rest"], ["non"], ["not"]) for name in folders)
    if len(splits) != 1:
        raise ValueError(f"{path}: expected one folder train or test on the way to it")
    if len(named) != 1 and not (rest and group and not named):
        raise ValueError(f"{path}: expected one folder on the way to it named after {', '.join(sorted(phases))}")
    name = path.relative_to(root).with_suffix("").as_posix()
    return LabelledFile(
        file_id=name,
        path=path,
        labels=(REST if rest else min(named),),
        video_id=name,
        split=splits.pop(),
        group=group or min(named),
    )
