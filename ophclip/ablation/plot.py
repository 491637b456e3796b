"""An ablation as a picture: every seed a dot, the mean and its interval beside the reference."""

from __future__ import annotations

from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ophclip.ablation.runs import Ablation, Measure
from ophclip.ablation.tables import heading, headline
from ophclip.evaluation.plots import ACCENT, GRID, INK, QUIET, figure_bytes

_COLUMNS = 4


def plot(ablation: Ablation, reference: str) -> bytes:
    """PNG: a panel for the headline figure of each set, a row for each variant."""
    measures = headline(ablation)
    columns = min(_COLUMNS, len(measures))
    lines = -(-len(measures) // columns)
    height = 0.24 * len(ablation.variants) + 0.9
    figure = Figure(figsize=(2.0 + 2.6 * columns, height * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for place, panel in enumerate(axes.flat):
        if place < len(measures):
            _panel(panel, ablation, measures[place], reference)
        else:
            panel.set_visible(False)
    return figure_bytes(figure)


def _panel(axes: Axes, ablation: Ablation, measure: Measure, reference: str) -> None:
    for row, variant in enumerate(ablation.variants):
        level = ablation.level(variant, measure)
        values = list(ablation.values(variant, measure).values())
        axes.plot(values, [row] * len(values), "o", color=QUIET, alpha=0.5, markersize=3, markeredgewidth=0)
        if isfinite(level.low):
            axes.plot([level.low, level.high], [row, row], color=ACCENT, linewidth=2.2, solid_capstyle="butt")
        axes.plot(level.mean, row, "D", color=ACCENT, markersize=4.5)
    for beside in {ablation.beside(variant, reference) for variant in ablation.variants} & {*ablation.variants}:
        axes.axvline(ablation.level(beside, measure).mean, color=INK, linewidth=0.9, linestyle=":")
    axes.set_yticks(range(len(ablation.variants)), list(ablation.variants), fontsize=8)
    axes.set_ylim(len(ablation.variants) - 0.5, -0.5)
    axes.set_title(heading(measure), loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
