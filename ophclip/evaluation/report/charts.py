"""Pictures of a report that need more than one video or more than one class: drawn without colour being needed.

Shades grow evenly in lightness; lines differ by marker and dash, bars by hatch.
Shapes: T seconds, N labelled seconds, C classes, K points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ophclip.evaluation.calibration import Bin
from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.plots import ACCENT, GRID, INK, QUIET, bare, canvas, inert, spans, time_axis

DETAILED = 12
"""Matrices of so many classes show shares and seconds in every cell; larger ones show less."""
CROWDED = 24
SERIES = (("#00204d", ""), ("#8fb3d9", "////"), ("#f0dd7f", "----"), ("#575d6d", "\\\\\\\\"), ("#ffffff", "xxxx"))
"""Fill and hatch of the models of a comparison, far apart in lightness."""
_LINES = (("o", "-"), ("s", (0, (5, 2))), ("^", (0, (1, 1.5))), ("D", (0, (5, 1.5, 1, 1.5))), ("v", (0, (9, 2))))
_SHADE = "#cdd6e0"
_APART = 1.02
"""Upright intervals of one place stand side by side on a logarithmic axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Values over something, with an interval where there is one."""

    label: str
    x_k: Floats
    y_k: Floats
    low_k: Floats | None = None
    high_k: Floats | None = None


def confusion_matrix(counts_cc: Ints, classes: Sequence[str], *, title: str) -> Figure:
    """Seconds by truth (row) and prediction (column), shaded by the share of the row."""
    size = len(classes)
    cell_in = 0.56 if size <= DETAILED else 0.43 if size <= CROWDED else 0.25
    numbers = [str(place + 1) for place in range(size)]
    names = [f"{shorten(name, 34, placeholder='...')}  {number}" for name, number in zip(classes, numbers, strict=True)]
    left_in = 0.3 + 0.078 * max(map(len, names))
    figure, axes = canvas(
        left_in=left_in, width_in=cell_in * size, top_in=0.72, height_in=cell_in * size, foot_in=0.25, right_in=0.85
    )
    totals_c = counts_cc.sum(axis=1)
    shares_cc = counts_cc / np.maximum(totals_c, 1)[:, None]
    axes.imshow(shares_cc, cmap="Blues", vmin=0, vmax=1, extent=(0, size, size, 0), interpolation="nearest")
    axes.hlines(range(size + 1), 0, size, color="white", linewidth=0.6)
    axes.vlines(range(size + 1), 0, size, color="white", linewidth=0.6)
    for row, column in zip(*np.nonzero(counts_cc), strict=True):
        _cell(axes, (int(row), int(column)), float(shares_cc[row, column]), int(counts_cc[row, column]), size)
    for row, total in enumerate(totals_c.tolist()):
        axes.text(size + 0.15, row + 0.5, f"{total:,} s", va="center", fontsize=_fontsize(size, 7.5), color=QUIET)
    axes.set_xlim(0, size)
    axes.set_ylim(size, 0)
    axes.set_yticks(np.arange(size) + 0.5, [inert(name) for name in names])
    axes.set_xticks(np.arange(size) + 0.5, numbers)
    axes.xaxis.tick_top()
    axes.set_xlabel("predicted, by number", fontsize=9, color=QUIET)
    axes.xaxis.set_label_position("top")
    bare(axes)
    axes.tick_params(labelsize=_fontsize(size, 8.5))
    figure.text(
        0.12 / figure.get_figwidth(), 1 - 0.2 / figure.get_figheight(), title, fontsize=11, fontweight="bold", color=INK
    )
    return figure


def _fontsize(size: int, largest: float) -> float:
    return largest if size <= CROWDED else largest - 1.5


def _cell(axes: Axes, place: tuple[int, int], share: float, seconds: int, size: int) -> None:
    row, column = place
    least = 0.0 if size <= DETAILED else 0.01 if size <= CROWDED else 0.05
    if share < least:
        return
    text = f"{share * 100:.0f}" if size > CROWDED else f"{share * 100:.0f} %\n{seconds:,}"
    fontsize = 7.5 if size <= DETAILED else 5.8
    ink = "white" if share > 0.65 else INK
    weight = "bold" if row == column else "normal"
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=fontsize, color=ink, fontweight=weight)


def score_curves(
    seconds_t: Floats, scores_tc: Floats, labels: Sequence[str], truth_tc: NDArray[np.bool_], *, title: str, note: str
) -> Figure:
    """A curve per class over the minutes of a video, on one scale; shaded where the truth says the class."""
    row_in = 0.42
    left_in = 0.3 + 0.078 * max(len(shorten(label, 30, placeholder="...")) for label in labels)
    figure, axes = canvas(
        left_in=left_in, width_in=9.85 - left_in, top_in=0.36, height_in=row_in * len(labels), foot_in=0.62
    )
    low, high = float(scores_tc.min()), float(scores_tc.max())
    heights_tc = (scores_tc - low) / max(high - low, 1e-12) * 0.84
    for row in range(len(labels)):
        truth = [(left, width) for left, width, said in spans(seconds_t, truth_tc[:, row].astype(np.int64)) if said]
        axes.broken_barh(truth, (row - 0.46, 0.92), facecolor=_SHADE, linewidth=0)
        axes.axhline(row + 0.46, color=GRID, linewidth=0.8)
        axes.plot(seconds_t, row + 0.42 - heights_tc[:, row], color=INK, linewidth=0.9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), [inert(shorten(label, 30, placeholder="...")) for label in labels])
    time_axis(axes, seconds_t)
    bare(axes)
    axes.set_title(inert(title), loc="left", fontsize=11, fontweight="bold", color=INK, pad=7)
    axes.set_title(note, loc="right", fontsize=9, color=QUIET, pad=7)
    figure.legend(
        handles=[Patch(facecolor=_SHADE, label=f"truth; every row runs from {low:.3f} at its foot to {high:.3f}")],
        loc="lower left", bbox_to_anchor=(0.078, 0.0), frameon=False, fontsize=8, labelcolor=INK,
    )  # fmt: skip
    return figure


def precision_recall_grid(pooled: Sequence[Curve], single: Sequence[Sequence[Curve]], prevalences_c: Floats) -> Figure:
    """A small plot per class: all videos pooled (thick), each video (thin), and what chance would give (dashed)."""
    columns = 4
    rows = -(-len(pooled) // columns)
    figure = Figure(figsize=(10, 0.35 + 2.25 * rows), dpi=140, facecolor="white", layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(grid.ravel()):
        if place >= len(pooled):
            axes.set_visible(False)
            continue
        for curve in single[place]:
            axes.step(curve.x_k, curve.y_k, where="post", color=QUIET, linewidth=0.6, alpha=0.7)
        axes.axhline(prevalences_c[place], color=QUIET, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.step(pooled[place].x_k, pooled[place].y_k, where="post", color=ACCENT, linewidth=1.8)
        _unit_square(axes)
        axes.set_title(inert(pooled[place].label), fontsize=8.5, color=INK, loc="left")
    figure.supxlabel("recall", fontsize=9, color=QUIET)
    figure.supylabel("precision", fontsize=9, color=QUIET)
    return figure


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.05)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    bare(axes)


def reliability_diagram(bins: Sequence[Bin], *, note: str) -> Figure:
    """Share of right predictions by confidence, above how many seconds there are of each."""
    figure = Figure(figsize=(7.2, 5.2), dpi=140, facecolor="white", layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot((0, 1), (0, 1), color=QUIET, linewidth=1.1, linestyle=(0, (4, 2)))
    upper.text(0.985, 0.93, "as sure as right", fontsize=8, color=QUIET, ha="right")
    for one in bins:
        middle, width = (one.low + one.high) / 2, (one.high - one.low) * 0.92
        lower.bar(middle, one.seconds, width=width, color=QUIET, linewidth=0)
        if one.seconds:
            upper.bar(middle, one.accuracy, width=width, color=ACCENT, linewidth=0)
            upper.plot(one.confidence, one.accuracy, marker="o", markersize=4, color="white", markeredgecolor=INK)
    _unit_square(upper)
    upper.set_ylabel("share right", fontsize=9, color=QUIET)
    lower.set_ylabel("seconds", fontsize=9, color=QUIET)
    lower.set_xlabel("confidence", fontsize=9, color=QUIET)
    lower.grid(axis="y", color=GRID, linewidth=0.7)
    lower.set_axisbelow(True)
    bare(lower)
    upper.set_title(note, loc="left", fontsize=9, color=QUIET)
    return figure


def line_chart(curves: Sequence[Curve], *, x: str, y: str, logarithmic: bool = False) -> Figure:
    """Curves told apart by marker and dash; an interval is an upright line."""
    figure = Figure(figsize=(7.2, 4.2), dpi=140, facecolor="white", layout="constrained")
    axes = figure.subplots()
    for place, (curve, (marker, dash)) in enumerate(zip(curves, cycle(_LINES), strict=False)):
        colour = SERIES[place % 2 * 3][0] if len(curves) > 1 else ACCENT
        interval = (curve.low_k, curve.high_k) if curve.low_k is not None and curve.high_k is not None else None
        x_k = curve.x_k * _APART**place if logarithmic and interval else curve.x_k
        axes.plot(
            x_k, curve.y_k, label=inert(curve.label), color=colour, linewidth=1.6, linestyle=dash,
            marker=marker if interval else "", markersize=5,
        )  # fmt: skip
        if interval:
            axes.vlines(x_k, *interval, color=colour, linewidth=1.2)
    if logarithmic:
        axes.set_xscale("log")
        ticks = sorted({float(value) for curve in curves for value in curve.x_k})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        axes.minorticks_off()
    axes.set_ylim(min(0.0, *(float(np.nanmin(curve.y_k)) for curve in curves)), None)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel(x, fontsize=9, color=QUIET)
    axes.set_ylabel(y, fontsize=9, color=QUIET)
    bare(axes)
    if len(curves) > 1:
        figure.legend(
            loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=INK, handlelength=3.2
        )
    return figure


def side_by_side(figures: Mapping[str, Mapping[str, Estimate]], *, axis: str) -> Figure:
    """Bars with 95 % intervals of every model (first key) for every category (second key)."""
    models = list(figures)
    categories = list(dict.fromkeys(category for given in figures.values() for category in given))
    group_in = 0.17 + 0.2 * len(models)
    left_in = 0.3 + 0.078 * max(len(shorten(category, 34, placeholder="...")) for category in categories)
    foot_in = 0.62 + 0.2 * -(-len(models) // 2)
    figure, axes = canvas(
        left_in=left_in, width_in=9.5 - left_in, top_in=0.15, height_in=group_in * len(categories), foot_in=foot_in
    )
    height = 0.86 / len(models)
    for place, model in enumerate(models):
        fill, hatch = SERIES[place % len(SERIES)]
        for row, category in enumerate(categories):
            value = figures[model].get(category)
            if value is None or not np.isfinite(value.mean):
                continue
            centre = row - 0.43 + (place + 0.5) * height
            axes.barh(
                centre, value.mean, height=height * 0.88, facecolor=fill, hatch=hatch, edgecolor=INK, linewidth=0.5
            )
            if np.isfinite(value.low):
                axes.plot((value.low, value.high), (centre, centre), color="white", linewidth=3.2, alpha=0.85)
                axes.plot((value.low, value.high), (centre, centre), color=INK, linewidth=1.2)
            edge = value.high if np.isfinite(value.high) else value.mean
            axes.text(edge + 0.012, centre, f"{value.mean:.2f}", va="center", fontsize=7, color=INK)
    axes.set_ylim(len(categories) - 0.5, -0.5)
    axes.set_yticks(range(len(categories)), [inert(shorten(name, 34, placeholder="...")) for name in categories])
    axes.set_xlim(0, 1.06)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.set_xlabel(axis, fontsize=9, color=QUIET)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    bare(axes)
    handles = [
        Patch(facecolor=fill, hatch=hatch, edgecolor=INK, linewidth=0.5, label=inert(model))
        for model, (fill, hatch) in zip(models, cycle(SERIES), strict=False)
    ]
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.03, 0.0), ncols=2, frameon=False, fontsize=8.5,
        labelcolor=INK, handlelength=2.2, handleheight=1.15,
    )  # fmt: skip
    return figure
