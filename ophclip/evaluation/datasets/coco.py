"""Instruments seen in single pictures, from COCO files: CatInstSeg (InSegCat) and Cataract-1K's segmentations.

Layout after the owner's code and public descriptions; not seen here. Any `*.json` below the folder that holds `images`,
`annotations` and `categories` is read; the pictures are sought beside it and then by name below the folder.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ingest.parsing import parse_json
from ophclip.evaluation.prompts import normal
from ophclip.evaluation.records import Facts, FileDataset, LabelledFile, Source, Task
from ophclip.evaluation.tables import read_text

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
CATINSTSEG_TOOLS = (
    "Slit knife",
    "Angled incision knife",
    "Katena forceps",
    "27 gauge cannula",
    "Capsulorhexis forceps",
    "Cannula",
    "Phaco tip",
    "Spatula",
    "I/A handpiece",
    "Cartridge",
    "Eye retractors",
)
INSEGCAT_TOOLS = (
    "I/A handpiece",
    "Bonn forceps",
    "Capsulorhexis cystotome",
    "Capsulorhexis forceps",
    "Charleux cannula",
    "Hydrodissection cannula",
    "Lens injector",
    "Micromanipulator",
    "Phacoemulsifier handpiece",
    "Primary knife",
    "Rycroft cannula",
    "Secondary knife",
    "Suture needle",
    "Viscoelastic cannula",
    "Vitrectomy handpiece",
)
CATARACT1K_TOOLS = (
    "Slit/incision knife",
    "Gauge",
    "Spatula",
    "Capsulorhexis cystotome",
    "Phaco tip",
    "Irrigation-aspiration",
    "Lens injector",
    "Capsulorhexis forceps",
    "Katena forceps",
)
_CATINSTSEG_CODES = dict(
    zip(
        ("i1", "i2", "i3", "i7", "i8", "i9", "i10", "i11", "i12", "i16", "i20"),
        CATINSTSEG_TOOLS,
        strict=True,
    )
)
"""The owner's class ids, which may stand for the names."""
_INSEGCAT_SHORT = {
    "a i handpiece": "I/A handpiece",
    "cap cystotome": "Capsulorhexis cystotome",
    "cap forceps": "Capsulorhexis forceps",
    "hydro cannula": "Hydrodissection cannula",
    "phaco handpiece": "Phacoemulsifier handpiece",
    "visco cannula": "Viscoelastic cannula",
    "viter handpiece": "Vitrectomy handpiece",
    **dict.fromkeys(("eye retractors", "water sprayer", "needle holder", "vannas scissors", "mendez ring"), ""),
    **dict.fromkeys(("biomarker", "marker"), ""),
}
_CATARACT1K_OTHER = {
    "slit knife": "Slit/incision knife",
    "incision knife": "Slit/incision knife",
    "phacoemulsification tip": "Phaco tip",
    **dict.fromkeys(("cornea", "cornea1", "pupil", "pupil1", "lens"), ""),
}


def _source(name: str, terms: str, citation: str, obtain: str) -> Source:
    return Source(
        name=name,
        license=terms,
        citation=citation,
        obtain=obtain,
        overlap_rule="any number of instruments in a picture",
        background_rule="a picture without annotation shows none of the instruments",
    )


def _facts(source: Source, classes: int, prompts: str) -> Facts:
    return Facts(source=source, task=Task.PICTURE, classes=classes, protocol="instrument_video_map", prompts=prompts)


_FOX = "Fox et al., Pixel-based tool segmentation in cataract surgery videos with Mask R-CNN, CBMS 2020"
_FTP = "ask for it at ftp.itec.aau.at/datasets/ovid/InSegCat and unpack dataset {}; pictures lie beside the JSON"
CATINSTSEG = _facts(_source("catinstseg", "CC BY-NC 4.0", _FOX, _FTP.format(1)), len(CATINSTSEG_TOOLS), "instruments")
INSEGCAT = _facts(_source("insegcat", "CC BY-NC 4.0", _FOX, _FTP.format(2)), len(INSEGCAT_TOOLS), "cataract_tools")
CATARACT1K_INSTRUMENTS = _facts(
    _source(
        "cataract1k-instruments",
        "CC BY 4.0",
        "Ghamsarian et al., Cataract-1K: cataract surgery dataset, Scientific Data 2024",
        "register at synapse.org, project syn52540135, and take its segmentation dataset",
    ),
    len(CATARACT1K_TOOLS),
    "instruments",
)


