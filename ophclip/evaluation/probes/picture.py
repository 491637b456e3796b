"""A probe as one picture: figures above, gains below, against the number of training videos; a column for each head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.plots import GRID, INK, QUIET
from ophclip.evaluation.probes.figures import MAP, Header, Line, estimated, gain_pairs, main_figure

Style = tuple[str, Any, str]
_STYLES: tuple[Style, ...] = (
    ("#1965b0", "-", "o"),
    ("#dc050c", "--", "s"),
    ("#4eb265", "-.", "^"),
    ("#882e72", ":", "D"),
    ("#777777", (0, (6, 1, 1, 1, 1, 1)), "v"),
)
"""Colour, line and marker of each model: any one of them tells it apart, so that grey is enough."""
_APART = 1.04
_CHANCE = (0, (1, 2))
_TITLES = {"linear": "linear probe", "knn": "k-NN", "tcn": "causal TCN", "finetune": "fine-tuning"}
_NAMES = {MAP: "mAP", "f1": "macro F1"}


def gain_picture(header: Header, lines: Sequence[Line], chance: Mapping[str, float]) -> Figure:
    """With 95 % intervals over test videos; without another model the gains are left out."""
    name = main_figure(lines)
    heads = list(dict.fromkeys(line.head for line in lines))
    models = list(dict.fromkeys(line.model for line in lines))
    rows = 1 if len(models) == 1 else 2
    size = (1.3 + 2.9 * len(heads), 1.0 + 2.35 * rows)
    figure = Figure(figsize=(max(size[0], 5.4), size[1]), dpi=140, facecolor="white", layout="constrained")
    panels = figure.subplots(rows, len(heads), sharey="row", squeeze=False)
    styles = dict(zip(models, _STYLES * (len(models) // len(_STYLES) + 1), strict=False))
    for column, head in enumerate(heads):
        shown = [line for line in lines if line.head == head and line.budget.videos]
        _figures(panels[0, column], shown, name, header, styles)
        panels[0, column].axhline(chance[name], color=QUIET, linewidth=0.9, linestyle=_CHANCE)
        panels[0, column].set_title(_TITLES[head], loc="left", fontsize=10, fontweight="bold", color=INK)
        if rows == 2:
            _gains(panels[1, column], shown, name, header, styles)
        panels[-1, column].set_xlabel("training videos", fontsize=9, color=QUIET)
    # Room up to the next fifth: small figures are read as well as large ones, and the axis begins at zero.
    panels[0, 0].set_ylim(0, min(0.2 * np.ceil(panels[0, 0].get_ylim()[1] / 0.2), 1.0))
    panels[0, 0].set_ylabel(_NAMES[name], fontsize=9, color=QUIET)
    if rows == 2:
        panels[1, 0].set_ylabel(f"gain of the bundle in {_NAMES[name]}", fontsize=9, color=QUIET)
    figure.suptitle(_said(header, lines), x=0.008, ha="left", fontsize=9, color=QUIET)
    _legend(figure, styles, chance[name])
    return figure


def _said(header: Header, lines: Sequence[Line]) -> str:
    tested, draws = len(header.provenance["split"]["test"]), header.options["draws"]
    named = f"{header.provenance['dataset']['name']}, {header.provenance['protocol']}"
    told = f"{named}: mean of {draws} draws of training videos, 95 % intervals over {tested} test videos"
    shots = ", ".join(str(shots) for shots in sorted({line.budget.shots for line in lines if line.budget.shots}))
    return f"{told}\nfigures of {shots} labelled seconds of each class: cells.csv" if shots else told


def _figures(axes: Axes, lines: Sequence[Line], name: str, header: Header, styles: Mapping[str, Style]) -> None:
    for place, model in enumerate(styles):
        own = [line for line in lines if line.model == model]
        points = {line.budget.videos: estimated(line.values[name], header) for line in own}
        _curve(axes, points, styles[model], place)
    _dress(axes, lines)


def _gains(axes: Axes, lines: Sequence[Line], name: str, header: Header, styles: Mapping[str, Style]) -> None:
    pairs = gain_pairs(lines)
    for place, model in enumerate(styles):
        own = [(one, other) for one, other in pairs if other.model == model]
        points = {one.budget.videos: estimated(one.values[name] - other.values[name], header) for one, other in own}
        _curve(axes, points, styles[model], place)
    axes.axhline(0, color=INK, linewidth=0.9)
    _dress(axes, lines)


def _curve(axes: Axes, points: Mapping[int, Estimate], style: Style, place: int) -> None:
    """Estimates by the number of videos; each model stands a little further right, else intervals hide each other."""
    colour, dashes, marker = style
    videos = [number * _APART**place for number in sorted(points)]
    found = [points[number] for number in sorted(points)]
    means = [one.mean for one in found]
    axes.plot(videos, means, color=colour, linestyle=dashes, marker=marker, markersize=4.5, linewidth=1.5)
    for number, one in zip(videos, found, strict=True):
        if np.isfinite(one.low):
            axes.plot((number, number), (one.low, one.high), color=colour, linewidth=1.0, alpha=0.75)


def _dress(axes: Axes, lines: Sequence[Line]) -> None:
    ticks = sorted({line.budget.videos for line in lines})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(ticks[0] * 0.85, ticks[-1] * 1.25)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.tick_params(axis="x", colors=QUIET)


def _legend(figure: Figure, styles: Mapping[str, Style], chance: float) -> None:
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, marker=marker, markersize=4.5, linewidth=1.5, label=model)
        for model, (colour, dashes, marker) in styles.items()
    ]
    handles.append(Line2D([], [], color=QUIET, linestyle=_CHANCE, linewidth=0.9, label=f"chance {chance:.2f}"))
    figure.legend(
        handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=8.5, labelcolor=INK,
        handlelength=3.2,
    )  # fmt: skip
