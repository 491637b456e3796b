"""A probe as lines: a table of every training set, and the main figures in one line."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ingest.atomic import write_text
from ophclip.evaluation.probes.figures import Header, Line, estimated, main_figure, of_draw


def write_cells_table(path: Path, lines: Sequence[Line]) -> None:
    """CSV of every cell: model, head, budget, draw, videos and seconds that were learned from, and its figures."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = list(lines[0].values)
    writer.writerow(("model", "head", "shots", "draw", "training_videos", "training_seconds", "not_learned", *names))
    for line in lines:
        for place, one in enumerate(line.cells):
            figures = [f"{of_draw(line.values[name][place]):.6f}" for name in names]
            learned = len(one.seconds), sum(one.seconds.values()), len(one.missing)
            writer.writerow((line.model, line.head, line.budget.shots or "", one.cell.draw, *learned, *figures))
    write_text(path, buffer.getvalue())


def headline(header: Header, lines: Sequence[Line]) -> str:
    """The main figure of each model and head with the most videos."""
    name = main_figure(lines)
    most = max(line.budget.videos for line in lines)
    said = []
    for line in lines:
        if line.budget.videos == most:
            figure = estimated(line.values[name], header)
            said.append(f"{line.model} {line.head} {figure}")
    tested = len(header.provenance["split"]["test"])
    return f"{header.provenance['protocol']} {name}, {most} training and {tested} test videos: {', '.join(said)}"
