"""Predictions of videos second by second, and their CSV, from which every figure of phases can be computed again.

Shapes: T scored seconds of one video.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_text
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import UNLABELLED
from ophclip.evaluation.tables import Row, guarded, number, read_table, unguarded

CONFIDENCE_DIGITS = 6
"""Decimals that are written; confidences are rounded to them before anything is computed."""
CAUSAL, OFFLINE = "causal", "offline"
SMOOTHED = (CAUSAL, OFFLINE)
"""Predictions that take other seconds into account: of the past only, or of the whole video."""
_COLUMNS = (
    *("video", "seconds", "truth", "predicted", "confidence"),
    *(column for name in SMOOTHED for column in (name, f"{name}_confidence")),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """Class ids of one video by second [T], and how sure each is."""

    ids_t: Ints
    confidence_t: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Truth and prediction of one video by second, as class ids; UNLABELLED where the truth says nothing."""

    video_id: str
    seconds_t: Floats
    truth_t: Ints
    predicted_t: Ints
    confidence_t: Floats | None = None
    """Softmax of the scores at the model's temperature, of the class that is predicted."""
    scores_tc: NDArray[np.float32] | None = None
    """What each second scored for each class; kept in `scores.npz`, not in the CSV."""
    causal: Prediction | None = None
    offline: Prediction | None = None

    def smoothed(self, name: str) -> Timeline | None:
        """The same video with the `causal` or `offline` prediction as what is predicted; None if there is none."""
        found = self.causal if name == CAUSAL else self.offline
        if found is None:
            return None
        return Timeline(
            video_id=self.video_id,
            seconds_t=self.seconds_t,
            truth_t=self.truth_t,
            predicted_t=found.ids_t,
            confidence_t=found.confidence_t,
        )


def smoothed_lines(lines: Sequence[Timeline], name: str) -> list[Timeline]:
    """The `causal` or `offline` predictions of those videos that have them."""
    return [found for line in lines if (found := line.smoothed(name)) is not None]


def write_timelines(path: Path, timelines: Sequence[Timeline], classes: Sequence[str]) -> None:
    """CSV of seconds with labels and confidences, raw, causal and offline; what is not known is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in timelines:
        empty = [""] * len(line.seconds_t)
        seconds = [repr(second).removesuffix(".0") for second in line.seconds_t.tolist()]
        columns = [[guarded(line.video_id)] * len(empty), seconds, _names(line.truth_t, classes)]
        for part in (line, line.smoothed(CAUSAL), line.smoothed(OFFLINE)):
            columns.append(empty if part is None else _names(part.predicted_t, classes))
            columns.append(empty if part is None or part.confidence_t is None else _digits(part.confidence_t))
        writer.writerows(zip(*columns, strict=True))
    write_text(path, buffer.getvalue())


def _names(ids_t: Ints, classes: Sequence[str]) -> list[str]:
    return [guarded(classes[place]) if place != UNLABELLED else "" for place in ids_t.tolist()]


def _digits(confidence_t: Floats) -> list[str]:
    return [f"{sure:.{CONFIDENCE_DIGITS}f}" for sure in confidence_t.tolist()]


def read_timelines(path: Path, classes: Sequence[str]) -> tuple[Timeline, ...]:
    """Read what `write_timelines` wrote.

    Raises:
        ValueError: the file is missing or empty, a label is not among the classes, a cell is no number, a second does
            not follow the one before, a column is filled in part, or a video has no truth; names the line.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected the predictions of an evaluation; run `ophclip zeroshot` first")
    numbers = {name: index for index, label in enumerate(classes) for name in (label, guarded(label))}
    rows = read_table(path, _COLUMNS)
    known = {column for column in _COLUMNS[3:] if _filled(rows, column)}
    if "predicted" not in known:
        raise ValueError(f"{rows[0].where}: predicted is empty; expected a class in every line")
    videos: dict[str, list[Row]] = {}
    for row in rows:
        videos.setdefault(unguarded(row["video"]), []).append(row)
    return tuple(_timeline(video_id, lines, numbers, known) for video_id, lines in videos.items())


def _filled(rows: Sequence[Row], column: str) -> bool:
    """Whether a column is filled, in all lines or in none."""
    filled = bool(rows[0][column])
    for row in rows:
        if bool(row[column]) != filled:
            raise ValueError(
                f"{row.where}: {column} is {'empty' if filled else 'filled'}, other than in the lines before"
            )
    return filled


def _timeline(video_id: str, rows: Sequence[Row], numbers: Mapping[str, int], known: Collection[str]) -> Timeline:
    seconds = [number(row, "seconds") for row in rows]
    for row, before, after in zip(rows[1:], seconds, seconds[1:], strict=False):
        if after <= before:
            raise ValueError(f"{row.where}: {video_id} goes from {before:g} s to {after:g} s; seconds must increase")
    truth_t = _ids(rows, "truth", {"": UNLABELLED, **numbers})
    if (truth_t == UNLABELLED).all():
        raise ValueError(f"{rows[0].where}: no second of {video_id} has a truth; a video without labels has no score")
    smoothed = {
        name: Prediction(ids_t=_ids(rows, name, numbers), confidence_t=_confidences(rows, f"{name}_confidence"))
        for name in SMOOTHED
        if name in known
    }
    return Timeline(
        video_id=video_id,
        seconds_t=np.array(seconds, dtype=np.float64),
        truth_t=truth_t,
        predicted_t=_ids(rows, "predicted", numbers),
        confidence_t=_confidences(rows, "confidence") if "confidence" in known else None,
        causal=smoothed.get(CAUSAL),
        offline=smoothed.get(OFFLINE),
    )


def _ids(rows: Sequence[Row], column: str, numbers: Mapping[str, int]) -> Ints:
    for row in rows:
        if row[column] not in numbers:
            raise ValueError(f"{row.where}: {column} {row[column]!r} is none of {', '.join(filter(None, numbers))}")
    return np.array([numbers[row[column]] for row in rows], dtype=np.int64)


def _confidences(rows: Sequence[Row], column: str) -> Floats:
    found_t = np.array([number(row, column) for row in rows], dtype=np.float64)
    for place in np.flatnonzero((found_t < 0) | (found_t > 1))[:1]:
        raise ValueError(f"{rows[place].where}: {column} is {rows[place][column]}; expected 0 to 1")
    return found_t
