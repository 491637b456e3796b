"""From what the cells predict to everything that `probe_result.json` says: pure, so that it can be done again.

Shapes: N labelled seconds of all test videos, V test videos, C classes, S draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ophclip.evaluation.intervals import Estimate, estimate, estimate_cells, phase_chance, presence_chance
from ophclip.evaluation.metrics import (
    PHASE_METRICS,
    Floats,
    average_precisions,
    confusion,
    mean_over_videos_then_classes,
    nanmean,
    video_macro,
)
from ophclip.evaluation.probes.budgets import Budget, share_budgets
from ophclip.evaluation.probes.cells import Finished, Predicted, Truth
from ophclip.evaluation.results import nulled

MAP = "mean_average_precision"
MEANINGS = {
    "mean": "over draws, then over test videos (of presence: then over classes)",
    "sd": "standard deviation (n - 1) over test videos, of presence over classes, of the mean over draws",
    "sd_over_draws": "standard deviation (n - 1) of the figure of each draw; null where there is one draw",
    "low, high": "95 % percentile interval by resampling test videos with the mean over draws of each; it holds what "
    "another sample of test videos would change, and not what another draw of training videos would",
    "gain": "bundle minus the other on the same training sets and test videos; its interval is paired by test video",
    "random": "one set of random weights, drawn by the seed; intervals do not hold what another set would change",
    "draws": "training sets that were drawn; where all videos are taken, heads without chance in training have one",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What the figures depend on and do not say themselves; all of it stands in the result."""

    provenance: Mapping[str, Any]
    classes: tuple[str, ...]
    receipt: Mapping[str, Any] = field(default_factory=dict)
    """Of the bundle and the test videos."""

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the run."""
        found: Mapping[str, Any] = self.provenance["options"]
        return found

    @property
    def drawn(self) -> dict[str, int]:
        """Of resamples."""
        return {"samples": self.options["bootstrap_samples"], "seed": self.options["seed"]}

    @property
    def training_videos(self) -> int:
        """All there are."""
        return len(self.provenance["split"]["train"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A model, head and budget: each figure by draw and video [S, V], of presence [S, V, C]."""

    model: str
    head: str
    budget: Budget
    cells: tuple[Finished, ...]
    values: Mapping[str, Floats]


def lines_of(cells: Sequence[Finished], truth: Truth, classes: int) -> tuple[Line, ...]:
    """Cells that differ by their draw, together and scored, in the order in which the first of each comes."""
    grouped: dict[tuple[str, str, Budget], list[Finished]] = {}
    for one in cells:
        grouped.setdefault((one.cell.model, one.cell.head, one.cell.budget), []).append(one)
    return tuple(
        Line(model=model, head=head, budget=budget, cells=tuple(found), values=_stacked(found, truth, classes))
        for (model, head, budget), found in grouped.items()
    )


def _stacked(cells: Sequence[Finished], truth: Truth, classes: int) -> dict[str, Floats]:
    measured = [measure(truth, one.predicted, classes) for one in cells]
    return {name: np.stack([values[name] for values in measured]) for name in measured[0]}


def measure(truth: Truth, predicted: Predicted, classes: int) -> dict[str, Floats]:
    """`video_macro_v1` of each test video [V], or the average precisions of `instrument_video_map` [V, C]."""
    pairs = list(zip(truth.by_video(truth.labels), truth.by_video(predicted), strict=True))
    if not truth.exclusive:
        return {MAP: np.stack([average_precisions(true, given.astype(np.float64)) for true, given in pairs])}
    scores = [video_macro(confusion(true, given.astype(np.int64), classes)) for true, given in pairs]
    return {name: np.array([getattr(score, name) for score in scores]) for name in PHASE_METRICS}


def result_tree(header: Header, truth: Truth, lines: Sequence[Line]) -> dict[str, Any]:
    """Plain tree of everything; undefined figures are null."""
    tree = {
        "task": "probe",
        "labels": "phases" if truth.exclusive else "presence",
        "provenance": header.provenance,
        **header.receipt,
        "classes": list(header.classes),
        "chance": chance(header, truth),
        "meanings": MEANINGS,
        "figures": [_row(header, line) for line in lines],
        "gains": [_gain(header, one, other) for one, other in gain_pairs(lines)],
        "videos": [row for line in lines for row in _video_rows(truth, line)],
    }
    return {key: nulled(value) for key, value in tree.items()}


