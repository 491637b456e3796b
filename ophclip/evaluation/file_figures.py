"""Figures of files that are labelled as a whole, for any drawing of the videos that they were taken from.

Shapes: F files, V videos, C classes, B drawings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.clips import topk
from ophclip.evaluation.intervals import Statistic, mean_of_cells
from ophclip.evaluation.metrics import Floats, Ints, average_precisions, nanmean
from ophclip.evaluation.scored_files import FileTable


def file_topk(table: FileTable) -> dict[str, Statistic]:
    """Shares of files whose class ranks first, and among the first five."""
    return topk(table.ranks_f, table.owner_f, len(table.videos))


def file_macro_f1(table: FileTable) -> dict[str, Statistic]:
    """F1 and recall of each class over all files, averaged over the classes that files are labelled with."""
    given = {"f1": class_f1(table), "recall": class_recall(table)}
    return {name: _mean_of_classes(len(table.videos), of) for name, of in given.items()}


def file_map(table: FileTable) -> dict[str, Statistic]:
    """Average precision of each class over all files, averaged over the classes that files are labelled with."""
    mean = _mean_of_classes(len(table.videos), class_precision(table))
    return {"mean_average_precision": replace(mean, repeats_matter=True)}


def video_cells(table: FileTable) -> Floats:
    """Average precision of each class among the files of each video [V, C]; NaN without a positive."""
    rows = [np.flatnonzero(table.owner_f == video) for video in range(len(table.videos))]
    return np.stack([average_precisions(table.present_fc[row], table.scores_fc[row]) for row in rows])


def video_map(table: FileTable) -> dict[str, Statistic]:
    """`instrument_video_map`, the files of a video being its seconds."""
    return {"mean_average_precision": mean_of_cells(video_cells(table))}


OfClasses = Callable[[Ints], Floats]
"""Video numbers [B, V] -> values [B, C]; NaN for a class without a positive in the drawing."""


def class_f1(table: FileTable) -> OfClasses:
    """F1 of each class: twice its hits over its files and its predictions."""
    hits_vc, truth_vc, predicted_vc = _counts(table)

    def of(rows_bv: Ints) -> Floats:
        hits_bc, truth_bc, predicted_bc = (part[rows_bv].sum(axis=1) for part in (hits_vc, truth_vc, predicted_vc))
        return np.where(truth_bc > 0, 2 * hits_bc / np.maximum(truth_bc + predicted_bc, 1), np.nan)

    return of


def class_recall(table: FileTable) -> OfClasses:
    """Share of each class' files that are predicted as it."""
    hits_vc, truth_vc, _ = _counts(table)

    def of(rows_bv: Ints) -> Floats:
        hits_bc, truth_bc = hits_vc[rows_bv].sum(axis=1), truth_vc[rows_bv].sum(axis=1)
        return np.where(truth_bc > 0, hits_bc / np.maximum(truth_bc, 1), np.nan)

    return of


def class_precision(table: FileTable) -> OfClasses:
    """Average precision of each class over the files of the drawn videos, each as often as it was drawn."""
    rankings = [
        _Ranking.of(present_f, scores_f)
        for present_f, scores_f in zip(table.present_fc.T, table.scores_fc.T, strict=True)
    ]

    def of(rows_bv: Ints) -> Floats:
        drawn_vb = np.stack([np.bincount(row_v, minlength=len(table.videos)) for row_v in rows_bv], axis=1)
        weights_fb = drawn_vb[table.owner_f].astype(np.int32)
        return np.stack([one.precision(weights_fb) for one in rankings], axis=1)

    return of


def video_precision(table: FileTable) -> OfClasses:
    """Average precision of each class per video, averaged over the videos that have it."""
    cells_vc = video_cells(table)
    return lambda rows_bv: nanmean(cells_vc[rows_bv], axis=1)


def _mean_of_classes(videos: int, of: OfClasses) -> Statistic:
    return Statistic(videos=videos, of=lambda rows_bv: nanmean(of(rows_bv), axis=1))


def _counts(table: FileTable) -> tuple[Ints, Ints, Ints]:
    """Hits, files and predictions of each class by video, [V, C] each."""
    shape = len(table.videos), len(table.classes)
    hits_vc, truth_vc, predicted_vc = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    truth_f, predicted_f = table.truth_f, table.predicted_f
    np.add.at(truth_vc, (table.owner_f, truth_f), 1)
    np.add.at(predicted_vc, (table.owner_f, predicted_f), 1)
    np.add.at(hits_vc, (table.owner_f, truth_f), truth_f == predicted_f)
    return hits_vc, truth_vc, predicted_vc


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ranking:
    """Files in order of the score of one class; N of them have it."""

    order_f: Ints
    places_n: Ints
    """Where they stand in the order,"""
    ends_n: Ints
    """the last place with the same score,"""
    found_n: Ints
    """and which of the N is the last one at or before that."""

    @classmethod
    def of(cls, present_f: Floats, scores_f: Floats) -> _Ranking:
        order_f = np.argsort(-scores_f, kind="stable")
        falling_f = -scores_f[order_f]
        places_n = np.flatnonzero(present_f[order_f])
        ends_n = np.searchsorted(falling_f, falling_f[places_n], side="right") - 1
        found_n = np.searchsorted(places_n, ends_n, side="right") - 1
        return cls(order_f=order_f, places_n=places_n, ends_n=ends_n, found_n=found_n)

    def precision(self, weights_fb: NDArray[np.int32]) -> Floats:
        """Area under precision over recall by steps [B], each file counted as often as its weight says."""
        ranked_fb = weights_fb[self.order_f]
        own_nb = ranked_fb[self.places_n]
        hits_nb, total_fb = np.cumsum(own_nb, axis=0), np.cumsum(ranked_fb, axis=0)
        precision_nb = hits_nb[self.found_n] / np.maximum(total_fb[self.ends_n], 1)
        positives_b = own_nb.sum(axis=0)
        return np.where(positives_b > 0, (own_nb * precision_nb).sum(axis=0) / np.maximum(positives_b, 1), np.nan)
