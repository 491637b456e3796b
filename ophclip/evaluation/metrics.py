"""The figures of one video, from which the named protocols (`protocols`) are made.

`video_macro_v1`: 1 fps by timestamp, unrelaxed. Per video: accuracy, and precision, recall, F1 and Jaccard averaged
over the classes present in that video's ground truth; then mean and standard deviation over videos. A precision
without any prediction of its class is undefined: it counts as 0, as scikit-learn counts it, and is reported.

`instrument_video_map`: average precision per class and video, averaged over videos, then over classes. A cell without a
positive is null: excluded and counted. Beside it the false positive rate at a named threshold.

Shapes: N scored seconds, C classes, V videos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophclip.config import PresenceThreshold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseScore:
    """Macro figures of one video. `f1_c` holds NaN where a class is not counted."""

    seconds: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    jaccard: float
    f1_c: Floats
    undefined: int
    """Counted classes that were never predicted: their precision has no denominator."""


PHASE_METRICS = ("accuracy", "precision", "recall", "f1", "jaccard")


def confusion(truth_n: Ints, predicted_n: Ints, classes: int) -> Ints:
    """Counts [C, C], truth by row. Seconds whose truth is negative (unlabelled) are left out.

    Raises:
        ValueError: the lengths differ, or an id is not below `classes`.
    """
    if truth_n.shape != predicted_n.shape:
        raise ValueError(f"truth has {truth_n.size} seconds and the prediction {predicted_n.size}; they must agree")
    labelled_n = truth_n >= 0
    truth_n, predicted_n = truth_n[labelled_n], predicted_n[labelled_n]
    if truth_n.size and (max(truth_n.max(), predicted_n.max()) >= classes or predicted_n.min() < 0):
        raise ValueError(f"a class id is outside 0 to {classes - 1}")
    counts = np.bincount(truth_n * classes + predicted_n, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def video_macro(counts_cc: Ints) -> PhaseScore:
    """`video_macro_v1` of one video from its confusion counts [C, C].

    Raises:
        ValueError: there is no labelled second.
    """
    return _macro(counts_cc, counts_cc.sum(axis=1) > 0)


def union_macro(counts_cc: Ints) -> PhaseScore:
    """The same, averaged over the classes that are in the ground truth or the prediction: `sklearn_union`.

    Raises:
        ValueError: there is no labelled second.
    """
    return _macro(counts_cc, counts_cc.sum(axis=1) + counts_cc.sum(axis=0) > 0)


def _macro(counts_cc: Ints, counted_c: NDArray[np.bool_]) -> PhaseScore:
    total = int(counts_cc.sum())
    if total == 0:
        raise ValueError("a video without a labelled second cannot be scored; leave it out of the dataset")
    hit_c = np.diagonal(counts_cc).astype(np.float64)
    truth_c, predicted_c = counts_cc.sum(axis=1), counts_cc.sum(axis=0)
    f1_c = np.where(counted_c, 2 * hit_c / np.maximum(truth_c + predicted_c, 1), np.nan)
    union_c = np.maximum(truth_c + predicted_c - hit_c, 1)
    return PhaseScore(
        seconds=total,
        accuracy=float(hit_c.sum() / total),
        precision=float((hit_c / np.maximum(predicted_c, 1))[counted_c].mean()),
        recall=float((hit_c / np.maximum(truth_c, 1))[counted_c].mean()),
        f1=float(f1_c[counted_c].mean()),
        jaccard=float((hit_c / union_c)[counted_c].mean()),
        f1_c=f1_c,
        undefined=int((counted_c & (predicted_c == 0)).sum()),
    )


def average_precision(present_n: Floats, scores_n: Floats) -> float:
    """Area under precision over recall by steps; equal scores enter together. NaN without a positive.

    Entries whose presence is NaN are left out.
    """
    known_n = ~np.isnan(present_n)
    present_n, scores_n = present_n[known_n], scores_n[known_n]
    positives = present_n.sum()
    if positives == 0:
        return float("nan")
    order_n = np.argsort(-scores_n, kind="stable")
    hits_n = np.cumsum(present_n[order_n])
    last_n = np.append(np.diff(scores_n[order_n]) != 0, True)
    rank_n = np.arange(1, len(hits_n) + 1)
    precision, recall = (hits_n / rank_n)[last_n], (hits_n / positives)[last_n]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def average_precisions(present_nc: Floats, scores_nc: Floats) -> Floats:
    """`average_precision` of each class [C] of one video."""
    _same_shape(present_nc, scores_nc)
    columns = range(present_nc.shape[1])
    return np.array([average_precision(present_nc[:, column], scores_nc[:, column]) for column in columns])


def false_positive_rates(present_nc: Floats, scores_nc: Floats, threshold: PresenceThreshold) -> Floats:
    """False positives among the negatives of each class [C] of one video; NaN where the rate does not exist."""
    _same_shape(present_nc, scores_nc)
    bars_c = _thresholds(present_nc, scores_nc, threshold)
    negative_nc = present_nc == 0
    wrong_c = (negative_nc & (scores_nc > bars_c)).sum(axis=0).astype(np.float64)
    if threshold is PresenceThreshold.RECALL_90:
        wrong_c = (negative_nc & (scores_nc >= bars_c)).sum(axis=0).astype(np.float64)
    total_c = negative_nc.sum(axis=0).astype(np.float64)
    usable_c = (total_c > 0) & ~np.isnan(np.broadcast_to(bars_c, present_nc.shape)[0])
    return np.where(usable_c, wrong_c / np.maximum(total_c, 1), np.nan)


def _thresholds(present_nc: Floats, scores_nc: Floats, threshold: PresenceThreshold) -> Floats:
    """Bars that broadcast over [N, C]."""
    if threshold is PresenceThreshold.MEAN_PROMPT:
        return np.asarray(scores_nc.mean(axis=1, keepdims=True))
    columns = zip(present_nc.T, scores_nc.T, strict=True)
    return np.array([[recall_bar(present_n, scores_n, 0.9) for present_n, scores_n in columns]])


def recall_bar(present_n: Floats, scores_n: Floats, recall: float) -> float:
    """The highest bar that the share `recall` of the positives reaches; NaN without a positive."""
    positive = np.sort(scores_n[present_n == 1])
    if not positive.size:
        return float("nan")
    return float(positive[positive.size - max(int(np.ceil(recall * positive.size - 1e-9)), 1)])


def _same_shape(present_nc: Floats, scores_nc: Floats) -> None:
    if present_nc.shape != scores_nc.shape:
        raise ValueError(f"labels have shape {present_nc.shape} and scores {scores_nc.shape}; they must agree")


def mean_over_videos_then_classes(values_vc: Floats) -> float:
    """Mean over videos per class, then over classes, of what is not NaN; NaN when nothing is defined."""
    return float(nanmean(nanmean(values_vc, axis=-2), axis=-1))


def nanmean(values: Floats, axis: int) -> Floats:
    """Mean of what is not NaN along an axis; NaN, and no warning, where nothing is left."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
