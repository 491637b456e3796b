"""Smoothing against hand-computed cases, loops, and sums over every sequence of phases there is."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from ophclip.evaluation.smoothing import (
    causal_means,
    causal_medians,
    causal_prediction,
    forward_filter,
    log_softmax,
    offline_prediction,
    posteriors,
    viterbi,
)
from ophclip.evaluation.transitions import Transitions, learned, read_transitions, sticky, write_transitions
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig


def _chain(start: list[float], rows: list[list[float]]) -> Transitions:
    return Transitions(start_c=np.array(start), next_cc=np.array(rows))


def _drawn(rng: np.random.Generator, classes: int, *, zeros: bool) -> Transitions:
    table = rng.random((classes + 1, classes)) ** 3
    if zeros:
        table[rng.random(table.shape) < 0.4] = 0.0
        table[np.arange(classes + 1), rng.integers(0, classes, classes + 1)] = 0.5
    table /= table.sum(axis=1, keepdims=True)
    return Transitions(start_c=table[0], next_cc=table[1:])


def test_two_phases_by_hand() -> None:
    chain = _chain([1 / 2, 1 / 2], [[3 / 4, 1 / 4], [1 / 4, 3 / 4]])
    emission = np.log([[9 / 10, 1 / 10], [1 / 5, 4 / 5]])
    # 0.9 stays 3/4, 0.1 moves 1/4: 0.7 and 0.3, times 1/5 and 4/5
    np.testing.assert_allclose(np.exp(forward_filter(emission, chain)), [[0.9, 0.1], [7 / 19, 12 / 19]], atol=1e-12)
    # at 0 the next frame adds 0.35 and 0.65
    np.testing.assert_allclose(np.exp(posteriors(emission, chain)), [[63 / 76, 13 / 76], [7 / 19, 12 / 19]], atol=1e-12)
    # 00: 27/400, 01: 36/400, 10: 1/400, 11: 12/400
    assert viterbi(emission, chain).tolist() == [0, 1]


def test_three_phases_in_their_only_order_by_hand() -> None:
    chain = _chain([1, 0, 0], [[1 / 2, 1 / 2, 0], [0, 1 / 2, 1 / 2], [0, 0, 1]])
    # Every frame looks like the last phase, which cannot be reached before the third.
    emission = np.log([[0.1, 0.1, 0.8]] * 4)
    assert viterbi(emission, chain).tolist() == [0, 1, 2, 2]
    filtered = np.exp(forward_filter(emission, chain))
    np.testing.assert_allclose(filtered[:2], [[1, 0, 0], [1 / 2, 1 / 2, 0]], atol=1e-12)
    # 1/4, 1/2, 1/4 before the frame; times 1, 1, 8
    np.testing.assert_allclose(filtered[2], [1 / 11, 2 / 11, 8 / 11], atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("zeros", [False, True])
def test_filter_posterior_and_viterbi_equal_a_sum_over_every_sequence(seed: int, zeros: bool) -> None:
    rng = np.random.default_rng(seed)
    classes, frames = int(rng.integers(1, 4)), int(rng.integers(1, 7))
    chain = _drawn(rng, classes, zeros=zeros)
    emission = log_softmax(3 * rng.standard_normal((frames, classes)))

    def joint(path: tuple[int, ...]) -> float:
        value = chain.start_c[path[0]] * np.exp(emission[0, path[0]])
        for t in range(1, len(path)):
            value *= chain.next_cc[path[t - 1], path[t]] * np.exp(emission[t, path[t]])
        return float(value)

    odds = {path: joint(path) for path in product(range(classes), repeat=frames)}
    filtered, found = np.exp(forward_filter(emission, chain)), np.exp(posteriors(emission, chain))
    for t in range(frames):
        past = {path: joint(path) for path in product(range(classes), repeat=t + 1)}
        for label in range(classes):
            expected = sum(value for path, value in past.items() if path[t] == label) / sum(past.values())
            assert filtered[t, label] == pytest.approx(expected, abs=1e-12)
            expected = sum(value for path, value in odds.items() if path[t] == label) / sum(odds.values())
            assert found[t, label] == pytest.approx(expected, abs=1e-12)
    best = tuple(viterbi(emission, chain).tolist())
    assert odds[best] == pytest.approx(max(odds.values()), rel=1e-12)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 4.0, 5.0, 60.0])
def test_means_and_medians_equal_loops(seconds: float) -> None:
    scores = np.random.default_rng(0).standard_normal((30, 3))
    width = max(round(seconds * 2), 1)
    for found, one in ((causal_means, np.mean), (causal_medians, np.median)):
        past = np.stack([one(scores[max(row - width + 1, 0) : row + 1], axis=0) for row in range(30)])
        np.testing.assert_allclose(found(scores, 2.0, seconds), past, atol=1e-12)


def test_medians_are_the_same_whatever_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(1).standard_normal((40, 2))
    whole = causal_medians(scores, 1.0, 6.0)
    monkeypatch.setattr("ophclip.evaluation.smoothing._FRAMES_AT_ONCE", 7)
    np.testing.assert_array_equal(causal_medians(scores, 1.0, 6.0), whole)


def test_a_burst_changes_a_mean_and_no_median() -> None:
    scores = np.tile([0.3, 0.2], (20, 1))
    scores[10:12] = [0.0, 0.9]
    config = SmoothingConfig(causal=Causal.MEAN, seconds=7)
    mean = causal_prediction(scores, 100.0, 1.0, config, None)
    config.causal = Causal.MEDIAN
    median = causal_prediction(scores, 100.0, 1.0, config, None)
    assert mean is not None
    assert median is not None
    assert 1 in mean.ids_t
    assert (median.ids_t == 0).all()
    assert median.confidence_t[-1] == pytest.approx(1 / (1 + np.exp(-10)), abs=1e-6)


def test_the_confidence_of_a_path_is_its_posterior() -> None:
    rng = np.random.default_rng(2)
    scores, chain = rng.standard_normal((25, 4)), sticky(4, 1.0, 5.0)
    config = SmoothingConfig(causal=Causal.HMM, offline=Offline.VITERBI)
    emission = log_softmax(2.0 * scores)
    found = offline_prediction(scores, 2.0, config, chain)
    assert found is not None
    np.testing.assert_array_equal(found.ids_t, viterbi(emission, chain))
    expected = np.exp(posteriors(emission, chain))[np.arange(25), found.ids_t]
    np.testing.assert_allclose(found.confidence_t, expected, atol=5.1e-7)
    filtered = causal_prediction(scores, 2.0, 1.0, config, chain)
    assert filtered is not None
    np.testing.assert_allclose(filtered.confidence_t, np.exp(forward_filter(emission, chain)).max(axis=1), atol=5.1e-7)


def test_hours_of_frames_that_contradict_the_chain_underflow_nowhere() -> None:
    rng = np.random.default_rng(3)
    emission = log_softmax(2000 * rng.standard_normal((7_200, 3)))
    chain = _chain([1, 0, 0], [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]])
    for found in (forward_filter(emission, chain), posteriors(emission, chain)):
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0)
    assert (np.diff(viterbi(emission, chain)) >= 0).all()


def test_transitions_are_counted_across_gaps_and_start_from_the_first_label() -> None:
    videos = [np.array([-1, 0, 0, 1, -1, 1, 2]), np.array([2, 2]), np.array([-1, -1])]
    found = learned(videos, 3, 1.0)
    np.testing.assert_allclose(found.start_c, [2 / 5, 1 / 5, 2 / 5])
    # 0: to 0 and 1 once; 1: over the gap to itself, and to 2; 2: to itself once
    np.testing.assert_allclose(found.next_cc, [[2 / 5, 2 / 5, 1 / 5], [1 / 5, 2 / 5, 2 / 5], [1 / 4, 1 / 4, 2 / 4]])


def test_a_sticky_phase_lasts_as_long_as_was_said() -> None:
    for fps in (1.0, 5.0):
        chain = sticky(4, fps, 20.0)
        np.testing.assert_allclose(chain.next_cc.sum(axis=1), 1.0)
        assert 1 / (1 - chain.next_cc[2, 2]) / fps == pytest.approx(20.0)
    assert sticky(1, 1.0, 60.0).next_cc.tolist() == [[1.0]]


def test_transitions_are_written_to_the_last_digit(tmp_path: Path) -> None:
    chain, classes = _drawn(np.random.default_rng(4), 3, zeros=True), ("a, b", "c", "d")
    write_transitions(tmp_path / "t.csv", chain, classes)
    again = read_transitions(tmp_path / "t.csv", classes)
    np.testing.assert_array_equal(again.next_cc, chain.next_cc)
    assert again.sha256 == chain.sha256
    (tmp_path / "t.yaml").write_text("a, b: {c: 1}\nc: {d: 0.5, c: 0.5}\nd: {d: 1.0}\n", encoding="utf-8")
    by_name = read_transitions(tmp_path / "t.yaml", classes)
    assert by_name.next_cc.tolist() == [[0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]]
    np.testing.assert_allclose(by_name.start_c, 1 / 3)
    # Columns and rows stand for classes by name, in whatever order.
    (tmp_path / "t.csv").write_text('from,d,c,"a, b"\nd,1,0,0\nc,0.5,0.5,0\n"a, b",0,1,0\n', encoding="utf-8")
    np.testing.assert_array_equal(read_transitions(tmp_path / "t.csv", classes).next_cc, by_name.next_cc)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "from,a,b\na,1,0\n", r"t\.csv: no row of 'b'"),
        ("t.csv", "from,a\na,1\n", r"t\.csv: no column 'b'"),
        ("t.csv", "from,a,b,c\na,1,0,0\nb,0,1,0\n", r"t\.csv, line 1: 'c' is none of the classes a, b"),
        ("t.csv", "from,a,b\na,1,0\nb,0,1\nc,0,1\n", r"t\.csv: 'c' is none of the classes"),
        ("t.csv", "from,a,b\na,1,0\na,0,1\n", r"t\.csv, line 3: a row of 'a' stands there already"),
        ("t.csv", "from,a,b\na,1,x\nb,0,1\n", r"t\.csv, line 2: b is 'x' and must be a number"),
        ("t.csv", "from,a,b\na,0.6,0.5\nb,0,1\n", r"t\.csv: the row of 'a' adds up to 1\.1"),
        ("t.csv", "from,a,b\na,1.5,-0.5\nb,0,1\n", r"t\.csv: the row of 'a' adds up to 1; expected 0 to 1 each"),
        ("t.csv", "from;a;b\na;1;0\n", r"separated by commas; it is separated by semicolons"),
        ("t.yaml", "a: {a: 1}\nb: {a: .nan, b: 1}\n", r"t\.yaml: the row of 'b' adds up to nan"),
        ("t.yaml", "a: {a: 1}\nb: {z: 1}\n", r"t\.yaml: 'z' in the row of 'b' is none of a, b"),
        ("t.yaml", "a: {a: 1}\nb: {b: yes}\n", r"t\.yaml: True in the row of 'b' must be a number"),
        ("t.yaml", "a: 1\nb: {b: 1}\n", r"t\.yaml: expected CLASS"),
        ("t.yaml", "a: [\n", r"t\.yaml: not YAML"),
    ],
)
def test_a_table_that_is_no_chain_is_refused_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=says) as refused:
        read_transitions(tmp_path / name, ("a", "b"))
    assert "\n" not in str(refused.value)
