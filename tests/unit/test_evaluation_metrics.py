"""Protocols on cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ophclip.config import PresenceThreshold
from ophclip.evaluation.intervals import estimate, estimate_cells, phase_chance, presence_chance, resamples
from ophclip.evaluation.metrics import (
    average_precision,
    confusion,
    false_positive_rates,
    mean_over_videos_then_classes,
    video_macro,
)
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.records import PresenceDataset, PresenceVideo, Source
from ophclip.evaluation.retrieval import precision_at_k, truth_label
from ophclip.search.hits import Found


def test_video_macro_by_hand() -> None:
    truth = np.array([-1, 0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([2, 0, 0, 1, 3, 1, 1, 0])
    score = video_macro(confusion(truth, predicted, 4))
    # class 0: hits 2, truth 4, predicted 3; class 1: 2, 2, 3; class 2: 0, 1, 0; class 3 is not in the truth
    assert score.seconds == 7
    assert score.accuracy == pytest.approx(4 / 7)
    assert score.precision == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert score.recall == pytest.approx((2 / 4 + 1 + 0) / 3)
    assert score.f1 == pytest.approx((4 / 7 + 4 / 5 + 0) / 3)
    assert score.jaccard == pytest.approx((2 / 5 + 2 / 3 + 0) / 3)
    assert score.undefined == 1
    np.testing.assert_allclose(score.f1_c, [4 / 7, 4 / 5, 0, np.nan])


def test_a_video_without_labels_or_with_strange_ids_is_refused() -> None:
    with pytest.raises(ValueError, match="without a labelled second"):
        video_macro(confusion(np.array([-1]), np.array([0]), 2))
    with pytest.raises(ValueError, match="outside 0 to 1"):
        confusion(np.array([0]), np.array([2]), 2)
    with pytest.raises(ValueError, match="must agree"):
        confusion(np.array([0, 1]), np.array([0]), 2)


def test_average_precision_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert average_precision(np.array([1.0, 0.0, 1.0, 0.0]), scores) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4)) == pytest.approx(0.5)
    assert average_precision(np.array([1.0, np.nan, 1.0, 0.0]), scores) == 1.0
    assert np.isnan(average_precision(np.zeros(4), scores))


def test_instruments_average_over_videos_then_classes_without_nulls() -> None:
    cells = np.array([[1.0, np.nan, np.nan], [0.5, 0.2, np.nan]])
    assert mean_over_videos_then_classes(cells) == pytest.approx((0.75 + 0.2) / 2)


def test_false_positive_rates_at_both_thresholds() -> None:
    present = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, np.nan], [1.0, 0.0]])
    scores = np.array([[0.9, 0.1], [0.6, 0.2], [0.1, 0.7], [0.5, 0.5]])
    np.testing.assert_allclose(false_positive_rates(present, scores, PresenceThreshold.MEAN_PROMPT), [0.5, 0.0])
    # nine tenths of two positives is both: the bar is 0.5, which one of two negatives reaches; class 1 has no positive
    np.testing.assert_allclose(false_positive_rates(present, scores, PresenceThreshold.RECALL_90), [0.5, np.nan])


def test_bootstrap_is_seeded_covers_the_mean_and_needs_two_videos() -> None:
    values = np.array([0.2, 0.4, 0.9, 0.5])
    first, again, other = (estimate(values, samples=500, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first.low < first.mean < first.high
    assert first.sd == pytest.approx(values.std(ddof=1))
    alone = estimate(values[:1], samples=500, seed=1)
    assert alone.mean == pytest.approx(0.2)
    assert np.isnan([alone.low, alone.high, alone.sd]).all()
    assert resamples(3, 5, 0).shape == (5, 3)


def test_bootstrap_of_equal_videos_has_no_width() -> None:
    cells = np.tile([[0.3, 0.5, np.nan]], (4, 1))
    found = estimate_cells(cells, samples=50, seed=0)
    assert (found.low, found.mean, found.high) == pytest.approx((0.4, 0.4, 0.4))


def test_chance_is_what_uniform_guessing_expects() -> None:
    truth = np.repeat(np.arange(4), 500)
    chance = phase_chance([truth], 4, samples=20, seed=0)
    assert chance["accuracy"] == pytest.approx(0.25, abs=0.01)
    assert chance["f1"] == pytest.approx(0.25, abs=0.01)
    present = np.zeros((400, 2))
    present[:40, 0] = 1
    assert presence_chance([present], samples=100, seed=0) == pytest.approx(0.1, abs=0.03)


def _truth() -> PresenceDataset:
    present = np.zeros((20, 2))
    present[5:8, 0] = 1
    present[:, 1] = np.nan
    video = PresenceVideo(video_id="v", path=Path("v.mp4"), seconds_n=np.arange(20.0), present_nc=present)
    source = Source(name="t", license="", citation="", obtain="")
    return PresenceDataset(source=source, classes=("phaco tip", "keratome"), videos=(video,))


def _hit(start: float, end: float, video_id: str = "v") -> Found:
    return Found(row=0, video_id=video_id, start_seconds=start, end_seconds=end, score=1.0)


def test_precision_at_k_by_hand() -> None:
    hits = [_hit(0, 4), _hit(1, 5), _hit(7, 11), _hit(8, 12)]
    found = precision_at_k(hits, _truth(), "phaco tip", k=4)
    assert found.right == (False, True, True, False)
    assert found.precision == 0.5
    # of the 17 stretches of four seconds that start at 0 to 16 s, those that start at 1 to 7 s are right
    assert found.chance == pytest.approx(7 / 17)
    assert precision_at_k(hits[1:2], _truth(), "phaco tip", k=5).precision == 0.2
    assert precision_at_k(hits, _truth(), "keratome", k=4).precision == 0


def test_searches_are_judged_only_where_there_is_truth() -> None:
    with pytest.raises(ValueError, match="of which there is no truth"):
        precision_at_k([_hit(0, 4, "other")], _truth(), "phaco tip")
    with pytest.raises(ValueError, match="not a class of the truth"):
        precision_at_k([], _truth(), "spoon")
    instruments = builtin_prompts("instruments")
    assert truth_label("Phaco handpiece", _truth().classes, instruments) == "phaco tip"
    assert truth_label("keratome", _truth().classes, instruments) == "keratome"
    with pytest.raises(ValueError, match="names no instrument"):
        truth_label("trephine", _truth().classes, instruments)
