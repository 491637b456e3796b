"""Our protocols against scikit-learn where they agree, and against naive loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score, multiclass_jaccard_index

from ophclip.evaluation.intervals import estimate_cells, resamples
from ophclip.evaluation.metrics import average_precision, confusion, video_macro
from ophclip.evaluation.protocols import PROTOCOLS, Predictions, phase_figures
from ophclip.evaluation.relaxed import legacy_relaxed, runs
from ophclip.evaluation.smoothing import causal_means
from ophclip.evaluation.timelines import Timeline
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


def _line(rng: np.random.Generator, classes: int, name: str, *, confident: bool = False) -> Timeline:
    """Phases in runs, and a prediction that is right half of the time, in runs too."""
    truth = np.repeat(rng.integers(0, classes, size=12), rng.integers(1, 25, size=12))
    places = np.arange(len(truth)) // 6
    guess = np.where(rng.random(places[-1] + 1)[places] < 0.5, truth, rng.integers(0, classes, len(truth))[places])
    sure = rng.random(len(truth)) if confident else None
    seconds = np.arange(float(len(truth)))
    return Timeline(video_id=name, seconds_t=seconds, truth_t=truth, predicted_t=guess, confidence_t=sure)


@pytest.mark.parametrize("seed", range(5))
def test_union_and_micro_equal_scikit_learn_and_torchmetrics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = [_line(rng, 9, str(number)) for number in range(3)]
    figures = phase_figures(Predictions(lines=lines, classes=9, fps=1.0))
    everything = np.arange(3)[None]
    given = {"average": "macro", "zero_division": 0}
    for name, judge in {
        "precision": precision_score,
        "recall": recall_score,
        "f1": f1_score,
        "jaccard": jaccard_score,
    }.items():
        values = [judge(line.truth_t, line.predicted_t, **given) for line in lines]
        assert figures["sklearn_union"][name].of(everything)[0] == pytest.approx(np.mean(values), abs=1e-9)
    assert set(figures["camma_zeroshot"]) == {"accuracy", "f1"}
    assert figures["camma_zeroshot"]["f1"].of(everything) == figures["sklearn_union"]["f1"].of(everything)
    truth, guess = (
        torch.from_numpy(np.concatenate([getattr(line, side) for line in lines])) for side in ("truth_t", "predicted_t")
    )
    torch_judges = {"accuracy": multiclass_accuracy, "f1": multiclass_f1_score, "jaccard": multiclass_jaccard_index}
    for name, judge in torch_judges.items():
        value = judge(guess, truth, num_classes=9, average="micro").item()
        assert figures["frame_micro"][name].of(everything)[0] == pytest.approx(value, abs=1e-6)
    for name, judge in {"precision": precision_score, "recall": recall_score, "jaccard": jaccard_score}.items():
        value = judge(truth.numpy(), guess.numpy(), average="micro")
        assert figures["frame_micro"][name].of(everything)[0] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("classes", [7, 8])
def test_the_legacy_rule_equals_a_loop_over_seconds(classes: int) -> None:
    for seed in range(10):
        line = _line(np.random.default_rng(seed), classes, "v")
        truth, guess = line.truth_t, line.predicted_t
        difference = (guess - truth).tolist()
        for first, stop in runs(truth):
            reach, phase = min(10, stop - first), int(truth[first]) + 1
            late = [-1, -2] if phase > classes - 2 else [-1]
            early = [1, 2] if phase > classes - 4 else [1]
            for step in range(reach):
                if difference[first + step] in late:
                    difference[first + step] = 0
            misread = [difference[stop - reach + step] in early for step in range(reach)]
            for step in range(reach):
                if misread[step]:
                    difference[first + step] = 0
        score = legacy_relaxed(truth, guess, classes, 1.0)
        assert score.accuracy == pytest.approx(np.mean([value == 0 for value in difference]))
        for phase in range(classes):
            either = [n for n in range(len(truth)) if phase in (truth[n], guess[n])]
            hits = sum(difference[n] == 0 for n in either)
            if (truth == phase).any():
                assert score.jaccard_c[phase] == pytest.approx(hits / len(either))
                assert score.recall_c[phase] == pytest.approx(min(hits / (truth == phase).sum(), 1))
            else:
                assert np.isnan([score.jaccard_c[phase], score.recall_c[phase], score.precision_c[phase]]).all()


def test_localisation_equals_a_loop_over_segments() -> None:
    rng = np.random.default_rng(0)
    lines = [_line(rng, 4, str(number), confident=True) for number in range(4)]
    figures = PROTOCOLS["localisation_map"].figures(Predictions(lines=lines, classes=4, fps=1.0))
    for rows in ([0, 1, 2, 3], [2, 0], [3]):
        drawn = [lines[number] for number in rows]
        values = [np.nanmean([_precision_by_loop(drawn, label, bar) for label in range(4)]) for bar in (0.3, 0.5, 0.7)]
        for bar, value in zip((0.3, 0.5, 0.7), values, strict=True):
            assert figures[f"map_{bar}"].of(np.array([rows]))[0] == pytest.approx(value, abs=1e-9)


def _precision_by_loop(lines: list[Timeline], label: int, bar: float) -> float:
    truths = [[set(range(*span)) for span in runs(line.truth_t) if line.truth_t[span[0]] == label] for line in lines]
    guesses = [
        (float(np.mean(line.confidence_t[slice(*span)])), number, set(range(*span)))
        for number, line in enumerate(lines)
        for span in runs(line.predicted_t)
        if line.predicted_t[span[0]] == label
    ]
    hits, taken = [], set()
    for _, number, seconds in sorted(guesses, key=lambda guess: -guess[0]):
        best = max(
            (
                (len(seconds & other) / len(seconds | other), place)
                for place, other in enumerate(truths[number])
                if (number, place) not in taken
            ),
            default=(0.0, -1),
        )
        hits.append(best[0] >= bar)
        if best[0] >= bar:
            taken.add((number, best[1]))
    total = sum(map(len, truths))
    if not total:
        return float("nan")
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits))]
    return sum(max(precisions[rank:]) for rank, hit in enumerate(hits) if hit) / total
