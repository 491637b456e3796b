"""Predictions of videos second by second, and their CSV, from which every figure of phases can be computed again.

Shapes: T scored seconds of one video.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_text
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import UNLABELLED

CONFIDENCE_DIGITS = 6
"""Decimals that are written; confidences are rounded to them before anything is computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Truth and prediction of one video by second, as class ids; UNLABELLED where the truth says nothing."""

    video_id: str
    seconds_t: Floats
    truth_t: Ints
    predicted_t: Ints
    smoothed_t: Ints | None = None
    confidence_t: Floats | None = None
    """Softmax of the scores at the model's temperature, of the class that is predicted."""
    scores_tc: NDArray[np.float32] | None = None
    """What each second scored for each class; kept in `scores.npz`, not in the CSV."""


def write_timelines(path: Path, timelines: Sequence[Timeline], classes: Sequence[str]) -> None:
    """CSV of `video,seconds,truth,predicted,smoothed,confidence` with labels; what is not known is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("video", "seconds", "truth", "predicted", "smoothed", "confidence"))
    names = {UNLABELLED: "", **dict(enumerate(classes))}
    for line in timelines:
        smoothed_t = np.full_like(line.truth_t, UNLABELLED) if line.smoothed_t is None else line.smoothed_t
        sure_t = [None] * len(line.truth_t) if line.confidence_t is None else line.confidence_t.tolist()
        for seconds, *ids, sure in zip(line.seconds_t, line.truth_t, line.predicted_t, smoothed_t, sure_t, strict=True):
            confidence = "" if sure is None else f"{sure:.{CONFIDENCE_DIGITS}f}"
            writer.writerow((line.video_id, f"{seconds:g}", *(names[int(number)] for number in ids), confidence))
    write_text(path, buffer.getvalue())


def read_timelines(path: Path, classes: Sequence[str]) -> tuple[Timeline, ...]:
    """Read what `write_timelines` wrote.

    Raises:
        ValueError: the file is missing or holds a label that is not among the classes, or a cell that is no number.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected the predictions of an evaluation; run `ophclip zeroshot` first")
    numbers = {"": UNLABELLED, **{label: index for index, label in enumerate(classes)}}
    rows: dict[str, list[tuple[float, int, int, int, float]]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            try:
                ids = [numbers[row[name]] for name in ("truth", "predicted", "smoothed")]
                cells = float(row["seconds"]), float(row["confidence"] or "nan")
            except (KeyError, TypeError) as error:
                raise ValueError(f"{path}: {error} is not a column or class; do the classes belong to it?") from error
            except ValueError as error:
                raise ValueError(f"{path}: seconds or confidence of {row['video']} is no number: {error}") from error
            rows.setdefault(row["video"], []).append((cells[0], ids[0], ids[1], ids[2], cells[1]))
    return tuple(_timeline(video_id, cells) for video_id, cells in rows.items())


def _timeline(video_id: str, cells: Sequence[tuple[float, int, int, int, float]]) -> Timeline:
    seconds, truth, predicted, smoothed, sure = zip(*cells, strict=True)
    smoothed_t, confidence_t = np.array(smoothed, dtype=np.int64), np.array(sure, dtype=np.float64)
    return Timeline(
        video_id=video_id,
        seconds_t=np.array(seconds, dtype=np.float64),
        truth_t=np.array(truth, dtype=np.int64),
        predicted_t=np.array(predicted, dtype=np.int64),
        smoothed_t=None if (smoothed_t == UNLABELLED).all() else smoothed_t,
        confidence_t=None if np.isnan(confidence_t).any() else confidence_t,
    )
