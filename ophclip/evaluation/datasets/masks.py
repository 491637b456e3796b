"""CaDIS v2: instruments in single pictures of 25 CATARACTS videos, from masks. Layout after public code; not seen here.

`VideoNN/Images/VideoN_frameNNNNNN.png` and `VideoNN/Labels/` of the same names, whose grey value is the class. The
owners' tasks put the 36 raw classes together into 8, 17 or 25; presence is asked of those that are instruments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ophclip.evaluation.datasets.segments import Reader
from ophclip.evaluation.records import Facts, FileDataset, LabelledFile, Source, Task

RAW_CLASSES = 36
VALIDATION, TEST = (5, 7, 16), (2, 12, 22)
_RAW = (
    *("Hydrodissection Cannula", "Viscoelastic Cannula", "Capsulorhexis Cystotome", "Rycroft Cannula"),
    *("Bonn Forceps", "Primary Knife", "Phacoemulsifier Handpiece", "Lens Injector", "I/A Handpiece"),
    *("Secondary Knife", "Micromanipulator", "I/A Handpiece Handle", "Capsulorhexis Forceps"),
    *("Rycroft Cannula Handle", "Phacoemulsifier Handpiece Handle", "Capsulorhexis Cystotome Handle"),
    *("Secondary Knife Handle", "Lens Injector Handle", "Suture Needle", "Needle Holder", "Charleux Cannula"),
    *("Primary Knife Handle", "Vitrectomy Handpiece", "Mendez Ring", "Marker", "Hydrodissection Cannula Handle"),
    *("Troutman Forceps", "Cotton", "Iris Hooks"),
)
RAW_INSTRUMENTS = dict(enumerate(_RAW, start=7))
"""Raw class of every instrument; 0 to 6 are anatomy, tape, hand and retractors."""
TASKS: Mapping[int, Mapping[str, tuple[int, ...]]] = {
    8: {"Instrument": tuple(RAW_INSTRUMENTS)},
    17: {
        "Cannula": (7, 8, 10, 20, 27, 32),
        "Capsulorhexis Cystotome": (9, 22),
        "Tissue Forceps": (11, 33),
        "Primary Knife": (12, 28),
        "Phacoemulsifier Handpiece": (13, 21),
        "Lens Injector": (14, 24),
        "I/A Handpiece": (15, 18),
        "Secondary Knife": (16, 23),
        "Micromanipulator": (17,),
        "Capsulorhexis Forceps": (19,),
    },
    25: {name: (value,) for value, name in RAW_INSTRUMENTS.items() if value < 25},
    36: {name: (value,) for value, name in RAW_INSTRUMENTS.items()},
}
"""Raw classes of every instrument class, by the number of classes that the task has with its anatomy."""


def _facts(task: int) -> Facts:
    return Facts(
        source=Source(
            name=f"cadis-{task}",
            license="terms of its owners, for research",
            citation="Grammatikopoulou et al., CaDIS: cataract dataset for surgical RGB-image segmentation, MedIA 2021",
            obtain="ask at cataracts-semantic-segmentation2020.grand-challenge.org for CaDIS v2 and unpack it",
            overlap_rule="any number of instruments in a picture",
            background_rule="raw classes that the task ignores are left out",
        ),
        task=Task.PICTURE,
        classes=len(TASKS[task]),
        protocol="instrument_video_map",
        prompts="cataract_tools",
    )


CADIS: dict[int, Facts] = {task: _facts(task) for task in TASKS}


def read_cadis(
    root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True, task: int = RAW_CLASSES
) -> FileDataset:
    """CaDIS v2 with the instruments of one of its tasks.

    Raises:
        ValueError: there is no mask, one that cannot be read or holds another value, or a picture is missing.
    """
    labels = sorted(root.glob("Video*/Labels/*.png"))
    if not labels:
        raise ValueError(f"{root / 'Video01' / 'Labels'}: expected masks in it and there are none; is it unpacked?")
    files = tuple(_file(path, TASKS[task], [root, *videos], with_videos=with_videos) for path in labels)
    return FileDataset(source=CADIS[task].source, task=Task.PICTURE, classes=tuple(TASKS[task]), files=files)


def cadis_reader(task: int) -> Reader:
    """The reader of one of the tasks."""
    return partial(read_cadis, task=task)


def _file(
    mask: Path, classes: Mapping[str, tuple[int, ...]], roots: Sequence[Path], *, with_videos: bool
) -> LabelledFile:
    folder = mask.parent.parent
    number = re.fullmatch(r"Video(\d+)", folder.name)
    places = [root / folder.name / "Images" / mask.name for root in roots]
    picture = next((place for place in places if place.is_file()), places[0])
    if number is None:
        raise ValueError(f"{folder}: expected folders called Video01 to Video25")
    if with_videos and not picture.is_file():
        raise ValueError(f"{picture}: expected the picture of this mask; unpack the rest")
    present = mask_values(mask)
    if over := sorted(value for value in present if value >= RAW_CLASSES):
        raise ValueError(f"{mask}: a value of {over[0]}; expected raw classes from 0 to {RAW_CLASSES - 1}")
    video = int(number[1])
    return LabelledFile(
        file_id=mask.stem,
        path=picture,
        labels=tuple(name for name, values in classes.items() if present & set(values)),
        video_id=folder.name,
        split="val" if video in VALIDATION else "test" if video in TEST else "train",
    )


def mask_values(path: Path) -> set[int]:
    """The grey values of a mask; a picture of three equal channels is taken as grey.

    Raises:
        ValueError: the file is no picture, or is coloured.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode == "P":
                raise ValueError(f"{path}: a picture with a palette; expected a mask whose grey value is the class")
            values = np.asarray(picture)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path}: not a picture that can be read; is the file whole?") from error
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise ValueError(f"{path}: a coloured picture; expected a mask whose grey value is the class")
        values = values[..., 0]
    return {int(value) for value in np.unique(values)}
