"""Loss curves of one run, from its `metrics.csv`."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure

from ophclip.evaluation.plots import figure_bytes

CURVES = {
    ("clip", "contrastive"): ("clip and narration", "#0b6e7f"),
    ("video", "contrastive"): ("video and title", "#c2571a"),
    ("video", "retrieval"): ("retrieved silent video and title", "#7b4fa3"),
    ("clip", "views"): ("two views of a clip (SimSiam, at best -1)", "#7a8896"),
}


def loss_curves(metrics: Path) -> bytes:
    """Loss by step for each part that was optimised, as PNG."""
    with metrics.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(10.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for (level, column), (label, colour) in CURVES.items():
        points = [(int(row["step"]), float(row[column])) for row in rows if row["level"] == level and row.get(column)]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, linewidth=1.8)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper right", ncols=2)
    return figure_bytes(figure)
