"""Datasets of single pictures with the pixels of their instruments: CaDIS as masks, the others as COCO files.

Every whole second of a video is a picture. Arrays: h, w picture axes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.datasets.cataracts import FPS
from ophclip.evaluation.datasets.coco import CATINSTSEG_TOOLS, INSEGCAT_TOOLS
from ophclip.evaluation.datasets.masks import RAW_CLASSES, RAW_INSTRUMENTS, TEST, VALIDATION
from ophclip.evaluation.prompts import normal
from ophclip.simulate.eye import Pixels
from ophclip.simulate.language import Instrument
from ophclip.simulate.layouts.labels import CADIS, CATINSTSEG, INSEGCAT
from ophclip.simulate.layouts.labels import CATARACT1K_TOOLS as CATARACT1K_NAMES
from ophclip.simulate.layouts.takes import Content, Mask, Still, Take, Tree, dealt
from ophclip.simulate.scene import Anatomy

Names = Mapping[Instrument, str]

CADIS_ANATOMY = {Anatomy.PUPIL: 0, Anatomy.IRIS: 4, Anatomy.WHITE: 6, Anatomy.LID: 5}
"""Pupil, iris, cornea and skin there; what is outside the limbus is cornea."""
_VALUES = {normal(name): value for value, name in RAW_INSTRUMENTS.items()}
CADIS_VALUES = {instrument: _VALUES[normal(name)] for instrument, name in CADIS.items()}


def cadis(takes: Sequence[Take]) -> Tree:
    """Pictures and masks of raw classes, by video; the owners' numbers say which part a video belongs to."""
    tree: dict[str, Content] = {}
    for number, take in _numbered(takes):
        for second in take.whole_seconds:
            name = f"Video{number}_frame{round(second * FPS):06d}.png"
            tree[f"Video{number:02d}/Images/{name}"] = Still(take, second)
            tree[f"Video{number:02d}/Labels/{name}"] = Mask(take, partial(cadis_mask, take, second))
    return tree


def cadis_mask(take: Take, second: int) -> Pixels:
    """The raw class of every pixel; an instrument that CaDIS does not know is what lies behind it."""
    classes = np.zeros(RAW_CLASSES, np.uint8)
    classes[list(CADIS_ANATOMY)] = list(CADIS_ANATOMY.values())
    mask_hw = classes[take.scene.anatomy(float(second))]
    for instrument, pixels_hw in take.scene.silhouettes(float(second)):
        if instrument in CADIS_VALUES:
            mask_hw[pixels_hw] = CADIS_VALUES[instrument]
    return mask_hw


def _numbered(takes: Sequence[Take]) -> list[tuple[int, Take]]:
    """Numbers of CaDIS videos, dealt to test, training and validation in turn while there are any."""
    train = [number for number in range(1, 26) if number not in (*TEST, *VALIDATION)]
    pools = {"test": list(TEST), "train": train, "val": list(VALIDATION)}
    return [((pools[split] or train).pop(0), take) for split, take in dealt(takes, tuple(pools))]


def catinstseg(takes: Sequence[Take]) -> Tree:
    """One COCO file per split, pictures in a folder beside them."""
    return _by_split(takes, CATINSTSEG, CATINSTSEG_TOOLS, "{case}_{second:04d}.png")


def insegcat(takes: Sequence[Take]) -> Tree:
    """As `catinstseg`; pictures are called as those of CaDIS, of which it was made."""
    return _by_split(takes, INSEGCAT, INSEGCAT_TOOLS, "Video{number}_frame{frame:06d}.png")


def _by_split(takes: Sequence[Take], names: Names, tools: Sequence[str], called: str) -> Tree:
    tree: dict[str, Content] = {}
    books: dict[str, list[tuple[Take, int, str]]] = {}
    for number, (split, take) in enumerate(dealt(takes, ("test", "train")), start=1):
        for second in take.whole_seconds:
            frame = round(second * FPS)
            name = called.format(case=take.case.name, number=number, second=second, frame=frame)
            books.setdefault(split, []).append((take, second, name))
            tree[f"images/{name}"] = Still(take, second)
    return {**tree, **{f"{split}.json": _coco(pictures, names, tools) for split, pictures in books.items()}}


def cataract1k_instruments(takes: Sequence[Take]) -> Tree:
    """A folder per video with its pictures and their COCO file."""
    tree: dict[str, Content] = {}
    for take in takes:
        case = take.case.name
        pictures = [(take, second, f"{case.replace('_', '')}_{second:02d}.png") for second in take.whole_seconds]
        tree |= {f"Coco-Annotations/{case}/images/{name}": Still(take, second) for _, second, name in pictures}
        book = _coco(pictures, CATARACT1K_NAMES, tuple(dict.fromkeys(CATARACT1K_NAMES.values())))
        tree[f"Coco-Annotations/{case}/annotations/instances.json"] = book
    return tree


def _coco(pictures: Sequence[tuple[Take, int, str]], names: Names, tools: Sequence[str]) -> str:
    """Images, annotations with exact masks, categories."""
    numbers = {tool: number for number, tool in enumerate(tools, start=1)}
    images, annotations, marks = [], [], count(1)
    for picture, (take, second, name) in enumerate(pictures, start=1):
        size = {"width": take.case.width_px, "height": take.case.height_px}
        images.append({"id": picture, "file_name": name, **size})
        annotations += [
            {"id": next(marks), "image_id": picture, "category_id": numbers[names[instrument]], **_region(pixels_hw)}
            for instrument, pixels_hw in take.scene.silhouettes(float(second))
            if instrument in names
        ]
    categories = [{"id": number, "name": tool} for tool, number in numbers.items()]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories}) + "\n"


def _region(pixels_hw: NDArray[np.bool_]) -> dict[str, object]:
    """Box, area and pixels of an instrument, as COCO has them: runs down the columns, none and some in turn."""
    rows, columns = np.nonzero(pixels_hw)
    left, top = int(columns.min()), int(rows.min())
    flat = pixels_hw.ravel(order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {
        "bbox": [left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1],
        "area": int(pixels_hw.sum()),
        "iscrowd": 0,
        "segmentation": {"size": list(pixels_hw.shape), "counts": counts},
    }
