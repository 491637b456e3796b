"""The linear probe: logistic regression on standardised frozen features.

Shapes: N labelled seconds, C classes, D width, G training videos.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.metrics import Floats, Ints, average_precision, confusion, nanmean, video_macro
from ophclip.evaluation.probes.samples import Features, ids_of

STRENGTHS = (1.0, 0.1, 0.01, 0.001, 0.0001)
"""Weights of the squared length of the coefficients beside the mean loss of a second, strongest first."""
UNCHOSEN = 0.01
"""Where all that is learned from is of one video, nothing can be kept aside to choose by."""
_FOLDS = 3
_NEVER = -1000.0
"""Log probability of what was never learned; finite, so that it can be sorted and written."""
_ITERATIONS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearProbe:
    """Scores are log probabilities; a class that was never learned has the lowest, -1000."""

    mean_d: Features
    scale_d: Features
    weights_cd: Floats
    bias_c: Floats
    exclusive: bool
    strength: float
    chosen: bool
    """Whether `strength` was chosen by videos that were kept aside, or is the default."""

    def scores(self, samples_nd: Features) -> Floats:
        """Log probabilities of each class [N, C]; of classes that exclude each other they sum to one."""
        logits_nc = ((samples_nd - self.mean_d) / self.scale_d) @ self.weights_cd.T + self.bias_c
        if not self.exclusive:
            return np.asarray(np.maximum(-np.logaddexp(0.0, -logits_nc), _NEVER))
        highest_n1 = logits_nc.max(axis=1, keepdims=True)
        total_n1 = np.log(np.exp(logits_nc - highest_n1).sum(axis=1, keepdims=True))
        return np.asarray(np.maximum(logits_nc - highest_n1 - total_n1, _NEVER))


def fit_linear(samples_nd: Features, truth_nc: Floats, groups_n: Ints, *, exclusive: bool) -> LinearProbe:
    """Fit on labelled seconds of the videos `groups_n`; the strength of the regularisation is chosen among `STRENGTHS`
    by up to three folds of these videos: macro F1 of all that was kept aside, or mean average precision of presence."""
    if len(np.unique(groups_n)) < 2:
        return _fitted(samples_nd, truth_nc, [UNCHOSEN], exclusive=exclusive, chosen=False)[0]
    folds = _folds(groups_n)
    kept_fsnc = []
    for fold in range(folds.max() + 1):
        inside = folds != fold
        probes = _fitted(samples_nd[inside], truth_nc[inside], STRENGTHS, exclusive=exclusive, chosen=True)
        kept_fsnc.append([probe.scores(samples_nd[~inside]) for probe in probes])
    truth = np.concatenate([truth_nc[folds == fold] for fold in range(folds.max() + 1)])
    marks = [
        _mark(truth, np.concatenate([fold[place] for fold in kept_fsnc]), exclusive) for place in range(len(STRENGTHS))
    ]
    # Of equal marks the strongest is taken; so it is where no class kept aside was learned.
    best = STRENGTHS[int(np.argmax(np.nan_to_num(marks, nan=-1.0)))]
    return _fitted(samples_nd, truth_nc, [best], exclusive=exclusive, chosen=True)[0]


def _folds(groups_n: Ints) -> Ints:
    """The fold of each second [N], whole videos together, the largest dealt out first."""
    groups, counts = np.unique(groups_n, return_counts=True)
    loads = np.zeros(min(_FOLDS, len(groups)), dtype=np.int64)
    fold_of = {}
    for place in np.argsort(-counts, kind="stable"):
        fold = int(np.argmin(loads))
        fold_of[int(groups[place])] = fold
        loads[fold] += counts[place]
    return np.array([fold_of[int(group)] for group in groups_n], dtype=np.int64)


def _mark(truth_nc: Floats, scores_nc: Floats, exclusive: bool) -> float:
    if exclusive:
        return video_macro(confusion(ids_of(truth_nc), scores_nc.argmax(axis=1), truth_nc.shape[1])).f1
    found_c = [average_precision(truth_nc[:, column], scores_nc[:, column]) for column in range(truth_nc.shape[1])]
    return float(nanmean(np.array(found_c), axis=0))


def _fitted(
    samples_nd: Features, truth_nc: Floats, strengths: Sequence[float], *, exclusive: bool, chosen: bool
) -> list[LinearProbe]:
    """One probe for each strength, each beginning where the last one ended."""
    mean_d = samples_nd.mean(axis=0)
    spread_d = samples_nd.std(axis=0)
    scale_d = np.where(spread_d > 1e-8, spread_d, 1.0).astype(np.float32)
    scaled_nd = (samples_nd - mean_d) / scale_d
    solve = _softmax_layers if exclusive else _sigmoid_layers
    layers = solve(scaled_nd, truth_nc, strengths)
    return [
        LinearProbe(
            mean_d=mean_d, scale_d=scale_d, weights_cd=weights_cd, bias_c=bias_c, exclusive=exclusive,
            strength=strength, chosen=chosen,
        )
        for strength, (weights_cd, bias_c) in zip(strengths, layers, strict=True)
    ]  # fmt: skip


def _softmax_layers(scaled_nd: Features, truth_nc: Floats, strengths: Sequence[float]) -> list[tuple[Floats, Floats]]:
    classes, width = truth_nc.shape[1], scaled_nd.shape[1]
    ids_n = ids_of(truth_nc)
    present = np.unique(ids_n)
    if len(present) < 2:
        bias_c = np.where(np.isin(np.arange(classes), present), 0.0, -np.inf)
        return [(np.zeros((classes, width)), bias_c)] * len(strengths)
    layers = []
    for coefficients, intercepts in _solutions(scaled_nd, ids_n, strengths):
        weights_cd, bias_c = np.zeros((classes, width)), np.full(classes, -np.inf)
        if len(present) == 2:
            weights_cd[present[1]], bias_c[present] = coefficients[0], (0.0, intercepts[0])
        else:
            weights_cd[present], bias_c[present] = coefficients, intercepts
        layers.append((weights_cd, bias_c))
    return layers


def _sigmoid_layers(scaled_nd: Features, truth_nc: Floats, strengths: Sequence[float]) -> list[tuple[Floats, Floats]]:
    """A regression for each class by itself, on the seconds where something is said of it."""
    classes, width = truth_nc.shape[1], scaled_nd.shape[1]
    layers = [(np.zeros((classes, width)), np.full(classes, -np.inf)) for _ in strengths]
    for column in range(classes):
        known_n = ~np.isnan(truth_nc[:, column])
        ids_n = truth_nc[known_n, column].astype(np.int64)
        for place, (coefficients, intercepts) in enumerate(_solutions(scaled_nd[known_n], ids_n, strengths)):
            layers[place][0][column], layers[place][1][column] = coefficients[0], intercepts[0]
    return layers


def _solutions(
    scaled_nd: Features, ids_n: Ints, strengths: Sequence[float]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Coefficients and intercepts by strength; of a class that is there always, or never, no direction."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = np.unique(ids_n)
    if len(present) < 2:
        sign = np.inf if present.size and present[0] else -np.inf
        return [(np.zeros((1, scaled_nd.shape[1])), np.array([sign]))] * len(strengths)
    model = LogisticRegression(max_iter=_ITERATIONS, warm_start=True)
    found = []
    for strength in strengths:
        model.set_params(C=1.0 / (strength * len(ids_n)))
        with warnings.catch_warnings():
            # Weakly regularised and separable, the last digits take for ever and change no prediction.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(scaled_nd, ids_n)
        found.append((model.coef_.astype(np.float64), model.intercept_.astype(np.float64)))
    return found