def chance(header: Header, truth: Truth) -> dict[str, float]:
    """What guessing would have scored on the test videos."""
    drawn = {"samples": header.options["chance_samples"], "seed": header.options["seed"]}
    if truth.exclusive:
        return phase_chance(truth.by_video(truth.labels), len(header.classes), **drawn)
    return {MAP: presence_chance(truth.by_video(truth.labels), **drawn)}


def estimated(values: Floats, header: Header) -> Estimate:
    """Of the mean over draws: values [S, V], of presence [S, V, C]."""
    mean = values.mean(axis=0)
    return estimate(mean, **header.drawn) if mean.ndim == 1 else estimate_cells(mean, **header.drawn)


def main_figure(lines: Sequence[Line]) -> str:
    """What is shown and told first: macro F1 of phases, mean average precision of presence."""
    return MAP if MAP in lines[0].values else "f1"


def gain_pairs(lines: Sequence[Line]) -> list[tuple[Line, Line]]:
    """Each line of the first model with the same head and budget of every other."""
    first = {(line.head, line.budget): line for line in lines if line.model == lines[0].model}
    return [(first[line.head, line.budget], line) for line in lines if line.model != lines[0].model]


def _row(header: Header, line: Line) -> dict[str, Any]:
    cells = line.cells
    return {
        "model": line.model,
        "head": line.head,
        **budget_row(header, line.budget),
        "draws": len(cells),
        "training_seconds": [sum(one.seconds.values()) for one in cells],
        "training_videos": [sorted(one.seconds) for one in cells],
        "settled": [one.settled for one in cells],
        "classes_not_learned": [list(one.missing) for one in cells],
        "figures": {
            name: {**_plain(estimated(values, header)), "sd_over_draws": _sd(values), "draws": _by_draw(values)}
            for name, values in line.values.items()
        },
    }


def budget_row(header: Header, budget: Budget) -> dict[str, Any]:
    """How much is labelled, and in words where shares come to the same or to less than one video."""
    if budget.shots:
        return {"videos": None, "shots": budget.shots, "shares_percent": [], "note": ""}
    shares = share_budgets(header.options["shares_percent"], header.training_videos)[budget]
    small = [share for share in shares if share * header.training_videos / 100 < 1]
    notes = []
    if small:
        said = ", ".join(f"{share:g} %" for share in small)
        notes.append(f"{said} of {header.training_videos} training videos is less than one: one was taken")
    if len(shares) > 1:
        notes.append("one line for " + ", ".join(f"{share:g} %" for share in shares) + ", which come to the same")
    return {"videos": budget.videos, "shots": None, "shares_percent": list(shares), "note": "; ".join(notes)}


def _gain(header: Header, one: Line, other: Line) -> dict[str, Any]:
    figures = {}
    for name, values in one.values.items():
        difference = values - other.values[name]
        figures[name] = {**_plain(estimated(difference, header)), "sd_over_draws": _sd(difference)}
    budget = {"videos": one.budget.videos or None, "shots": one.budget.shots or None}
    return {"model": one.model, "over": other.model, "head": one.head, **budget, "figures": figures}


def _video_rows(truth: Truth, line: Line) -> list[dict[str, Any]]:
    """Figures of each test video, mean over draws."""
    budget = {"videos": line.budget.videos or None, "shots": line.budget.shots or None}
    return [
        {
            "model": line.model,
            "head": line.head,
            **budget,
            "video_id": video_id,
            "seconds": truth.lengths[place],
            "figures": {name: _of_video(values.mean(axis=0)[place]) for name, values in line.values.items()},
        }
        for place, video_id in enumerate(truth.video_ids)
    ]


def _of_video(value: Any) -> float:
    return float(value) if np.ndim(value) == 0 else float(nanmean(value, axis=0))


def of_draw(values: Floats) -> float:
    """One figure of one draw from its values [V], of presence [V, C]."""
    return float(values.mean()) if values.ndim == 1 else mean_over_videos_then_classes(values)


def _by_draw(values: Floats) -> list[float]:
    return [of_draw(one) for one in values]


def _sd(values: Floats) -> float:
    return float(np.std(_by_draw(values), ddof=1)) if len(values) > 1 else float("nan")


def _plain(figure: Estimate) -> dict[str, float]:
    return asdict(figure)
