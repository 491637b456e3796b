"""Bars for presence against every bar there could be, and their figures against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from ophclip.evaluation.intervals import resamples
from ophclip.evaluation.operating import bar_counts, bar_figures, learned_bars, operating_point


def _drawn(rng: np.random.Generator, seconds: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels with some that nobody said, and scores with ties that know a little of them."""
    present = (rng.random((seconds, classes)) < 0.3).astype(np.float64)
    scores = (rng.integers(0, 8, (seconds, classes)) + 2 * present) / 10
    present[rng.random(present.shape) < 0.1] = np.nan
    return present, scores


@pytest.mark.parametrize("seed", range(10))
def test_learned_bars_equal_the_best_of_all_bars(seed: int) -> None:
    present, scores = _drawn(np.random.default_rng(seed), 40, 4)
    present[:, 3] = np.where(np.isnan(present[:, 3]), np.nan, 0.0)
    found, at_recall = learned_bars(present, scores, 0.0), learned_bars(present, scores, 0.8)
    for column in range(3):
        known = ~np.isnan(present[:, column])
        truth, score = present[known, column], scores[known, column]
        f1 = {bar: f1_score(truth, score >= bar) for bar in np.unique(score)}
        assert f1[found[column]] == pytest.approx(max(f1.values()))
        assert found[column] == max(bar for bar, value in f1.items() if value >= max(f1.values()) - 1e-12)
        reaching = [bar for bar in np.unique(score) if recall_score(truth, score >= bar) >= 0.8 - 1e-12]
        assert at_recall[column] == max(reaching)
    assert np.isnan([found[3], at_recall[3]]).all()


def test_figures_by_hand() -> None:
    present = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 0], [0, np.nan, 0]], dtype=np.float64)
    scores = np.array([[0.9, 0.1, 0.9], [0.2, 0.8, 0.9], [0.7, 0.3, 0.9], [0.1, 0.9, 0.9]])
    counts = bar_counts(present, scores, np.array([0.5, 0.5, np.nan]))
    assert counts.tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    alone = np.zeros((1, 1), dtype=np.int64)
    found = {name: float(figure.of(alone)[0]) for name, figure in bar_figures(counts[None]).items()}
    # two classes have a bar: F1 1/2 and 0, precision 1/2 and 0, recall 1/2 and 0, false positives 1/2 and 1/2
    assert found == pytest.approx({"f1": 1 / 4, "precision": 1 / 4, "recall": 1 / 4, "false_positive_rate": 1 / 2})


def test_pooled_figures_and_their_intervals_equal_scikit_learn_over_drawn_videos() -> None:
    rng = np.random.default_rng(1)
    videos = [_drawn(rng, 30, 3) for _ in range(5)]
    bars = learned_bars(*_drawn(rng, 200, 3), 0.0)
    counts = {str(place): bar_counts(*video, bars) for place, video in enumerate(videos)}
    found = operating_point(
        bars, ("a", "b", "c"), counts, recall=0.0, split="train", split_sha256="x", samples=30, seed=2
    )
    judges = {"f1": f1_score, "precision": precision_score, "recall": recall_score}

    def figures(rows: np.ndarray) -> dict[str, list[float]]:
        answers: dict[str, list[float]] = {name: [] for name in judges}
        for column in range(3):
            truth, score = (np.concatenate([videos[row][side][:, column] for row in rows]) for side in (0, 1))
            known = ~np.isnan(truth)
            for name, judge in judges.items():
                answers[name].append(judge(truth[known], score[known] >= bars[column], zero_division=0))
        return answers

    drawn = [figures(rows) for rows in resamples(5, 30, 2)]
    for name, values in figures(np.arange(5)).items():
        assert found.figures[name].mean == pytest.approx(np.mean(values))
        bounds = np.percentile([np.mean(one[name]) for one in drawn], [2.5, 97.5])
        assert (found.figures[name].low, found.figures[name].high) == pytest.approx(tuple(bounds))
        assert found.class_figures["b"][name].mean == pytest.approx(values[1])
    assert found.rule == "the bar of the best F1"


def test_the_truth_as_score_is_told_apart_without_an_error() -> None:
    present, _ = _drawn(np.random.default_rng(3), 60, 3)
    scores = np.nan_to_num(present, nan=0.5)
    for recall in (0.0, 0.5, 1.0):
        counts = bar_counts(present, scores, learned_bars(present, scores, recall))
        alone = np.zeros((1, 1), dtype=np.int64)
        found = {name: float(figure.of(alone)[0]) for name, figure in bar_figures(counts[None]).items()}
        assert found == {"f1": 1.0, "precision": 1.0, "recall": 1.0, "false_positive_rate": 0.0}
