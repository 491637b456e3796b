"""Phases as segments: mean average precision by temporal overlap.

Shapes: N seconds, D predicted segments of one class, H distinct scores of hits, V videos, B drawings, K thresholds.
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
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hits:
    """Predicted segments of one class that take a true one at one threshold, surest first: what they leave behind."""

    hits_vh: Ints
    """Hits of each video that are as sure as hit H or surer."""
    seen_vh: Ints
    """The same of all predicted segments."""
    truths_v: Ints
    """True segments of each video."""


def localisation_map(lines: Sequence[Timeline], classes: int) -> dict[str, Statistic]:
    """Mean over classes of average precision at tIoU 0.3 to 0.7, and the mean of these five.

    A segment is a run of one class; runs of the prediction end at unlabelled seconds. Its score is the mean confidence
    of its seconds (1 without confidences). The surest takes the true segment of its class and video that it overlaps
    most, if that is free and the overlap reaches the threshold. Precision is made monotone, as ActivityNet does; equal
    scores enter together.
    """
    found = [one for label in range(classes) if (one := _hits(lines, label))[0].truths_v.any()]

    def at(places: Sequence[int]) -> Statistic:
        return Statistic(videos=len(lines), of=lambda rows_bv: _mean_precisions(found, rows_bv, places))

    each = {f"map_{threshold:g}": at([place]) for place, threshold in enumerate(THRESHOLDS)}
    return {**each, "map": at(range(len(THRESHOLDS)))}


def _mean_precisions(found: Sequence[Sequence[_Hits]], rows_bv: Ints, places: Sequence[int]) -> Floats:
    videos = len(found[0][0].truths_v)
    weights_bv = np.stack([np.bincount(row, minlength=videos) for row in rows_bv])
    per_class = [np.mean([_average_precision(one[place], weights_bv) for place in places], axis=0) for one in found]
    return nanmean(np.stack(per_class), axis=0)


def _average_precision(found: _Hits, weights_bv: Ints) -> Floats:
    """Average precision [B] of one class, each video counted so many times; NaN without a true segment."""
    truths_b, hits_bh = weights_bv @ found.truths_v, weights_bv @ found.hits_vh
    precision_bh = hits_bh / np.maximum(weights_bv @ found.seen_vh, 1)
    precision_bh = np.maximum.accumulate(precision_bh[:, ::-1], axis=1)[:, ::-1]
    area_b = (np.diff(hits_bh, axis=1, prepend=0) * precision_bh).sum(axis=1)
    return np.where(truths_b > 0, area_b / np.maximum(truths_b, 1), np.nan)


def _hits(lines: Sequence[Timeline], label: int) -> list[_Hits]:
    """Of one class, at each threshold."""
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
    score_d = np.array([row[0] for row in rows], dtype=np.float64)
    video_d = np.array([row[1] for row in rows], dtype=np.int64)
    hit_kd = np.array([row[2] for row in rows], dtype=np.bool_).reshape(-1, len(THRESHOLDS)).T
    answers = []
    for hit_d in hit_kd:
        bars_h = np.unique(score_d[hit_d])[::-1]
        answers.append(
            _Hits(
                hits_vh=_surer(score_d[hit_d], video_d[hit_d], bars_h, len(lines)),
                seen_vh=_surer(score_d, video_d, bars_h, len(lines)),
                truths_v=truths_v,
            )
        )
    return answers


def _surer(score_d: Floats, video_d: Ints, bars_h: Floats, videos: int) -> Ints:
    """How many scores of each video reach each bar [V, H]."""
    sorted_v = [np.sort(score_d[video_d == video]) for video in range(videos)]
    return np.stack([len(scores) - np.searchsorted(scores, bars_h, side="left") for scores in sorted_v])


def _matched(spans: Sequence[tuple[int, int]], truth: Sequence[tuple[int, int]]) -> list[NDArray[np.bool_]]:
    """For each predicted span, surest first, whether it takes a true span at each threshold [K]."""
    taken_kt = np.zeros((len(THRESHOLDS), len(truth)), dtype=np.bool_)
    answers = []
    for span in spans:
        hit_k = np.zeros(len(THRESHOLDS), dtype=np.bool_)
        overlaps_t = np.array([_overlap(span, other) for other in truth])
        if not truth or overlaps_t.max() < THRESHOLDS[0] - _ROUNDING:
            answers.append(hit_k)
            continue
        for place, threshold in enumerate(THRESHOLDS):
            open_t = ~taken_kt[place] & (overlaps_t >= threshold - _ROUNDING)
            if open_t.any():
                taken_kt[place, int(np.argmax(np.where(open_t, overlaps_t, -1.0)))] = True
                hit_k[place] = True
        answers.append(hit_k)
    return answers


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    shared = max(min(one[1], other[1]) - max(one[0], other[0]), 0)
    return shared / (one[1] - one[0] + other[1] - other[0] - shared)