def read_catinstseg(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """CatInstSeg, dataset 1 of InSegCat: eleven instruments.

    Raises:
        ValueError: no COCO file, a category that is none of the instruments, or a picture is missing.
    """
    return _read(CATINSTSEG, CATINSTSEG_TOOLS, _CATINSTSEG_CODES, [root, *videos], with_videos=with_videos)


def read_insegcat(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """InSegCat, dataset 2, made from CaDIS: fifteen instruments; others are left out. Raises as `read_catinstseg`."""
    return _read(INSEGCAT, INSEGCAT_TOOLS, _INSEGCAT_SHORT, [root, *videos], with_videos=with_videos)


def read_cataract1k_instruments(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> FileDataset:
    """Cataract-1K: nine instruments; anatomy is left out. Raises as `read_catinstseg`."""
    return _read(CATARACT1K_INSTRUMENTS, CATARACT1K_TOOLS, _CATARACT1K_OTHER, [root, *videos], with_videos=with_videos)


def _read(
    facts: Facts, tools: Sequence[str], others: Mapping[str, str], roots: Sequence[Path], *, with_videos: bool
) -> FileDataset:
    trees = [(path, tree) for path in sorted(roots[0].rglob("*.json")) if (tree := _coco(path)) is not None]
    if not trees:
        raise ValueError(
            f"{roots[0]}: no COCO file (*.json with images, annotations, categories) in it; is it unpacked?"
        )
    known = {normal(tool): tool for tool in tools} | dict(others)
    pictures = _by_name(roots)
    files: dict[str, LabelledFile] = {}
    for path, tree in trees:
        try:
            found = list(_files(path, tree, known, pictures))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: an entry is not as COCO has it ({error}); is the file whole?") from error
        for file in found:
            if files.setdefault(file.file_id, file) is not file:
                raise ValueError(f"{path}: picture {file.file_id} is annotated twice")
            if with_videos and not file.path.is_file():
                raise ValueError(f"{file.path}: expected this picture of {path}; unpack the rest")
    return FileDataset(source=facts.source, task=facts.task, classes=tuple(tools), files=tuple(files.values()))


def _coco(path: Path) -> dict[str, Any] | None:
    """The tree of a COCO file, None of another JSON file."""
    try:
        tree = parse_json(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg}); is the file whole?") from error
    return tree if isinstance(tree, dict) and {"images", "annotations", "categories"} <= set(tree) else None


def _files(
    path: Path, tree: dict[str, Any], known: Mapping[str, str], pictures: Mapping[str, Sequence[Path]]
) -> Iterator[LabelledFile]:
    names: dict[Any, str] = {}
    for category in tree["categories"]:
        if normal(str(category["name"])) not in known:
            tools = sorted(set(filter(None, known.values())))
            raise ValueError(f"{path}: category {category['name']!r} is none of {', '.join(tools)}")
        names[category["id"]] = known[normal(str(category["name"]))]
    seen: dict[Any, set[str]] = defaultdict(set)
    for mark in tree["annotations"]:
        if mark["category_id"] not in names:
            raise ValueError(f"{path}: an annotation of category {mark['category_id']}, which is not in its list")
        seen[mark["image_id"]].add(names[mark["category_id"]])
    if stray := sorted(map(str, set(seen) - {picture["id"] for picture in tree["images"]})):
        raise ValueError(f"{path}: an annotation of picture {stray[0]}, which is not in its list")
    folder = path.parent.parent.name if path.parent.name == "annotations" else path.parent.name
    for picture in tree["images"]:
        name = PurePosixPath(str(picture["file_name"]).replace("\\", "/"))
        video_id = _video_of(name.stem) or folder
        yield LabelledFile(
            file_id=name.as_posix(),
            path=_picture(path, name, pictures),
            labels=tuple(tool for tool in dict.fromkeys(known.values()) if tool and tool in seen[picture["id"]]),
            video_id=video_id,
            split=next((part for part in ("train", "val", "test") if part in normal(path.stem).split()), ""),
        )


def _video_of(stem: str) -> str:
    """`case5013` of `case5013_57`; empty where a name does not tell the video."""
    parts = re.fullmatch(r"((?:case|video)_?\d+)_.*", stem, flags=re.IGNORECASE)
    return parts[1] if parts else ""


def _picture(path: Path, name: PurePosixPath, pictures: Mapping[str, Sequence[Path]]) -> Path:
    beside = (path.parent / name, path.parent / "images" / name, path.parent.parent / "images" / name)
    if found := next((place for place in beside if place.is_file()), None):
        return found
    same = pictures.get(name.name, ())
    if len(same) > 1:
        raise ValueError(f"{path}: picture {name} may be {same[0]} or {same[1]}; keep one of them")
    return same[0] if same else beside[0]


def _by_name(roots: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted({path for root in roots for path in root.rglob("*")}):
        if path.suffix.lower() in PICTURES:
            found[path.name].append(path)
    return found
