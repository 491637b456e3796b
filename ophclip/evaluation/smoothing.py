"""What the other seconds of a video say about one: causal means, medians and filter, and Viterbi with all of it known.

Pure. Hidden Markov models are computed with logarithms of probabilities, so that nothing underflows in a long video.
Shapes: T frames, C classes.
"""

from __future__ import annotations

import numpy as np

from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.timelines import CONFIDENCE_DIGITS, Prediction
from ophclip.evaluation.transitions import Transitions
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig

_FRAMES_AT_ONCE = 512


def causal_prediction(
    scores_tc: Floats, scale: float, fps: float, config: SmoothingConfig, transitions: Transitions | None
) -> Prediction | None:
    """What is predicted from scores [T, C] of the present and the past; `scale` is the inverse of the temperature."""
    if config.causal is Causal.NONE:
        return None
    if config.causal is Causal.HMM:
        assert transitions is not None
        filtered_tc = forward_filter(log_softmax(scores_tc * scale), transitions)
        return _prediction(filtered_tc.argmax(axis=1), filtered_tc)
    smooth = causal_means if config.causal is Causal.MEAN else causal_medians
    return plain_prediction(smooth(scores_tc, fps, config.seconds), scale)


def offline_prediction(
    scores_tc: Floats, scale: float, config: SmoothingConfig, transitions: Transitions | None
) -> Prediction | None:
    """What is predicted from the scores of the whole video; a class' confidence is its posterior at that frame."""
    if config.offline is Offline.NONE:
        return None
    assert transitions is not None
    emission_tc = log_softmax(scores_tc * scale)
    path_t = viterbi(emission_tc, transitions)
    return _prediction(path_t, posteriors(emission_tc, transitions))


def plain_prediction(scores_tc: Floats, scale: float) -> Prediction:
    """The class of the highest score at each frame, and its softmax."""
    return _prediction(scores_tc.argmax(axis=1), log_softmax(scores_tc * scale))


def _prediction(ids_t: Ints, log_tc: Floats) -> Prediction:
    sure_t = np.exp(np.take_along_axis(log_tc, ids_t[:, None], axis=1)[:, 0])
    return Prediction(ids_t=ids_t, confidence_t=np.minimum(sure_t, 1.0).round(CONFIDENCE_DIGITS))


def causal_means(scores_tc: Floats, fps: float, seconds: float) -> Floats:
    """Scores averaged over the last `seconds`, the present frame included; nothing of the future is used."""
    width = max(round(seconds * fps), 1)
    total = np.concatenate([np.zeros((1, scores_tc.shape[1])), np.cumsum(scores_tc, axis=0)])
    stop_t = np.arange(1, len(scores_tc) + 1)
    start_t = np.maximum(stop_t - width, 0)
    return np.asarray((total[stop_t] - total[start_t]) / (stop_t - start_t)[:, None])


def causal_medians(scores_tc: Floats, fps: float, seconds: float) -> Floats:
    """The median of each class' scores over the last `seconds`, the present frame included."""
    width = min(max(round(seconds * fps), 1), len(scores_tc))
    first = [np.median(scores_tc[: stop + 1], axis=0) for stop in range(width - 1)]
    windows = np.lib.stride_tricks.sliding_window_view(scores_tc, width, axis=0)
    rest = [np.median(windows[at : at + _FRAMES_AT_ONCE], axis=-1) for at in range(0, len(windows), _FRAMES_AT_ONCE)]
    return np.concatenate([np.reshape(first, (-1, scores_tc.shape[1])), *rest])


def log_softmax(logits_tc: Floats) -> Floats:
    """Logarithms of probabilities [T, C]."""
    below_tc = logits_tc - logits_tc.max(axis=1, keepdims=True)
    return np.asarray(below_tc - np.log(np.exp(below_tc).sum(axis=1, keepdims=True)))


def forward_filter(emission_tc: Floats, transitions: Transitions) -> Floats:
    """Logarithms of p(phase at t | frames 0 to t) [T, C], from those of how well each phase explains each frame."""
    start_c, next_cc = _logs(transitions)
    filtered_tc = np.empty_like(emission_tc)
    before_c = start_c
    for t, emission_c in enumerate(emission_tc):
        here_c = before_c + emission_c
        filtered_tc[t] = here_c - _log_sum(here_c[:, None])
        before_c = _log_sum(filtered_tc[t][:, None] + next_cc)
    return filtered_tc


def posteriors(emission_tc: Floats, transitions: Transitions) -> Floats:
    """Logarithms of p(phase at t | all frames) [T, C]: forward, then backward."""
    _, next_cc = _logs(transitions)
    found_tc = forward_filter(emission_tc, transitions)
    behind_c = np.zeros(emission_tc.shape[1])
    for t in range(len(emission_tc) - 2, -1, -1):
        behind_c = _log_sum((next_cc + emission_tc[t + 1] + behind_c).T)
        behind_c -= behind_c.max()
        found_tc[t] += behind_c
        found_tc[t] -= _log_sum(found_tc[t][:, None])
    return found_tc


def viterbi(emission_tc: Floats, transitions: Transitions) -> Ints:
    """The most likely sequence of phases [T] given all frames; of equals, the class that stands first in the list."""
    start_c, next_cc = _logs(transitions)
    origin_tc = np.zeros(emission_tc.shape, dtype=np.int64)
    best_c = start_c + emission_tc[0]
    for t in range(1, len(emission_tc)):
        reached_cc = best_c[:, None] + next_cc
        origin_tc[t] = reached_cc.argmax(axis=0)
        best_c = reached_cc.max(axis=0) + emission_tc[t]
    path_t = np.empty(len(emission_tc), dtype=np.int64)
    path_t[-1] = best_c.argmax()
    for t in range(len(emission_tc) - 1, 0, -1):
        path_t[t - 1] = origin_tc[t, path_t[t]]
    return path_t


def _logs(transitions: Transitions) -> tuple[Floats, Floats]:
    with np.errstate(divide="ignore"):
        return np.log(transitions.start_c), np.log(transitions.next_cc)


def _log_sum(log_ac: Floats) -> Floats:
    """Logarithm of the sum of exponentials over the first axis; minus infinity where nothing is possible."""
    top_c = log_ac.max(axis=0)
    top_c = np.where(np.isfinite(top_c), top_c, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(top_c + np.log(np.exp(log_ac - top_c).sum(axis=0)))
