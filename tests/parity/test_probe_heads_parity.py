"""Heads of a probe against obvious slow ones, and what they may and may not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from ophclip.evaluation.metrics import average_precisions
from ophclip.evaluation.probes.budgets import Budget, drawn_picks
from ophclip.evaluation.probes.heads import Task, answer_of
from ophclip.evaluation.probes.linear import STRENGTHS, UNCHOSEN, fit_linear
from ophclip.evaluation.probes.neighbours import knn_scores
from ophclip.evaluation.probes.samples import ProbeVideo, ids_of, one_hot
from ophclip.evaluation.probes.temporal import CausalTCN, fit_temporal
from ophclip.probe_options import ProbeConfig, ProbeHead, TemporalHeadConfig

HEADS = (ProbeHead.LINEAR, ProbeHead.KNN, ProbeHead.TCN)
QUICK = ProbeConfig(temporal=TemporalHeadConfig(layers=4, width=16, epochs=40, dropout=0.0, learning_rate=0.01))


def _videos(count: int, *, noise: float, seed: int = 0, classes: int = 3, presence: bool = False) -> list[ProbeVideo]:
    """Features are the class' own direction and noise."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        ids = np.repeat(rng.permutation(classes), 10)
        vectors = np.eye(classes, 8)[ids] + noise * rng.normal(size=(len(ids), 8))
        truth = one_hot(ids, classes)
        if presence:
            truth[:, 1] = np.maximum(truth[:, 1], truth[:, 0])
            truth[::7, 2] = np.nan
        found.append(
            ProbeVideo(
                video_id=f"v{number}",
                path=Path(f"v{number}"),
                seconds_n=np.arange(float(len(ids))),
                rows_n=np.arange(len(ids)),
                truth_nc=truth,
                vectors_td=vectors.astype(np.float32),
            )
        )
    return found


def _task(videos: list[ProbeVideo], test: list[ProbeVideo], *, exclusive: bool = True) -> Task:
    picks = drawn_picks(videos, Budget(videos=len(videos)), draw=0, seed=0)
    return Task(train=videos, picks=picks, test=test, exclusive=exclusive, seed=0)


@pytest.mark.parametrize("neighbours", [1, 5, 500])
def test_neighbours_vote_as_by_brute_force(neighbours: int) -> None:
    rng = np.random.default_rng(0)
    learned, asked = (rng.normal(size=(count, 6)).astype(np.float32) for count in (40, 9))
    truth = np.where(rng.random((40, 3)) < 0.2, np.nan, rng.integers(0, 2, size=(40, 3)).astype(np.float64))
    found = knn_scores(learned, truth, asked, neighbours=neighbours, temperature=0.3)
    for row, one in enumerate(asked.astype(np.float64)):
        cosines = [one @ other / np.linalg.norm(one) / np.linalg.norm(other) for other in learned.astype(np.float64)]
        nearest = sorted(range(40), key=lambda place: -cosines[place])[:neighbours]
        for column in range(3):
            votes = [(np.exp(cosines[n] / 0.3), truth[n, column]) for n in nearest if not np.isnan(truth[n, column])]
            expected = sum(w * y for w, y in votes) / sum(w for w, _ in votes) if votes else 0.0
            assert found[row, column] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_linear_probe_is_logistic_regression_of_standardised_features(classes: int) -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, classes, size=120)
    samples = (rng.normal(size=(120, 5)) * [1, 5, 0.1, 1, 1] + ids[:, None]).astype(np.float32)
    probe = fit_linear(samples, one_hot(ids, classes), np.zeros(120, dtype=np.int64), exclusive=True)
    assert (probe.strength, probe.chosen) == (UNCHOSEN, False)
    scaled = (samples - samples.mean(axis=0)) / samples.std(axis=0)
    expected = LogisticRegression(C=1 / (UNCHOSEN * 120), max_iter=5000, tol=1e-8).fit(scaled, ids)
    np.testing.assert_allclose(np.exp(probe.scores(samples)), expected.predict_proba(scaled), atol=2e-3)


def test_presence_is_a_regression_for_each_class_where_something_is_said() -> None:
    rng = np.random.default_rng(2)
    samples = rng.normal(size=(90, 4)).astype(np.float32)
    truth = (samples[:, :3] + 0.5 * rng.normal(size=(90, 3)) > 0).astype(np.float64)
    truth[:30, 1] = np.nan
    truth[:, 2] = 0.0
    probe = fit_linear(samples, truth, np.zeros(90, dtype=np.int64), exclusive=False)
    scaled = (samples - samples.mean(axis=0)) / samples.std(axis=0)
    expected = LogisticRegression(C=1 / (UNCHOSEN * 60), max_iter=5000).fit(scaled[30:], truth[30:, 1])
    found = np.exp(probe.scores(samples))
    np.testing.assert_allclose(found[:, 1], expected.predict_proba(scaled)[:, 1], atol=2e-3)
    assert (found[:, 2] == 0).all()
    assert np.isfinite(probe.scores(samples)).all()


