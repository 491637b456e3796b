"""Pictures of an evaluation: phase ribbons, bars with intervals, similarity over time.

Figures are made without pyplot, so that nothing global changes. Colours are told apart by colour-blind readers (Paul
Tol's discrete rainbow), and wide segments carry their name. Shapes: T seconds, C classes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ingest.atomic import write_bytes
from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import UNLABELLED
from ophclip.evaluation.timelines import SMOOTHED, Timeline

INK = "#1f2933"
QUIET = "#7b8794"
GRID = "#e4e7eb"
BLANK = "#f0f2f4"
ACCENT = "#1965b0"
CHANCE = "#dc050c"
FONT = "DejaVu Sans"

OTHER = "#b8c0c8"
OTHER_NAME = "other classes"

# Paul Tol, "Colour schemes" (SRON/EPS/TN/09-002): the discrete rainbow for 10 and for 14 classes.
_TEN = ("882E72", "1965B0", "7BAFDE", "4EB265", "CAE0AB", "F7F056", "F4A736", "E8601C", "DC050C", "72190E")
_FOURTEEN = (
    *("D1BBD7", "AE76A3", "882E72", "1965B0", "5289C7", "7BAFDE", "4EB265"),
    *("90C987", "CAE0AB", "F7F056", "F6C141", "EE8026", "DC050C", "72190E"),
)
_TICKS_SECONDS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def class_colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each of at most 14 classes, the same for the same list; further classes share one grey."""
    picked: Sequence[str] = _TEN if len(labels) <= len(_TEN) else _FOURTEEN
    if 1 < len(labels) < len(picked):
        picked = tuple(picked[round(step)] for step in np.linspace(0, len(picked) - 1, len(labels)))
    colours = {label: f"#{colour}" for label, colour in zip(labels, picked, strict=False)}
    return {label: colours.get(label, OTHER) for label in labels}


def phase_ribbon(
    timeline: Timeline, classes: Sequence[str], colours: Mapping[str, str] | None = None, *, note: str = ""
) -> Figure:
    """Truth (if any) above prediction over the minutes of one video; `note` stands at the right of the title.

    Without `colours`, and with more classes than can be told apart, the 14 that fill most of the video are coloured.
    """
    rows = _rows(timeline)
    ids_rt = np.stack(list(rows.values()))
    colours = colours or _colours_for(ids_rt, classes)
    legend = _legend_patches(ids_rt, classes, colours)
    columns = 5 if max((len(str(patch.get_label())) for patch in legend), default=0) <= 26 else 4
    foot_in = 0.45 + 0.175 * -(-len(legend) // columns)
    band_in = 0.46 * len(rows)
    figure, axes = _canvas(left_in=0.85, width_in=9.0, top_in=0.34, height_in=band_in, foot_in=foot_in)
    for row, ids_t in enumerate(ids_rt):
        _band(axes, row, _spans(timeline.seconds_t, ids_t), classes, colours)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), list(rows))
    _time_axis(axes, timeline.seconds_t)
    _bare(axes)
    axes.set_title(timeline.video_id, loc="left", fontsize=11, fontweight="bold", color=INK, pad=7)
    axes.set_title(note, loc="right", fontsize=9, color=QUIET, pad=7)
    if legend:
        figure.legend(
            handles=legend, loc="lower left", bbox_to_anchor=(0.078, 0.0), ncols=columns, frameon=False,
            fontsize=8, labelcolor=INK, handlelength=1.1, handleheight=1.0, columnspacing=1.4, borderpad=0.2,
        )  # fmt: skip
    return figure


def _rows(timeline: Timeline) -> dict[str, Ints]:
    rows = {"truth": timeline.truth_t, "predicted": timeline.predicted_t}
    if (timeline.truth_t == UNLABELLED).all():
        del rows["truth"]
    for name in SMOOTHED:
        if (line := timeline.smoothed(name)) is not None:
            rows[name] = line.predicted_t
    return rows


def _canvas(
    *, left_in: float, width_in: float, top_in: float, height_in: float, foot_in: float, right_in: float = 0.15
) -> tuple[Figure, Axes]:
    """A figure ten inches wide or less whose one plot has exactly these margins."""
    size = (left_in + width_in + right_in, top_in + height_in + foot_in)
    figure = Figure(figsize=size, dpi=140, facecolor="white")
    box = (left_in / size[0], foot_in / size[1], width_in / size[0], height_in / size[1])
    return figure, figure.add_axes(box)


def _colours_for(ids_rt: Ints, classes: Sequence[str]) -> dict[str, str]:
    if len(classes) <= len(_FOURTEEN):
        return class_colours(classes)
    numbers, counts = np.unique(ids_rt[ids_rt != UNLABELLED], return_counts=True)
    most = sorted(numbers[np.argsort(-counts, kind="stable")][: len(_FOURTEEN)].tolist())
    return {**dict.fromkeys(classes, OTHER), **class_colours([classes[number] for number in most])}


def _legend_patches(ids_rt: Ints, classes: Sequence[str], colours: Mapping[str, str]) -> list[Patch]:
    shown = [classes[number] for number in np.unique(ids_rt).tolist() if number != UNLABELLED]
    named = [Patch(facecolor=colours[label], label=label) for label in shown if colours[label] != OTHER]
    others = len(shown) - len(named)
    return [*named, *([Patch(facecolor=OTHER, label=f"{OTHER_NAME} ({others})")] if others else [])]


