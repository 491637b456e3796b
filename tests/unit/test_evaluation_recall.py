"""Recall at k against a loop that sorts, and on cases worked out by hand."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from ophclip.evaluation import recall as module
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.recall import best_ranks, groups_of, recall


def _naive_rank(query_d: Floats, candidate_nd: Floats, group: int, group_n: Ints) -> int:
    """Sort by score, wrong before right among equals, and count up to the first right one."""
    scored = [(-float(query_d @ row), bool(group == own)) for row, own in zip(candidate_nd, group_n, strict=True)]
    return 1 + [right for _, right in sorted(scored)].index(True)


@pytest.mark.parametrize("seed", range(5))
def test_ranks_are_those_of_a_loop_that_sorts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(seed)
    monkeypatch.setattr(module, "_QUERIES_AT_ONCE", 3)
    candidate_nd = random.integers(-2, 3, (17, 4)).astype(np.float64)  # few values, so that scores tie
    query_qd = random.integers(-2, 3, (11, 4)).astype(np.float64)
    group_n = random.integers(0, 6, 17)
    group_q = random.choice(group_n, 11)
    found = best_ranks(query_qd, candidate_nd, group_q, group_n)
    assert found.tolist() == [
        _naive_rank(query_qd[q], candidate_nd, int(group_q[q]), group_n) for q in range(len(query_qd))
    ]


def test_three_queries_by_hand() -> None:
    eye = np.eye(3)
    wrong_way = eye[[0, 2, 1]]
    found = recall(eye, wrong_way, np.arange(3), np.arange(3))
    assert found.at == {1: 1 / 3, 5: 1.0, 10: 1.0}
    assert found.median_rank == 3.0  # the right one ties at 0 with the other wrong one, which comes first
    assert found.chance == {1: pytest.approx(1 / 3), 5: 1.0, 10: 1.0}


def test_a_model_that_says_the_same_of_everything_finds_nothing() -> None:
    same = np.ones((20, 4))
    found = recall(same, same, np.arange(20), np.arange(20))
    assert found.at == {1: 0.0, 5: 0.0, 10: 0.0}
    assert found.median_rank == 20.0


def test_chance_is_what_random_order_reaches() -> None:
    random = np.random.default_rng(0)
    group_n = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8])
    found = recall(random.random((12, 1)), random.random((12, 1)), group_n, group_n)
    hits = dict.fromkeys((1, 5, 10), 0.0)
    for _ in range(1000):
        order = random.permutation(12)
        for k in hits:
            hits[k] += np.mean([(group_n[order[:k]] == group).any() for group in group_n]) / 1000
    assert found.chance == {k: pytest.approx(share, abs=0.03) for k, share in hits.items()}


def test_equal_words_are_one_group() -> None:
    assert len(set(groups_of(["Phaco  chop", "phaco chop", "Phaco chop "]).tolist())) == 1
    assert len(set(groups_of(["a", "b", "a"]).tolist())) == 2


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^recall: no queries"):
        recall(np.zeros((0, 2)), np.ones((2, 2)), np.zeros(0, dtype=np.int64), np.arange(2))
    with pytest.raises(ValueError, match=r"^recall: a query has no right candidate"):
        recall(np.ones((1, 2)), np.ones((2, 2)), np.array([7]), np.arange(2))
    with pytest.raises(ValueError, match=r"^recall: vectors that are no numbers"):
        recall(np.full((1, 2), nan), np.ones((2, 2)), np.array([1]), np.arange(2))
