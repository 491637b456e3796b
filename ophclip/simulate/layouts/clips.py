"""Datasets of clips that were cut beforehand: Cataract-1K as lists, CatRelDet and LensID as folders."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ophclip.evaluation.datasets.cataract1k import PHASES
from ophclip.evaluation.datasets.clips import REST
from ophclip.simulate.layouts.labels import CATARACT1K, CATRELDET, LENSID, by_verb
from ophclip.simulate.layouts.takes import Content, Cut, Take, Tree, action_spans, dealt, table

CATRELDET_FOLDERS = {
    "Implantation": "Implantation",
    "Irrigation/Aspiration and viscoelastic suction": "Irrigation_Aspiration Plus Viscoelastic_suction",
    "Phacoemulsification": "Phacoemulsification",
    "Rhexis": "Rhexis",
}
"""The owner's folder of each phase."""


def cataract1k_clips(takes: Sequence[Take]) -> Tree:
    """Every action phase as a clip, listed by split; boundaries stand in the names."""
    numbers = {phase: number for number, phase in enumerate(PHASES)}
    label_map = {_slug(phase): number for phase, number in numbers.items()}
    tree: dict[str, Content] = {"label_map.json": json.dumps(label_map, indent=1) + "\n"}
    lists: dict[str, list[tuple[str, int]]] = {"val": [], "train": []}
    for split, take in dealt(takes, tuple(lists)):
        case = take.case.name
        for number, (start, end, label) in enumerate(action_spans(take, by_verb(CATARACT1K)), start=1):
            name = f"{case}_segment_{number:02d}_{_slug(label)}_{start:07.3f}-{end:07.3f}.mp4"
            tree[f"split_video/{case}/{name}"] = Cut(take, start, end)
            lists[split].append((f"data/split_video/{case}/{name}", numbers[label]))
    return {**tree, **{f"{split}.csv": table((), rows, " ") for split, rows in lists.items() if rows}}


def _slug(phase: str) -> str:
    return phase.lower().replace("/", "_").replace(" ", "_")


def catreldet(takes: Sequence[Take]) -> Tree:
    """A task for each of four phases: its clips beside clips of none of the four, which the tasks share out."""
    rest = dict.fromkeys(by_verb(CATARACT1K), REST)
    tree: dict[str, Content] = {}
    shared = 0
    for split, take in dealt(takes, ("test", "train")):
        for number, (start, end, label) in enumerate(action_spans(take, rest | by_verb(CATRELDET)), start=1):
            task = label
            if label == REST:
                task, shared = tuple(CATRELDET)[shared % len(CATRELDET)], shared + 1
            kind = "other" if label == REST else "relevant"
            tree[f"{CATRELDET_FOLDERS[task]}/{split}/{kind}/{take.case.name}_{number:02d}.mp4"] = Cut(take, start, end)
    return tree


def lensid(takes: Sequence[Take]) -> Tree:
    """Clips of lens implantation and of everything else."""
    folders = {"Lens implantation": "Implantation", REST: "Non_implantation"}
    rest = dict.fromkeys(by_verb(CATARACT1K), REST)
    tree: dict[str, Content] = {}
    for split, take in dealt(takes, ("test", "train")):
        for number, (start, end, label) in enumerate(action_spans(take, rest | by_verb(LENSID)), start=1):
            tree[f"{split}/{folders[label]}/{take.case.name}_{number:02d}.mp4"] = Cut(take, start, end)
    return tree
