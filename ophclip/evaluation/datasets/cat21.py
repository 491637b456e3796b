"""Cataract-21: a label for every frame of 21 videos, in German. Layout after public code that reads it; not seen here.

`labels/case_NN.csv` without a header, `frame,label`, frames counted from 0; `videos/case_NN.mp4` at 25 fps. Cases 1 to
17 are for training and 18 to 21 for testing: with four videos intervals are wide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ophclip.evaluation.datasets.segments import label_of, phase_videos, segments_of_frames
from ophclip.evaluation.records import Facts, PhaseDataset, Source, Task
from ophclip.evaluation.tables import read_table

FPS = 25.0
LAST_OF_TRAINING = 17
PHASES = {
    "Incision": "Incision",
    "Viscoelasticum": "Viscous agent injection",
    "Rhexis": "Rhexis",
    "Hydrodissektion": "Hydrodissection",
    "Phako": "Phacoemulsification",
    "Irrigation-Aspiration": "Irrigation and aspiration",
    "Kapselpolishing": "Capsule polishing",
    "Linsenimplantation": "Lens implant setting-up",
    "Visco-Absaugung": "Viscous agent removal",
    "Tonisieren": "Tonifying and antibiotics",
    "Antibiotikum": "Tonifying and antibiotics",
    "not_initialized": "",
}
"""The owner's German labels and the phases of Cataract-101 that they are."""

CAT21 = Facts(
    source=Source(
        name="cat21",
        license="CC BY-NC 4.0",
        citation="Primus et al., Frame-based classification of operation phases in cataract surgery videos, MMM 2018",
        obtain="ask for it at ftp.itec.aau.at/datasets/ovid/cat-21 and unpack it; the folder holds labels and videos",
        overlap_rule="every frame has one label, so none overlap",
        background_rule="frames labelled not_initialized are idle: unlabelled and not scored",
    ),
    task=Task.PHASE,
    classes=10,
    protocol="video_macro_v1",
    prompts="cataract101",
)


def read_cat21(root: Path, videos: Sequence[Path] = (), *, with_videos: bool = True) -> PhaseDataset:
    """Cataract-21: `labels/case_NN.csv` (or beside the videos) and `videos/case_NN.mp4`.

    Raises:
        ValueError: no table or video, or a label that is none of the owner's.
    """
    tables = sorted([*root.glob("labels/*.csv"), *root.glob("videos/*.csv"), *root.glob("*.csv")])
    if not tables:
        raise ValueError(f"{root / 'labels' / 'case_01.csv'}: expected a table per video and there is none")
    spans, splits = {}, {}
    for table in tables:
        number = re.fullmatch(r"case_?(\d+)", table.stem)
        if number is None or table.stem in spans:
            raise ValueError(f"{table}: expected one table per video, called case_NN.csv")
        rows = read_table(table, ("frame", "label"), header=("frame", "label"))
        labels = [label_of(row, "label", PHASES) for row in rows]
        spans[table.stem] = segments_of_frames(rows, "frame", labels, fps=FPS)
        splits[table.stem] = "train" if int(number[1]) <= LAST_OF_TRAINING else "test"
    found = phase_videos(spans, [root / "videos", root, *videos], with_videos=with_videos, splits=splits)
    return PhaseDataset(source=CAT21.source, classes=tuple(dict.fromkeys(filter(None, PHASES.values()))), videos=found)
