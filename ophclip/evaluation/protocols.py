"""The named protocols. A result without a protocol name is not a result.

Libraries and scripts disagree on a class that a video does not have, on averaging over seconds, videos or classes, and
on boundaries. Every result of phases therefore gives all that apply, by name; `video_macro_v1` is the headline.

Shapes: N scored seconds, C classes, V videos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ophclip.evaluation.clips import clip_topk
from ophclip.evaluation.file_figures import file_macro_f1, file_map
from ophclip.evaluation.intervals import Statistic, mean_of_cells, mean_of_videos, ratio_of_sums
from ophclip.evaluation.localisation import localisation_map
from ophclip.evaluation.metrics import PHASE_METRICS, Floats, Ints, PhaseScore, confusion, union_macro, video_macro
from ophclip.evaluation.relaxed import LEGACY_CLASSES, forgiven, legacy_relaxed
from ophclip.evaluation.timelines import Timeline

VIDEO_MACRO_V1 = "video_macro_v1"
INSTRUMENT_VIDEO_MAP = "instrument_video_map"
CLIP_TOPK = "clip_topk"
CLIP_MACRO_F1 = "clip_macro_f1"
FILE_MAP = "file_map"

Figures = Mapping[str, Statistic]


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Truth and prediction by second of every video."""

    lines: Sequence[Timeline]
    classes: int
    fps: float

    def counts(self) -> list[Ints]:
        """Confusion counts [C, C] of each video."""
        return [confusion(line.truth_t, line.predicted_t, self.classes) for line in self.lines]


class Input(StrEnum):
    """What the figures of a protocol are made of."""

    PREDICTIONS = "predictions"
    """`Predictions`"""
    CLIPS = "clips"
    """Ranks of the truth in clips, and all video ids."""
    CELLS = "cells"
    """Average precisions by video and class [V, C]."""
    FILES = "files"
    """`FileTable`"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """A rule with its name; `figures` gives none where the rule does not apply."""

    name: str
    rule: str
    input: Input
    figures: Callable[..., Figures]


def _video_macro(given: Predictions) -> Figures:
    return _over_videos([video_macro(counts_cc) for counts_cc in given.counts()])


def _frame_micro(given: Predictions) -> Figures:
    counts_vcc = np.stack(given.counts())
    hits_v, totals_v = np.trace(counts_vcc, axis1=1, axis2=2), counts_vcc.sum(axis=(1, 2))
    same = dict.fromkeys(("accuracy", "precision", "recall", "f1"), ratio_of_sums(hits_v, totals_v))
    return {**same, "jaccard": ratio_of_sums(hits_v, 2 * totals_v - hits_v)}


def _sklearn_union(given: Predictions) -> Figures:
    return _over_videos([union_macro(counts_cc) for counts_cc in given.counts()])


def _camma_zeroshot(given: Predictions) -> Figures:
    figures = _sklearn_union(given)
    return {name: figures[name] for name in ("accuracy", "f1")}


def _relaxed_fixed(given: Predictions) -> Figures:
    answers = [replace(line, predicted_t=forgiven(line.truth_t, line.predicted_t, given.fps)) for line in given.lines]
    return _video_macro(replace(given, lines=answers))


def _relaxed_legacy(given: Predictions) -> Figures:
    if given.classes not in LEGACY_CLASSES:
        return {}
    scores = [legacy_relaxed(line.truth_t, line.predicted_t, given.classes, given.fps) for line in given.lines]
    return {
        "accuracy": mean_of_videos(np.array([score.accuracy for score in scores])),
        "precision": mean_of_cells(np.stack([score.precision_c for score in scores])),
        "recall": mean_of_cells(np.stack([score.recall_c for score in scores])),
        "jaccard": mean_of_cells(np.stack([score.jaccard_c for score in scores])),
    }


def _localisation(given: Predictions) -> Figures:
    return localisation_map(given.lines, given.classes)


def _instrument_map(precision_vc: Floats) -> Figures:
    return {"mean_average_precision": mean_of_cells(precision_vc)}


def _over_videos(scores: Sequence[PhaseScore]) -> Figures:
    return {name: mean_of_videos(np.array([getattr(score, name) for score in scores])) for name in PHASE_METRICS}


_TABLE: tuple[tuple[str, str, Input, Callable[..., Figures]], ...] = (
    (
        VIDEO_MACRO_V1,
        "per video accuracy, and precision, recall, F1 and Jaccard averaged over the classes in its ground truth, an "
        "undefined precision counting as 0; mean over videos",
        Input.PREDICTIONS,
        _video_macro,
    ),
    (
        "frame_micro",
        "all seconds of all videos pooled, micro averages: precision, recall and F1 equal accuracy",
        Input.PREDICTIONS,
        _frame_micro,
    ),
    (
        "camma_zeroshot",
        "per video accuracy and scikit-learn's macro F1, mean over videos, as in the public surgical VLP scripts",
        Input.PREDICTIONS,
        _camma_zeroshot,
    ),
    (
        "sklearn_union",
        "as scikit-learn: per video macro averages over the classes in ground truth or prediction; mean over videos",
        Input.PREDICTIONS,
        _sklearn_union,
    ),
    (
        "relaxed10s_fixed",
        "video_macro_v1 after the class of the neighbouring phase is forgiven within 10 s of a boundary",
        Input.PREDICTIONS,
        _relaxed_fixed,
    ),
    (
        "relaxed10s_legacy",
        "the widely copied MATLAB script, indexing error included; 7 or 8 classes; means over videos, then classes",
        Input.PREDICTIONS,
        _relaxed_legacy,
    ),
    (
        "localisation_map",
        "average precision of predicted runs at temporal overlaps of 0.3 to 0.7, videos pooled; mean over classes",
        Input.PREDICTIONS,
        _localisation,
    ),
    (
        CLIP_TOPK,
        "share of labelled segments or clips whose class is first or among the first five; a segment is scored by the "
        "mean similarity of its seconds, a clip by one vector pooled over its frames",
        Input.CLIPS,
        clip_topk,
    ),
    (
        INSTRUMENT_VIDEO_MAP,
        "average precision per class and video, mean over videos, then classes; cells without a positive left out",
        Input.CELLS,
        _instrument_map,
    ),
    (
        CLIP_MACRO_F1,
        "F1 and recall of each class over all clips, mean over the classes in the truth",
        Input.FILES,
        file_macro_f1,
    ),
    (
        FILE_MAP,
        "average precision per class over all files, mean over classes; those without a positive left out",
        Input.FILES,
        file_map,
    ),
)
PROTOCOLS: Mapping[str, Protocol] = {
    name: Protocol(name=name, rule=rule, input=given, figures=figures) for name, rule, given, figures in _TABLE
}
"""Every protocol by its name."""


def phase_figures(given: Predictions) -> dict[str, Figures]:
    """The figures of every protocol of predictions that applies, by the protocol's name.

    Raises:
        ValueError: a video has no labelled second, or an id is not below the number of classes.
    """
    chosen = [one for one in PROTOCOLS.values() if one.input is Input.PREDICTIONS]
    figures = {one.name: one.figures(given) for one in chosen}
    return {name: found for name, found in figures.items() if found}
