"""Phases as segments: mean average precision by temporal overlap.

Shapes: N seconds, D predicted segments of one class, V videos, B drawings of V videos, K thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.intervals import Statistic
from ophclip.evaluation.metrics import Floats, Ints, nanmean
from ophclip.evaluation.relaxed import runs
from ophclip.evaluation.timelines import Timeline

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Detections:
    """Predicted segments of one class over all videos, surest first, and the true segments of each video [V]."""

    video_d: Ints
    score_d: Floats
    hit_kd: NDArray[np.bool_]
    truths_v: Ints


def localisation_map(lines: Sequence[Timeline], classes: int) -> dict[str, Statistic]:
    """Mean over classes of average precision at tIoU 0.3 to 0.7, and the mean of these five.

    A segment is a run of one class; runs of the prediction end at unlabelled seconds. Its score is the mean confidence
    of its seconds (1 without confidences). The surest takes the true segment of its class and video that it overlaps
    most, if that is free and the overlap reaches the threshold. Precision is made monotone, as ActivityNet does.
    """
    found = [_detections(lines, label) for label in range(classes)]
    used = [one for one in found if one.truths_v.any()]

    def at(places: Sequence[int]) -> Statistic:
        return Statistic(videos=len(lines), of=lambda rows_bv: _mean_precisions(used, rows_bv, places))

    each = {f"map_{threshold:g}": at([place]) for place, threshold in enumerate(THRESHOLDS)}
    return {**each, "map": at(range(len(THRESHOLDS)))}


def _mean_precisions(found: Sequence[_Detections], rows_bv: Ints, places: Sequence[int]) -> Floats:
    weights_bv = np.stack([np.bincount(row, minlength=len(found[0].truths_v)) for row in rows_bv])
    per_class = [
        np.mean([_average_precision(one, one.hit_kd[place], weights_bv) for place in places], axis=0) for one in found
    ]
    return nanmean(np.stack(per_class), axis=0)


def _average_precision(found: _Detections, hit_d: NDArray[np.bool_], weights_bv: Ints) -> Floats:
    """Interpolated average precision [B] of one class; equal scores enter together; NaN without a true segment."""
    positives_b = weights_bv @ found.truths_v
    weights_bd = weights_bv[:, found.video_d]
    last_d = np.append(np.diff(found.score_d) != 0, True)[: len(hit_d)]
    hits_be = np.cumsum(weights_bd * hit_d, axis=1)[:, last_d]
    precision_be = hits_be / np.maximum(np.cumsum(weights_bd, axis=1)[:, last_d], 1)
    precision_be = np.maximum.accumulate(precision_be[:, ::-1], axis=1)[:, ::-1]
    area_b = (np.diff(hits_be, axis=1, prepend=0) * precision_be).sum(axis=1)
    return np.where(positives_b > 0, area_b / np.maximum(positives_b, 1), np.nan)


def _detections(lines: Sequence[Timeline], label: int) -> _Detections:
    rows: list[tuple[float, int, NDArray[np.bool_]]] = []
    truths_v = np.zeros(len(lines), dtype=np.int64)
    for number, line in enumerate(lines):
        predicted_n = np.where(line.truth_t < 0, -1, line.predicted_t)
        truth = [span for span in runs(line.truth_t) if line.truth_t[span[0]] == label]
        spans = [span for span in runs(predicted_n) if predicted_n[span[0]] == label]
        sure_n = np.ones(len(predicted_n)) if line.confidence_t is None else line.confidence_t
        scores = [float(sure_n[first:stop].mean()) for first, stop in spans]
        order = sorted(range(len(spans)), key=lambda place: -scores[place])
        hits = _matched([spans[place] for place in order], truth)
        rows += [(scores[place], number, hit_k) for place, hit_k in zip(order, hits, strict=True)]
        truths_v[number] = len(truth)
    rows.sort(key=lambda row: -row[0])
    return _Detections(
        video_d=np.array([row[1] for row in rows], dtype=np.int64),
        score_d=np.array([row[0] for row in rows], dtype=np.float64),
        hit_kd=np.array([row[2] for row in rows], dtype=np.bool_).reshape(-1, len(THRESHOLDS)).T,
        truths_v=truths_v,
    )


def _matched(spans: Sequence[tuple[int, int]], truth: Sequence[tuple[int, int]]) -> list[NDArray[np.bool_]]:
    """For each predicted span, surest first, whether it takes a true span at each threshold [K]."""
    taken_kt = np.zeros((len(THRESHOLDS), len(truth)), dtype=np.bool_)
    answers = []
    for span in spans:
        hit_k = np.zeros(len(THRESHOLDS), dtype=np.bool_)
        overlaps_t = np.array([_overlap(span, other) for other in truth])
        for place, threshold in enumerate(THRESHOLDS):
            open_t = ~taken_kt[place] & (overlaps_t >= threshold - 1e-9)
            if open_t.any():
                taken_kt[place, int(np.argmax(np.where(open_t, overlaps_t, -1.0)))] = True
                hit_k[place] = True
        answers.append(hit_k)
    return answers


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    shared = max(min(one[1], other[1]) - max(one[0], other[0]), 0)
    return shared / (one[1] - one[0] + other[1] - other[0] - shared)
