"""How sure a mean over videos is, and what guessing would have scored.

The video is the unit that is drawn: seconds of one video are not independent. Shapes: V videos, C classes, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.metrics import (
    PHASE_METRICS,
    Floats,
    Ints,
    confusion,
    mean_over_videos_then_classes,
    nanmean,
    video_macro,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over videos, their standard deviation, and a 95 % interval; NaN bounds with fewer than two videos."""

    mean: float
    sd: float
    low: float
    high: float


def resamples(videos: int, samples: int, seed: int) -> NDArray[np.int64]:
    """Video numbers [B, V] drawn with replacement; the same for the same arguments."""
    return np.random.default_rng(seed).integers(0, videos, size=(samples, videos))


def estimate(values_v: Floats, *, samples: int, seed: int) -> Estimate:
    """Mean and standard deviation (n - 1) over videos, with the cluster bootstrap's 95 % percentile interval."""
    values_v = values_v[~np.isnan(values_v)]
    if values_v.size == 0:
        return Estimate(mean=np.nan, sd=np.nan, low=np.nan, high=np.nan)
    low, high = _percentiles(values_v, lambda drawn: drawn.mean(axis=-1), samples, seed)
    sd = float(values_v.std(ddof=1)) if values_v.size > 1 else float("nan")
    return Estimate(mean=float(values_v.mean()), sd=sd, low=low, high=high)


def estimate_cells(values_vc: Floats, *, samples: int, seed: int) -> Estimate:
    """The same for per-video, per-class values averaged over videos, then classes; `sd` is over the classes' means."""
    drawn = resamples(len(values_vc), samples, seed)
    means = np.array([mean_over_videos_then_classes(values_vc[rows]) for rows in drawn])
    means = means[~np.isnan(means)]
    bounds = (np.nan, np.nan) if len(values_vc) < 2 or means.size == 0 else tuple(np.percentile(means, [2.5, 97.5]))
    class_means = nanmean(values_vc, axis=0)
    class_means = class_means[~np.isnan(class_means)]
    sd = float(class_means.std(ddof=1)) if class_means.size > 1 else float("nan")
    return Estimate(mean=mean_over_videos_then_classes(values_vc), sd=sd, low=float(bounds[0]), high=float(bounds[1]))


def _percentiles(
    values_v: Floats, statistic: Callable[[Floats], Floats], samples: int, seed: int
) -> tuple[float, float]:
    if values_v.size < 2:
        return float("nan"), float("nan")
    drawn_b = statistic(values_v[resamples(values_v.size, samples, seed)])
    low, high = np.percentile(drawn_b, [2.5, 97.5])
    return float(low), float(high)


def phase_chance(truths: Sequence[Ints], classes: int, *, samples: int, seed: int) -> dict[str, float]:
    """Expected `video_macro_v1` of predicting each second uniformly at random over the class list.

    Monte Carlo: `samples` random predictions of every video, scored by the same protocol. `truths` are class ids [N] of
    each video, negative where unlabelled.
    """
    rng = np.random.default_rng(seed)
    totals = dict.fromkeys(PHASE_METRICS, 0.0)
    for truth_n in truths:
        for guess_n in rng.integers(0, classes, size=(samples, len(truth_n))):
            score = video_macro(confusion(truth_n, guess_n, classes))
            for name in PHASE_METRICS:
                totals[name] += getattr(score, name)
    return {name: total / (samples * len(truths)) for name, total in totals.items()}


def presence_chance(presents: Sequence[Floats], *, samples: int, seed: int) -> float:
    """Expected `instrument_video_map` of uniformly random scores; `presents` are the labels [N, C] of each video."""
    rng = np.random.default_rng(seed)
    cells = [
        [_random_precision(column[~np.isnan(column)], samples, rng) for column in present.T] for present in presents
    ]
    return mean_over_videos_then_classes(np.array(cells))


def _random_precision(present_n: Floats, samples: int, rng: np.random.Generator) -> float:
    positives = present_n.sum()
    if positives == 0:
        return float("nan")
    shuffled_bn = rng.permuted(np.broadcast_to(present_n, (samples, present_n.size)).copy(), axis=1)
    precision_bn = np.cumsum(shuffled_bn, axis=1) / np.arange(1, present_n.size + 1)
    return float((precision_bn * shuffled_bn).sum(axis=1).mean() / positives)
