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

_DRAWINGS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean over videos, their standard deviation, and a 95 % interval; NaN bounds with fewer than two videos."""

    mean: float
    sd: float
    low: float
    high: float

    def __str__(self) -> str:
        """`0.464 [0.396, 0.531]`."""
        bounds = f"{self.low:.3f}, {self.high:.3f}" if np.isfinite(self.low) else "no interval"
        return f"{self.mean:.3f} [{bounds}]"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistic:
    """A figure that can be computed for any drawing of the videos."""

    videos: int
    of: Callable[[Ints], Floats]
    """Video numbers [B, V] -> values [B]."""
    values_v: Floats | None = None
    """Each video's own value [V], where the figure is their mean; NaN is left out of it."""
    repeats_matter: bool = False
    """A video that is drawn twice ranks beside itself, which lifts the figure: that bias is taken off the interval."""


def mean_of_videos(values_v: Floats) -> Statistic:
    """The mean of the values [V] of the videos."""
    return Statistic(videos=len(values_v), of=lambda rows_bv: nanmean(values_v[rows_bv], axis=-1), values_v=values_v)


def mean_of_cells(values_vc: Floats) -> Statistic:
    """The mean over videos, then classes, of values [V, C]."""
    return Statistic(videos=len(values_vc), of=lambda rows_bv: nanmean(nanmean(values_vc[rows_bv], axis=-2), axis=-1))


def ratio_of_sums(parts_v: Ints, totals_v: Ints) -> Statistic:
    """The share of `parts_v` in `totals_v`, summed over the videos."""
    return Statistic(
        videos=len(parts_v),
        of=lambda rows_bv: parts_v[rows_bv].sum(axis=-1) / np.maximum(totals_v[rows_bv].sum(axis=-1), 1),
    )


def estimate_statistic(statistic: Statistic, *, samples: int, seed: int) -> Estimate:
    """Value, cluster bootstrap's 95 % interval, and standard deviation of the videos' own values where it has them."""
    if statistic.values_v is not None:
        return estimate(statistic.values_v, samples=samples, seed=seed)
    value = float(_in_blocks(statistic.of, np.arange(statistic.videos)[None])[0])
    if statistic.videos < 2:
        return _bounded(value, np.empty(0))
    drawn_b = _in_blocks(statistic.of, resamples(statistic.videos, samples, seed))
    return _bounded(value, drawn_b, unbiased=statistic.repeats_matter)


def estimate_classes(
    of: Callable[[Ints], Floats], videos: int, *, samples: int, seed: int, repeats_matter: bool = False
) -> tuple[Estimate, ...]:
    """The same for a figure of each class, of which `of` gives all at once: video numbers [B, V] -> values [B, C]."""
    values_c = of(np.arange(videos)[None])[0]
    if videos < 2:
        return tuple(_bounded(float(value), np.empty(0)) for value in values_c)
    drawn_bc = _in_blocks(of, resamples(videos, samples, seed))
    pairs = zip(values_c, drawn_bc.T, strict=True)
    return tuple(_bounded(float(value), drawn_b, unbiased=repeats_matter) for value, drawn_b in pairs)


def _bounded(value: float, drawn_b: Floats, *, unbiased: bool = False) -> Estimate:
    """A value between the percentiles of what drawings gave; `unbiased` moves them so that the value is their mean."""
    drawn_b = drawn_b[~np.isnan(drawn_b)]
    if unbiased and drawn_b.size:
        drawn_b = np.clip(drawn_b - drawn_b.mean() + value, 0, 1)
    low, high = np.percentile(drawn_b, [2.5, 97.5]) if drawn_b.size else (np.nan, np.nan)
    return Estimate(mean=value, sd=float("nan"), low=float(low), high=float(high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A figure of two results on the same videos: second minus first, 95 % interval and two-sided p value."""

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float


def paired_difference(statistic: Statistic, *, samples: int, seed: int) -> Difference:
    """Compare the first half of the statistic's videos with the second: the same videos, as two results saw them.

    The interval draws videos, for both at once. The p value exchanges the two results of a video at random (for a mean
    over videos: flips the sign of its difference): all 2^V exchanges where they are no more than `samples`.
    """
    videos = statistic.videos // 2
    one_v = np.arange(videos)

    def gain(rows_bv: Ints, swapped_bv: Ints | bool = False) -> Floats:
        first_bv, second_bv = (rows_bv + videos * swapped_bv, rows_bv + videos * (1 - swapped_bv))
        return _in_blocks(statistic.of, second_bv) - _in_blocks(statistic.of, first_bv)

    first, second = (float(statistic.of(rows)[0]) for rows in (one_v[None], one_v[None] + videos))
    swaps_bv, exact = _exchanges(videos, samples, seed)
    null_b = np.abs(gain(np.broadcast_to(one_v, swaps_bv.shape), swaps_bv))
    extreme = int((null_b >= abs(second - first) - 1e-12).sum())
    low = high = float("nan")
    if videos > 1:
        drawn_b = gain(resamples(videos, samples, seed))
        drawn_b = drawn_b[~np.isnan(drawn_b)]
        low, high = np.percentile(drawn_b, [2.5, 97.5]) if drawn_b.size else (low, high)
    p = extreme / len(null_b) if exact else (extreme + 1) / (len(null_b) + 1)
    return Difference(first=first, second=second, difference=second - first, low=float(low), high=float(high), p=p)


def _exchanges(videos: int, samples: int, seed: int) -> tuple[Ints, bool]:
    """Zeros and ones [B, V], and whether they are all that there are."""
    if videos < 63 and 2**videos <= samples:
        return (np.arange(2**videos)[:, None] >> np.arange(videos)) & 1, True
    return np.random.default_rng(seed).integers(0, 2, size=(samples, videos)), False


def _in_blocks(of: Callable[[Ints], Floats], rows_bv: Ints) -> Floats:
    """The same values, a few drawings at a time: a drawing can hold as many numbers as a dataset has segments."""
    return np.concatenate([of(rows_bv[start : start + _DRAWINGS]) for start in range(0, len(rows_bv), _DRAWINGS)])


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
