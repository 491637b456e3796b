"""Presence as yes or no: a bar for each class, learned on one part of a dataset, and what it gives on another.

Seconds of all videos are pooled within a class, because one bar holds for all of them; then classes are averaged.
Shapes: N labelled seconds, C classes, V videos, B drawings of videos; counts [C, 4] are true and false yes, false and
true no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ophclip.evaluation.intervals import Estimate, Statistic, estimate_statistic
from ophclip.evaluation.metrics import Floats, Ints, nanmean, recall_bar

FIGURES = ("f1", "precision", "recall", "false_positive_rate")


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """Bars, where they come from, and what they give. A class without a positive there has no bar and no figure."""

    rule: str
    split: str
    split_sha256: str
    bars: Mapping[str, float]
    counts: Mapping[str, Ints]
    """Counts [C, 4] of each video."""
    figures: Mapping[str, Estimate]
    """Means over the classes that have a bar and a positive (for the rate: a negative) among what is scored."""
    class_figures: Mapping[str, Mapping[str, Estimate]]

    def to_json(self) -> dict[str, Any]:
        """Plain tree."""
        return {
            "rule": self.rule,
            "split": self.split,
            "split_sha256": self.split_sha256,
            "bars": dict(self.bars),
            "figures": {name: asdict(figure) for name, figure in self.figures.items()},
            "class_figures": {
                label: {name: asdict(figure) for name, figure in figures.items()}
                for label, figures in self.class_figures.items()
            },
            "videos": [
                {"video_id": name, "counts": dict(zip(self.bars, counts_c4.tolist(), strict=True))}
                for name, counts_c4 in self.counts.items()
            ],
        }


def rule_of(recall: float) -> str:
    """How bars are found, in words."""
    return f"the highest bar of recall {recall:g}" if recall else "the bar of the best F1"


def learned_bars(present_nc: Floats, scores_nc: Floats, recall: float) -> Floats:
    """A bar for each class [C] by labels and scores [N, C]; yes is what reaches it. NaN without a positive.

    The highest bar that finds the share `recall` of the positives, or for 0 the (highest) one of the best F1.
    """
    columns = zip(present_nc.T, scores_nc.T, strict=True)
    return np.array([recall_bar(*column, recall) if recall else _best_bar(*column) for column in columns])


def _best_bar(present_n: Floats, scores_n: Floats) -> float:
    known_n = ~np.isnan(present_n)
    order_n = np.argsort(-scores_n[known_n], kind="stable")
    present_n, scores_n = present_n[known_n][order_n], scores_n[known_n][order_n]
    if not present_n.sum():
        return float("nan")
    f1_n = 2 * np.cumsum(present_n) / (np.arange(1, len(present_n) + 1) + present_n.sum())
    last_n = np.append(np.diff(scores_n) != 0, True)
    return float(scores_n[np.where(last_n, f1_n, -1.0).argmax()])


def bar_counts(present_nc: Floats, scores_nc: Floats, bars_c: Floats) -> Ints:
    """Counts [C, 4] of one video; labels that are NaN are left out, and so is a class without a bar."""
    yes_nc = scores_nc >= bars_c
    known_nc = ~np.isnan(present_nc) & ~np.isnan(bars_c)
    true_nc = present_nc == 1
    cells = (true_nc & yes_nc, ~true_nc & yes_nc, true_nc & ~yes_nc, ~true_nc & ~yes_nc)
    return np.stack([(cell_nc & known_nc).sum(axis=0) for cell_nc in cells], axis=1)


def bar_figures(counts_vc4: Ints) -> dict[str, Statistic]:
    """F1, precision, recall and false positive rate of pooled counts [V, C, 4], as means over classes."""

    def of(place: int) -> Statistic:
        return Statistic(
            videos=len(counts_vc4), of=lambda rows_bv: nanmean(_ratios(counts_vc4, rows_bv, place), axis=1)
        )

    return {name: of(place) for place, name in enumerate(FIGURES)}


def _ratios(counts_vc4: Ints, rows_bv: Ints, place: int) -> Floats:
    """One figure by class [B, C]; NaN where it does not exist. A precision without any yes is 0."""
    weights_bv = np.stack([np.bincount(row, minlength=len(counts_vc4)) for row in rows_bv])
    hits_bc, wrong_bc, missed_bc, right_bc = np.moveaxis(np.tensordot(weights_bv, counts_vc4, axes=1), -1, 0)
    positives_bc = hits_bc + missed_bc
    above_bc, below_bc, exists_bc = (
        (2 * hits_bc, positives_bc + hits_bc + wrong_bc, positives_bc > 0),
        (hits_bc, hits_bc + wrong_bc, positives_bc > 0),
        (hits_bc, positives_bc, positives_bc > 0),
        (wrong_bc, wrong_bc + right_bc, wrong_bc + right_bc > 0),
    )[place]
    return np.where(exists_bc, above_bc / np.maximum(below_bc, 1), np.nan)


def operating_point(
    bars_c: Floats,
    classes: Sequence[str],
    counts: Mapping[str, Ints],
    *,
    recall: float,
    split: str,
    split_sha256: str,
    samples: int,
    seed: int,
) -> OperatingPoint:
    """Figures, with intervals by drawing videos, of the `counts` [C, 4] of each video."""
    counts_vc4 = np.stack(list(counts.values()))

    def estimates(part_vc4: Ints) -> dict[str, Estimate]:
        figures = bar_figures(part_vc4)
        return {name: estimate_statistic(figure, samples=samples, seed=seed) for name, figure in figures.items()}

    return OperatingPoint(
        rule=rule_of(recall),
        split=split,
        split_sha256=split_sha256,
        bars=dict(zip(classes, bars_c.tolist(), strict=True)),
        counts=counts,
        figures=estimates(counts_vc4),
        class_figures={
            label: estimates(counts_vc4[:, place : place + 1])
            for place, label in enumerate(classes)
            if not np.isnan(bars_c[place])
        },
    )
