"""How phases follow each other: a Markov chain from one scored frame to the next.

It is written as a CSV, and read as one or as YAML of the same names: a row for each class of the probabilities that
another follows, and a row `(start)` of those that a video begins with; without that row all are as likely.

Shapes: T frames of one video, C classes.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from ingest.atomic import write_text
from ingest.parsing import parse_yaml
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.tables import number, read_table, read_text

TRANSITIONS_NAME = "transitions.csv"
START = "(start)"
_FROM = "from"
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Transitions:
    """Probabilities of the first phase [C], and of the next [C, C] by the present one; every row adds up to one."""

    start_c: Floats
    next_cc: Floats

    @property
    def sha256(self) -> str:
        """Hash of all probabilities."""
        return hashlib.sha256(np.vstack([self.start_c, self.next_cc]).astype("<f8").tobytes()).hexdigest()


def sticky(classes: int, fps: float, dwell_seconds: float) -> Transitions:
    """A phase lasts `dwell_seconds` on average, no less than a frame, and any other follows with the same chance."""
    leave = 1.0 / (dwell_seconds * fps)
    assert leave <= 1
    start_c = np.full(classes, 1.0 / classes)
    if classes == 1:
        return Transitions(start_c=start_c, next_cc=np.ones((1, 1)))
    next_cc = np.full((classes, classes), leave / (classes - 1))
    np.fill_diagonal(next_cc, 1.0 - leave)
    return Transitions(start_c=start_c, next_cc=next_cc)


def learned(truths: Sequence[Ints], classes: int, pseudo_count: float) -> Transitions:
    """Transitions counted in videos' class ids [T] by frame, each with `pseudo_count` more.

    Frames without a label (negative ids) are skipped: what follows such a gap follows what was before it.
    """
    starts_c, counts_cc = np.full(classes, pseudo_count), np.full((classes, classes), pseudo_count)
    for truth_t in truths:
        labelled_t = truth_t[truth_t >= 0]
        starts_c[labelled_t[:1]] += 1
        np.add.at(counts_cc, (labelled_t[:-1], labelled_t[1:]), 1)
    return Transitions(start_c=starts_c / starts_c.sum(), next_cc=counts_cc / counts_cc.sum(axis=1, keepdims=True))


def write_transitions(path: Path, transitions: Transitions, classes: Sequence[str]) -> None:
    """CSV of `from,CLASS...`, every digit of every probability."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((_FROM, *classes))
    rows = np.vstack([transitions.start_c, transitions.next_cc]).tolist()
    for name, row_c in zip((START, *classes), rows, strict=True):
        writer.writerow((name, *map(repr, row_c)))
    write_text(path, buffer.getvalue())


def read_transitions(path: Path, classes: Sequence[str]) -> Transitions:
    """Read a CSV as `write_transitions` writes it, or a YAML file of `CLASS: {CLASS: probability}`.

    In YAML a class that is not named in a row has probability 0.

    Raises:
        ValueError: the file is missing, a class has no row or is not among `classes`, a cell is no probability, or the
            probabilities of a row do not add up to 1.
    """
    table = _yaml_rows(path, classes) if path.suffix.lower() in (".yaml", ".yml") else _csv_rows(path, classes)
    if missing := [label for label in classes if label not in table]:
        raise ValueError(f"{path}: no row of {missing[0]!r}; expected one for each class")
    if unknown := [label for label in table if label not in (START, *classes)]:
        raise ValueError(f"{path}: {unknown[0]!r} is none of the classes {', '.join(classes)}")
    for label, row_c in table.items():
        if not (min(row_c) >= 0 and abs(sum(row_c) - 1) <= _ROUNDING):
            raise ValueError(f"{path}: the row of {label!r} adds up to {sum(row_c):g}; expected 0 to 1 each, 1 in all")
    start_c = table.get(START, [1.0 / len(classes)] * len(classes))
    return Transitions(start_c=np.array(start_c), next_cc=np.array([table[label] for label in classes]))


def _csv_rows(path: Path, classes: Sequence[str]) -> dict[str, list[float]]:
    table: dict[str, list[float]] = {}
    for row in read_table(path, (_FROM, *classes)):
        if row[_FROM] in table:
            raise ValueError(f"{row.where}: a row of {row[_FROM]!r} stands there already")
        if extra := [name for name in row if name not in (_FROM, *classes)]:
            raise ValueError(f"{path}, line 1: {extra[0]!r} is none of the classes {', '.join(classes)}")
        table[row[_FROM]] = [number(row, label) for label in classes]
    return table


def _yaml_rows(path: Path, classes: Sequence[str]) -> dict[str, list[float]]:
    try:
        tree = parse_yaml(read_text(path))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(tree, Mapping) or not all(isinstance(row, Mapping) for row in tree.values()):
        raise ValueError(f"{path}: expected CLASS: {{CLASS: probability}} for each class")
    table: dict[str, list[float]] = {}
    for name, cells in tree.items():
        row = {str(label): cell for label, cell in cells.items()}
        if unknown := [label for label in row if label not in classes]:
            raise ValueError(f"{path}: {unknown[0]!r} in the row of {name!r} is none of {', '.join(classes)}")
        if odd := [cell for cell in row.values() if isinstance(cell, bool) or not isinstance(cell, int | float)]:
            raise ValueError(f"{path}: {odd[0]!r} in the row of {name!r} must be a number")
        table[str(name)] = [float(row.get(label, 0.0)) for label in classes]
    return table
