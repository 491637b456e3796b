"""Figures of files that are labelled as a whole, for any drawing of the videos that they were taken from.

Shapes: F files, V videos, C classes, B drawings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
    return {"mean_average_precision": _mean_of_classes(len(table.videos), class_precision(table))}


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
    orders_cf = np.argsort(-table.scores_fc, axis=0, kind="stable").T
    ranked = [
        (order_f, table.present_fc[order_f, place], np.append(np.diff(table.scores_fc[order_f, place]) != 0, True))
        for place, order_f in enumerate(orders_cf)
    ]

    def of(rows_bv: Ints) -> Floats:
        drawn_bv = np.stack([np.bincount(row_v, minlength=len(table.videos)) for row_v in rows_bv])
        weights_bf = drawn_bv[:, table.owner_f]
        return np.stack([_precision(weights_bf[:, order_f], *rest) for order_f, *rest in ranked], axis=1)

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


def _precision(weights_bf: Ints, present_f: Floats, last_f: Ints) -> Floats:
    """Area under precision over recall by steps [B], files in order of score; `last_f` ends a run of equal scores."""
    hits_bn = np.cumsum(weights_bf * present_f, axis=1)[:, last_f]
    total_bn = np.cumsum(weights_bf, axis=1)[:, last_f]
    gained_bn = np.diff(hits_bn, axis=1, prepend=0.0)
    positives_b = hits_bn[:, -1]
    area_b = (gained_bn * hits_bn / np.maximum(total_bn, 1)).sum(axis=1)
    return np.where(positives_b > 0, area_b / np.maximum(positives_b, 1), np.nan)
