"""A result that was written before, read back with the predictions beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ingest.parsing import parse_json
from ophclip.evaluation.clips import Clip, read_clips
from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import Source, Task
from ophclip.evaluation.results import Provenance, Throughput
from ophclip.evaluation.scored_files import ScoredFile, read_scored_files
from ophclip.evaluation.scores import SCORES, VideoScores, read_scores
from ophclip.evaluation.timelines import Timeline, read_timelines
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig

PHASES, PRESENCE = "phases", "presence"
FILE_TASKS = {f"{task.value}s": task for task in (Task.CLIP, Task.PICTURE, Task.PROCEDURE)}
"""Tasks of files that are labelled as a whole, by the word for them in `result.json`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """`result.json` as a tree, and what lies beside it."""

    path: Path
    tree: Mapping[str, Any]
    provenance: Provenance
    classes: tuple[str, ...]
    timelines: tuple[Timeline, ...] = ()
    clips: tuple[Clip, ...] = ()
    scores: tuple[VideoScores, ...] = ()
    """Empty where `scores.npz` is not there."""
    files: tuple[ScoredFile, ...] = ()

    @property
    def task(self) -> str:
        """`phases`, `presence`, `clips`, `pictures` or `procedures`."""
        return str(self.tree["task"])

    @property
    def throughput(self) -> Throughput:
        """How fast it went then."""
        return Throughput(**self.tree["throughput"])

    def styles(self) -> dict[str, dict[str, Estimate]]:
        """Summaries of single prompt styles, of which no predictions are kept."""
        kept = {name: figures for name, figures in self.tree["styles"].items() if name != "ensemble"}
        return {name: {key: _estimate(cells) for key, cells in figures.items()} for name, figures in kept.items()}

    def style_figures(self) -> dict[str, Estimate]:
        """The same of presence, one figure a style."""
        return {name: _estimate(cells) for name, cells in self.tree["styles"].items() if name != "ensemble"}

    def attributes(self) -> dict[str, dict[str, str]]:
        """What the dataset said of each video."""
        return {row["video_id"]: row["attributes"] for row in self.tree["videos"]}

    def cells(self, figure: str) -> tuple[list[str], Floats]:
        """Ids and a figure by video and class [V, C] of a result of presence."""
        rows = self.tree["videos"]
        cells = [[_number(row[figure][label]) for label in self.classes] for row in rows]
        return [str(row["video_id"]) for row in rows], np.array(cells, dtype=np.float64)

    def counts(self) -> dict[str, Ints]:
        """Counts [C, 4] by video of a result of presence that has an operating point; none of one that has not."""
        point = self.tree["operating_point"]
        rows = point["videos"] if point else ()
        return {row["video_id"]: np.array([row["counts"][label] for label in self.classes]) for row in rows}


def read_tree(place: Path) -> tuple[Path, dict[str, Any]]:
    """The `result.json` of a result folder, of whatever task, and its path.

    Raises:
        ValueError: there is none.
    """
    path = place / "result.json" if place.is_dir() else place
    if not path.is_file():
        raise ValueError(f"{path}: expected the result of `ophclip zeroshot --out FOLDER`; give that folder")
    try:
        tree = parse_json(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not a result of this version of ophclip ({error}); evaluate again") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{path}: not a result of this version of ophclip (no JSON object); evaluate again")
    return path, tree


def read_result(place: Path) -> Written:
    """Read a result folder, or the `result.json` in one.

    Raises:
        ValueError: a file is missing, or is no result of this version.
    """
    path, tree = read_tree(place)
    try:
        task, classes, provenance = tree["task"], tuple(tree["classes"]), _provenance(tree["provenance"])
        tree["videos"], tree["summary"], tree["throughput"]
        if task in FILE_TASKS:
            tree["protocols"], tree["styles"]
        if task == PHASES:
            tree["protocols"], tree["styles"], [row["attributes"] for row in tree["videos"]], tree["past_the_end"]
        if task == PRESENCE:
            tree["operating_point"], [row["false_positive_rate"] for row in tree["videos"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a result of this version of ophclip ({error}); evaluate again") from error
    kept = path.with_name(SCORES)
    scores = read_scores(kept, len(classes)) if kept.is_file() else ()
    given: dict[str, Any] = {"path": path, "tree": tree, "provenance": provenance, "classes": classes, "scores": scores}
    if task == PRESENCE:
        return Written(**given)
    if task in FILE_TASKS:
        return Written(**given, files=read_scored_files(path.with_name("predictions.csv"), classes))
    lines = read_timelines(path.with_name("predictions.csv"), classes)
    return Written(**given, timelines=lines, clips=read_clips(path.with_name("clips.csv")))


def _provenance(tree: Mapping[str, Any]) -> Provenance:
    smoothing = tree["smoothing"]
    kinds = {"causal": Causal(smoothing["causal"]), "offline": Offline(smoothing["offline"])}
    given = {"dataset": Source(**tree["dataset"]), "smoothing": SmoothingConfig(**{**smoothing, **kinds})}
    return Provenance(**{**tree, **given})


def _estimate(cells: Mapping[str, float | None]) -> Estimate:
    return Estimate(**{field.name: _number(cells[field.name]) for field in fields(Estimate)})


def _number(cell: float | None) -> float:
    return float("nan") if cell is None else float(cell)
