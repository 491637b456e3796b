"""How far a phase prediction's confidence can be believed.

Shapes: N labelled seconds, V videos, B drawings of V videos, K bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ophclip.evaluation.intervals import Statistic, mean_of_videos
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.timelines import Timeline

BINS = 15


def calibration(lines: Sequence[Timeline]) -> dict[str, Statistic]:
    """`ece` and `aurc` of labelled seconds; nothing where there are no confidences.

    `ece`: expected calibration error (Guo et al., ICML 2017), 15 bins of equal width, the seconds of all videos pooled.
    `aurc`: area under risk over coverage (Geifman & El-Yaniv, NeurIPS 2017): the error rate among the surest seconds,
    averaged over how many are kept; equal confidences enter together; mean over videos.
    """
    scored = [_labelled(line) for line in lines if line.confidence_t is not None]
    if len(scored) < len(lines):
        return {}
    sums_v2k = np.stack([_bins(right_n, sure_n) for right_n, sure_n in scored])
    seconds_v = np.array([len(right_n) for right_n, _ in scored])

    def error(rows_bv: Ints) -> Floats:
        hits_bk, sure_bk = np.moveaxis(sums_v2k[rows_bv].sum(axis=1), 1, 0)
        return np.asarray(np.abs(hits_bk - sure_bk).sum(axis=-1) / seconds_v[rows_bv].sum(axis=-1))

    risks_v = np.array([_risks(one).mean() for one in scored])
    return {"ece": Statistic(videos=len(lines), of=error), "aurc": mean_of_videos(risks_v)}


def expected_calibration_error(right_n: Floats, sure_n: Floats) -> float:
    """`ece` of statements that are right (1) or not (0) and were made with these probabilities."""
    hits_k, sure_k = _bins(right_n, sure_n)
    return float(np.abs(hits_k - sure_k).sum() / len(right_n))


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Labelled seconds whose confidence lies in (low, high]; NaN means where there are none."""

    low: float
    high: float
    seconds: int
    confidence: float
    accuracy: float


def reliability(lines: Sequence[Timeline]) -> tuple[Bin, ...]:
    """The bins of `ece`, the seconds of all videos pooled; nothing where a video has no confidences."""
    scored = [_labelled(line) for line in lines if line.confidence_t is not None]
    if len(scored) < len(lines):
        return ()
    sums_2k = np.sum([_bins(right_n, sure_n) for right_n, sure_n in scored], axis=0)
    places_n = np.concatenate([_places(sure_n) for _, sure_n in scored])
    seconds_k = np.bincount(places_n, minlength=BINS)
    accuracy_k, confidence_k = np.where(seconds_k > 0, sums_2k / np.maximum(seconds_k, 1), np.nan)
    return tuple(
        Bin(
            low=place / BINS,
            high=(place + 1) / BINS,
            seconds=int(seconds_k[place]),
            confidence=float(confidence_k[place]),
            accuracy=float(accuracy_k[place]),
        )
        for place in range(BINS)
    )


def risk_by_coverage(lines: Sequence[Timeline], shares_k: Floats) -> Floats:
    """Error rate [K] among the surest share of each video's labelled seconds, mean over videos, as `aurc` averages it.

    Empty where a video has no confidences.
    """
    scored = [_labelled(line) for line in lines if line.confidence_t is not None]
    if len(scored) < len(lines):
        return np.empty(0)
    kept = [risk_n[np.clip(np.ceil(shares_k * len(risk_n)).astype(int) - 1, 0, None)] for risk_n in map(_risks, scored)]
    return np.asarray(np.mean(kept, axis=0))


def _labelled(line: Timeline) -> tuple[Floats, Floats]:
    assert line.confidence_t is not None
    known_t = line.truth_t >= 0
    return (line.truth_t == line.predicted_t)[known_t].astype(np.float64), line.confidence_t[known_t]


def _bins(right_n: Floats, sure_n: Floats) -> Floats:
    """Hits and confidences [2, K], summed within each bin; a bin holds its upper edge."""
    places_n = _places(sure_n)
    return np.stack([np.bincount(places_n, weights=part_n, minlength=BINS) for part_n in (right_n, sure_n)])


def _places(sure_n: Floats) -> Ints:
    return np.clip(np.ceil(sure_n * BINS).astype(np.int64) - 1, 0, BINS - 1)


def _risks(scored: tuple[Floats, Floats]) -> Floats:
    """The error rate [N] among the 1, 2, ... N surest seconds; equal confidences enter together."""
    right_n, sure_n = scored
    order_n = np.argsort(-sure_n, kind="stable")
    risk_n = np.cumsum(1.0 - right_n[order_n]) / np.arange(1, len(right_n) + 1)
    ends = np.flatnonzero(np.append(np.diff(sure_n[order_n]) != 0, True))
    return np.asarray(risk_n[ends[np.searchsorted(ends, np.arange(len(risk_n)))]])