def test_the_strength_is_chosen_by_videos_that_were_kept_aside() -> None:
    """Each video has a number of its own in a feature: whoever looks at the second alone believes it."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 30)
    ids = rng.integers(0, 2, size=180)
    samples = np.stack([ids + 2.5 * rng.normal(size=180), *rng.normal(size=(60, 180))], axis=1).astype(np.float32)
    probe = fit_linear(samples, one_hot(ids, 2), groups, exclusive=True)
    assert probe.chosen
    assert probe.strength in STRENGTHS
    assert probe.strength > STRENGTHS[-1]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("presence", [False, True])
def test_what_can_be_told_apart_is_learned(head: ProbeHead, presence: bool) -> None:
    videos, test = (_videos(count, noise=0.05, seed=count, presence=presence) for count in (12, 2))
    answer = answer_of(head, _task(videos, test, exclusive=not presence), QUICK)
    for video, scores in zip(test, answer.scores, strict=True):
        if not presence:
            assert (scores.argmax(axis=1) == ids_of(video.truth_nc)).mean() > (0.9 if head is ProbeHead.TCN else 0.999)
        else:
            assert average_precisions(video.truth_nc, scores).min() > (0.95 if head is ProbeHead.TCN else 0.999)


@pytest.mark.parametrize("head", HEADS)
def test_random_labels_stay_at_chance(head: ProbeHead) -> None:
    rng = np.random.default_rng(0)
    videos = [
        replace(video, truth_nc=one_hot(rng.integers(0, 3, size=30), 3)) for video in _videos(12, noise=1.0, seed=3)
    ]
    answer = answer_of(head, _task(videos[:6], videos[6:]), QUICK)
    right = np.concatenate(
        [
            scores.argmax(axis=1) == ids_of(video.truth_nc)
            for video, scores in zip(videos[6:], answer.scores, strict=True)
        ]
    )
    assert right.mean() == pytest.approx(1 / 3, abs=0.12)


@pytest.mark.parametrize("head", HEADS)
def test_labels_of_test_videos_and_of_what_was_not_drawn_change_no_prediction(head: ProbeHead) -> None:
    videos = _videos(6, noise=0.5)
    picks = drawn_picks(videos[:4], Budget(videos=2), draw=0, seed=0)
    outside = [place for place in range(4) if place not in picks]
    turned = [replace(video, truth_nc=video.truth_nc[:, ::-1], vectors_td=video.vectors_td) for video in videos]
    train = [turned[place] if place in outside else videos[place] for place in range(4)]
    one = answer_of(head, Task(train=videos[:4], picks=picks, test=videos[4:], exclusive=True, seed=0), QUICK)
    other = answer_of(head, Task(train=train, picks=picks, test=turned[4:], exclusive=True, seed=0), QUICK)
    for mine, theirs in zip(one.scores, other.scores, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_no_frame_of_the_future_changes_what_was_said_before() -> None:
    torch.manual_seed(0)
    network = CausalTCN(5, 3, TemporalHeadConfig(layers=5, width=8)).eval()
    features = torch.randn(1, 40, 5)
    for frame in (0, 1, 17, 39):
        changed = features.clone()
        changed[:, frame:] += torch.randn(1, 40 - frame, 5)
        with torch.inference_mode():
            before, after = network(features)[0], network(changed)[0]
        torch.testing.assert_close(before[:frame], after[:frame], rtol=0, atol=0)
        assert not torch.equal(before[frame], after[frame])


def test_the_past_is_seen_as_far_back_as_is_said() -> None:
    network = CausalTCN(2, 2, TemporalHeadConfig(layers=3, width=4, dropout=0.0)).eval()
    features = torch.zeros(1, 40, 2, requires_grad=True)
    network(features)[0, 30, 0].backward()  # type: ignore[no-untyped-call]
    assert features.grad is not None
    seen = features.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert seen.max() == 30
    assert seen.min() >= 30 - 2 * (2**3 - 1)


def test_the_temporal_head_learns_one_video_by_heart_and_repeats() -> None:
    """The features say nothing but the time: only the past can tell the phases apart."""
    (video,) = _videos(1, noise=0.0)
    pulse = np.zeros((30, 8), dtype=np.float32)
    pulse[0, 0] = 1.0
    video = replace(video, vectors_td=pulse)
    config = TemporalHeadConfig(layers=4, width=32, epochs=400, dropout=0.0, learning_rate=0.01)
    heads = [fit_temporal([video], {0: np.arange(30)}, config, exclusive=True, seed=5) for _ in range(2)]
    scores = [head.scores(video.vectors_td) for head in heads]
    assert (scores[0].argmax(axis=1) == ids_of(video.truth_nc)).all()
    np.testing.assert_array_equal(*scores)
    assert heads[0].kept_aside == ()


def test_training_stops_by_videos_that_are_kept_aside() -> None:
    videos = _videos(5, noise=3.0, seed=1)
    config = replace(QUICK.temporal, epochs=200, patience=3)
    picks = {place: np.arange(30) for place in range(5)}
    head = fit_temporal(videos, picks, config, exclusive=True, seed=0)
    assert len(head.kept_aside) == 1
    assert head.epochs < 150
