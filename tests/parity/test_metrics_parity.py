"""Our protocols against scikit-learn where they agree, and against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from ophclip.evaluation.intervals import estimate_cells, resamples
from ophclip.evaluation.metrics import average_precision, confusion, video_macro
from ophclip.evaluation.similarity import causal_means
from ophclip.evaluation.vectors import window_spans
from ophclip.search.windows import cut_windows


@pytest.mark.parametrize("seed", range(20))
def test_video_macro_equals_scikit_learn_over_the_classes_present(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.choice(rng.permutation(8)[:5], size=90)
    predicted = np.where(rng.random(90) < 0.5, truth, rng.integers(0, 8, size=90))
    score = video_macro(confusion(truth, predicted, 8))
    present = sorted(set(truth.tolist()))
    given = {"labels": present, "average": "macro", "zero_division": 0}
    assert score.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert score.precision == pytest.approx(precision_score(truth, predicted, **given))
    assert score.recall == pytest.approx(recall_score(truth, predicted, **given))
    assert score.f1 == pytest.approx(f1_score(truth, predicted, **given))
    assert score.jaccard == pytest.approx(jaccard_score(truth, predicted, **given))


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_equals_scikit_learn_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = (rng.random(60) < 0.3).astype(np.float64)
    present[0] = 1
    scores = rng.integers(0, 12, size=60) / 12
    assert average_precision(present, scores) == pytest.approx(average_precision_score(present, scores))


def test_confusion_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(-1, 4, size=200), rng.integers(0, 4, size=200)
    counts = np.zeros((4, 4), dtype=int)
    for true, guess in zip(truth, predicted, strict=True):
        if true >= 0:
            counts[true, guess] += 1
    np.testing.assert_array_equal(confusion(truth, predicted, 4), counts)


def test_bootstrap_of_cells_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    cells = np.where(rng.random((6, 4)) < 0.3, np.nan, rng.random((6, 4)))
    means = []
    for drawn in resamples(6, 40, seed=3):
        columns = [
            [cells[video, column] for video in drawn if np.isfinite(cells[video, column])] for column in range(4)
        ]
        means.append(np.mean([np.mean(values) for values in columns if values]))
    found = estimate_cells(cells, samples=40, seed=3)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])))


def test_smoothing_and_windows_equal_loops() -> None:
    scores = np.random.default_rng(0).standard_normal((30, 3))
    past = np.stack([scores[max(row - 4, 0) : row + 1].mean(axis=0) for row in range(30)])
    np.testing.assert_allclose(causal_means(scores, fps=1.0, seconds=5.0), past)
    around = [list(range(max(row - 2, 0), min(row + 3, 30))) for row in range(30)]
    assert [list(range(*span)) for span in window_spans(30, fps=1.0, window_seconds=4.0)] == around
    assert window_spans(3, fps=1.0, window_seconds=0.0) == [(0, 1), (1, 2), (2, 3)]


def test_spans_of_windows_equal_a_loop() -> None:
    windows = cut_windows(12.4, fps=2.0, window_seconds=4.0, stride_seconds=2.0)
    for window in windows:
        inside = [row for row in range(25) if window.start_seconds <= row / 2 < window.end_seconds]
        assert list(range(*window.span)) == inside
