"""An ablation as Markdown and as a table of all figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from math import isfinite

from ophclip.ablation.runs import METRICS, Ablation, Measure
from ophclip.evaluation.intervals import Estimate

NAMES = {
    "f1": "F1",
    "mean_average_precision": "mAP",
    "recall_at_1": "R@1",
    "recall_at_5": "R@5",
    "recall_at_10": "R@10",
}


def heading(measure: Measure) -> str:
    """`phases_a F1`."""
    return f"{measure.subset} {NAMES[measure.metric]}"


def headline(ablation: Ablation) -> list[Measure]:
    """One figure of each set: F1, mean average precision, or recall at 5."""
    return [one for one in ablation.measures if one.metric in {"f1", "mean_average_precision", "recall_at_5"}]


def markdown(ablation: Ablation, reference: str) -> str:
    """Means over seeds with 95 % intervals, and what each variant is above the reference, seed by seed."""
    seeds = sorted({run.seed for run in ablation.runs})
    parts = [
        f"{len(ablation.runs)} runs, seeds {', '.join(map(str, seeds))}. Means over seeds with 95 % intervals of a "
        "bootstrap over seeds; with so few they are narrow, and say nothing of other corpora.",
    ]
    if ablation.unfinished:
        parts.append(f"Left out, not finished: {', '.join(ablation.unfinished)}.")
    for metrics in (METRICS[:2], METRICS[2:]):
        measures = [one for one in ablation.measures if one.metric in metrics]
        if measures:
            parts.append(_table(ablation.variants, measures, lambda variant, one: _shown(ablation.level(variant, one))))
    compared = [one for one in ablation.variants if ablation.beside(one, reference) in {*ablation.variants} - {one}]
    if compared:
        parts.append(f"Above `{reference}`, seed by seed:")
        measures = headline(ablation)
        parts.append(_table(compared, measures, lambda variant, one: _signed(ablation.gain(variant, one, reference))))
    return "\n\n".join(parts) + "\n"


def figures_csv(ablation: Ablation) -> str:
    """Every figure of every run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("variant", "seed", "set", "metric", "value"))
    for variant in ablation.variants:
        for run in sorted((run for run in ablation.runs if run.variant == variant), key=lambda run: run.seed):
            for one, value in run.figures.items():
                writer.writerow((variant, run.seed, one.subset, one.metric, f"{value:.6f}"))
    return text.getvalue()


def _table(variants: Sequence[str], measures: Sequence[Measure], cell: Callable[[str, Measure], str]) -> str:
    lines = [
        ["variant", *(heading(one) for one in measures)],
        ["---"] * (len(measures) + 1),
        *([f"`{variant}`", *(cell(variant, one) for one in measures)] for variant in variants),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(one: Estimate) -> str:
    return f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]" if isfinite(one.low) else f"{one.mean:.3f}"


def _signed(one: Estimate) -> str:
    if not isfinite(one.mean):
        return "no common seed"
    return f"{one.mean:+.3f} [{one.low:+.3f}, {one.high:+.3f}]" if isfinite(one.low) else f"{one.mean:+.3f}"
