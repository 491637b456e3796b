"""Phase recognition with ten seconds of tolerance at the boundaries: as it is meant, and as it is mostly computed.

Shapes: N seconds (or frames, at `fps`), C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ophclip.evaluation.metrics import Floats, Ints

TOLERANCE_SECONDS = 10.0
LEGACY_CLASSES = (7, 8)
"""Phases of Cholec80 and of M2CAI16, for which the copied script exists."""


def runs(ids_n: Ints) -> list[tuple[int, int]]:
    """Spans (first, stop) of equal neighbours, in order."""
    if not ids_n.size:
        return []
    edges = [0, *(np.flatnonzero(np.diff(ids_n)) + 1).tolist(), ids_n.size]
    return list(pairwise(edges))


def forgiven(truth_n: Ints, predicted_n: Ints, fps: float) -> Ints:
    """The prediction [N] in which errors that are tolerated at boundaries are put right.

    Tolerated is the class of the phase before during the first ten seconds of a phase, and the class of the phase after
    during its last ten; before and after are what the video itself has there. A boundary to unlabelled seconds is none.
    """
    answer_n = predicted_n.copy()
    for first, stop in runs(truth_n):
        reach = min(round(TOLERANCE_SECONDS * fps), stop - first)
        if truth_n[first] >= 0 and first > 0:
            answer_n[first : first + reach][predicted_n[first : first + reach] == truth_n[first - 1]] = truth_n[first]
        if truth_n[first] >= 0 and stop < len(truth_n):
            answer_n[stop - reach : stop][predicted_n[stop - reach : stop] == truth_n[stop]] = truth_n[first]
    return answer_n


@dataclass(frozen=True, kw_only=True, slots=True)
class LegacyScore:
    """`relaxed10s_legacy` of one video; cells are NaN where they are left out of the means."""

    accuracy: float
    precision_c: Floats
    recall_c: Floats
    jaccard_c: Floats


def legacy_relaxed(truth_n: Ints, predicted_n: Ints, classes: int, fps: float) -> LegacyScore:
    """What the widely copied MATLAB script gives for one video, errors included.

    Written from the public script of TMRNet (`Evaluate.m`, `Evaluate_m2cai.m`) and its issue 8. It looks at predicted
    minus true class number, and sets tolerated differences to 0. Late transitions (-1; in the last two classes -2 too)
    are looked for in the first t = 10 s of each phase and put right there. Early transitions (+1; in the last four
    classes +2 too) are looked for in the last t, but the mask of length t is applied to the whole phase, so that MATLAB
    puts right the FIRST t: a tolerated error stays an error, and the second as far into the first t becomes right
    whatever was predicted there. Phases no longer than t are unharmed.

    True positives are then all differences of 0 among the seconds where the class is true or predicted, though the
    denominators are those of the plain prediction: ratios above 1 occur and are cut to 1. A precision of 0 / 0 and
    classes absent from the truth are left out. Unlabelled seconds, which the script does not know, are cut out first.

    Raises:
        ValueError: the script has no version for so many classes.
    """
    if classes not in LEGACY_CLASSES:
        raise ValueError(f"relaxed10s_legacy: {classes} classes; the script knows 7 (Cholec80) and 8 (M2CAI16)")
    labelled_n = truth_n >= 0
    truth_n, predicted_n = truth_n[labelled_n], predicted_n[labelled_n]
    right_n = _put_right(truth_n, predicted_n, classes, fps) == 0
    true_cn = truth_n == np.arange(classes)[:, None]
    predicted_cn = predicted_n == np.arange(classes)[:, None]
    hits_c = (right_n & (true_cn | predicted_cn)).sum(axis=1)
    present_c = true_cn.any(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cells = [hits_c / part.sum(axis=1) for part in (predicted_cn, true_cn, true_cn | predicted_cn)]
    precision_c, recall_c, jaccard_c = (np.where(present_c, np.minimum(cell, 1.0), np.nan) for cell in cells)
    return LegacyScore(accuracy=float(right_n.mean()), precision_c=precision_c, recall_c=recall_c, jaccard_c=jaccard_c)


def _put_right(truth_n: Ints, predicted_n: Ints, classes: int, fps: float) -> Ints:
    difference_n = predicted_n - truth_n
    for first, stop in runs(truth_n):
        phase_n = difference_n[first:stop]
        reach = min(round(TOLERANCE_SECONDS * fps), stop - first)
        late = (-1, -2) if truth_n[first] >= classes - 2 else (-1,)
        early = (1, 2) if truth_n[first] >= classes - 4 else (1,)
        phase_n[:reach][np.isin(phase_n[:reach], late)] = 0
        phase_n[:reach][np.isin(phase_n[-reach:], early)] = 0
    return difference_n