def _band(
    axes: Axes, row: int, spans: Sequence[tuple[float, float, int]], classes: Sequence[str], colours: Mapping[str, str]
) -> None:
    total = sum(width for _, width, _ in spans)
    filled = [BLANK if number == UNLABELLED else colours[classes[number]] for _, _, number in spans]
    places = [(left, width) for left, width, _ in spans]
    axes.broken_barh(places, (row - 0.42, 0.84), facecolors=filled, linewidth=0)
    for (left, width, number), colour in zip(spans, filled, strict=True):
        if number != UNLABELLED and width / total > 0.0068 * len(classes[number]) + 0.01:
            ink = "white" if _luminance(colour) < 0.5 else INK
            axes.text(left + width / 2, row, classes[number], ha="center", va="center", fontsize=7.5, color=ink)


def _spans(seconds_t: Floats, ids_t: Ints) -> list[tuple[float, float, int]]:
    """(left, width, id) of each stretch of equal ids, in seconds."""
    ends_t = np.append(seconds_t[1:], seconds_t[-1] + _step(seconds_t))
    edges = [0, *(np.flatnonzero(np.diff(ids_t)) + 1).tolist(), len(ids_t)]
    return [
        (float(seconds_t[first]), float(ends_t[last - 1] - seconds_t[first]), int(ids_t[first]))
        for first, last in pairwise(edges)
    ]


def _step(seconds_t: Floats) -> float:
    return float(np.median(np.diff(seconds_t))) if len(seconds_t) > 1 else 1.0


def class_bars(
    figures: Mapping[str, Estimate], *, title: str, axis: str, chance: float | None = None, note: str = ""
) -> Figure:
    """One bar per class with its 95 % interval, largest on top; classes without a figure are left out."""
    known = {label: figure for label, figure in figures.items() if np.isfinite(figure.mean)}
    ordered = sorted(known.items(), key=lambda item: item[1].mean)
    body_in = 0.29 * max(len(ordered), 1)
    figure, axes = _canvas(left_in=2.45, width_in=5.3, top_in=0.55, height_in=body_in, foot_in=0.6)
    for row, (_, value) in enumerate(ordered):
        axes.barh(row, value.mean, height=0.62, color=ACCENT, alpha=0.85, linewidth=0)
        if np.isfinite(value.low):
            axes.plot((value.low, value.high), (row, row), color=INK, linewidth=1.3, solid_capstyle="butt")
        edge = value.high if np.isfinite(value.high) else value.mean
        axes.text(edge + 0.012, row, f"{value.mean:.2f}", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(ordered)), [label for label, _ in ordered])
    axes.set_ylim(-0.6, len(ordered) - 0.4)
    axes.set_xlim(0, 1.06)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.set_xlabel(axis, fontsize=9, color=QUIET)
    axes.grid(axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if chance is not None:
        axes.axvline(chance, color=CHANCE, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.text(chance + 0.008, len(ordered) - 0.42, f"chance {chance:.2f}", fontsize=8, color=CHANCE, va="bottom")
    _bare(axes)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=18, x=-0.445)
    axes.set_title(note, loc="right", fontsize=9, color=QUIET, pad=18)
    return figure


def similarity_map(seconds_t: Floats, scores_tc: Floats, labels: Sequence[str], *, title: str) -> Figure:
    """Similarity of each prompt over time: a row per class, darker where the picture fits the words better."""
    body_in = 0.27 * len(labels)
    figure, axes = _canvas(left_in=2.3, width_in=7.0, top_in=0.34, height_in=body_in, foot_in=0.34, right_in=0.75)
    extent = (float(seconds_t[0]), float(seconds_t[-1]) + _step(seconds_t), len(labels) - 0.5, -0.5)
    image = axes.imshow(scores_tc.T, aspect="auto", interpolation="nearest", cmap="cividis_r", extent=extent)
    axes.set_yticks(range(len(labels)), list(labels))
    _time_axis(axes, seconds_t)
    _bare(axes)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=7)
    bar = axes.inset_axes((1.012, 0.0, 0.014, 1.0))
    figure.colorbar(image, cax=bar)
    bar.tick_params(labelsize=7, colors=QUIET, length=0)
    bar.spines[:].set_visible(False)
    bar.set_title("cosine", fontsize=8, color=QUIET, loc="left", pad=7)
    return figure


def _time_axis(axes: Axes, seconds_t: Floats) -> None:
    start, end = float(seconds_t[0]), float(seconds_t[-1]) + _step(seconds_t)
    axes.set_xlim(start, end)
    apart = next((step for step in _TICKS_SECONDS if (end - start) / step <= 9), _TICKS_SECONDS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(apart))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}"))


def _bare(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=8.5, colors=INK)
    axes.tick_params(axis="x", colors=QUIET)


def _luminance(colour: str) -> float:
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def figure_bytes(figure: Figure, kind: str = "png") -> bytes:
    """The picture as `png` or `svg`; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context({"font.family": FONT, "svg.hashsalt": "ophclip", "svg.fonttype": "none"}):
        if kind == "svg":
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        elif kind == "png":
            figure.savefig(buffer, format="png")
        else:
            raise ValueError(f"picture kind {kind!r}: expected png or svg")
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture whole or not at all; the suffix says whether it is PNG or SVG."""
    write_bytes(path, figure_bytes(figure, path.suffix.removeprefix(".")))
