"""Retrieval between texts and pictures: how far down the list the right one stands.

Shapes: Q queries, N candidates, D width, G texts that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ophclip.evaluation.metrics import Floats, Ints

CUTOFFS = (1, 5, 10)
EQUAL = 1e-9
"""Scores that differ by less count as equal: the same product may be rounded otherwise in another block."""
_QUERIES_AT_ONCE, _CANDIDATES_AT_ONCE = 1024, 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """Of queries in one direction."""

    at: dict[int, float]
    """Share of the queries whose best right candidate is among the first k."""
    chance: dict[int, float]
    """The same for candidates in random order."""
    median_rank: float
    """Of the best right candidate, from 1."""
    queries: int
    candidates: int


def recall(query_qd: Floats, candidate_nd: Floats, query_group_q: Ints, candidate_group_n: Ints) -> Recall:
    """Recall at 1, 5 and 10 and the median rank, where a candidate is right if it is of the query's group.

    Raises:
        ValueError: no queries, or one without a right candidate.
    """
    if not len(query_qd):
        raise ValueError("recall: no queries; give at least one")
    rank_q = best_ranks(query_qd, candidate_nd, query_group_q, candidate_group_n)
    right_q = right_candidates(query_group_q, candidate_group_n)
    candidates_q = np.full(len(query_qd), len(candidate_nd))
    return Recall(
        at={k: float((rank_q <= k).mean()) for k in CUTOFFS},
        chance={k: chance(candidates_q, right_q, k) for k in CUTOFFS},
        median_rank=float(np.median(rank_q)),
        queries=len(query_qd),
        candidates=len(candidate_nd),
    )


def best_ranks(query_qd: Floats, candidate_nd: Floats, query_group_q: Ints, candidate_group_n: Ints) -> Ints:
    """Rank [Q], from 1, of the best candidate of each query's group. Of equal scores the wrong ones come first, so that
    a model that gives the same vector for everything is last, not first.

    Scores are looked at a block at a time, so that memory does not grow with queries times candidates.

    Raises:
        ValueError: a query without a candidate of its group, or vectors that are no numbers.
    """
    if not (np.isfinite(query_qd).all() and np.isfinite(candidate_nd).all()):
        raise ValueError("recall: vectors that are no numbers; look at the weights that gave them")
    if not np.isin(query_group_q, candidate_group_n).all():
        raise ValueError("recall: a query has no right candidate; leave it out of the queries")
    best_q, right_q = _best_of_group(query_qd, candidate_nd, query_group_q, candidate_group_n)
    ahead_q = -right_q
    for part in _parts(len(query_qd), _QUERIES_AT_ONCE):
        least_q1 = best_q[part, None] - EQUAL
        for block in _parts(len(candidate_nd), _CANDIDATES_AT_ONCE):
            ahead_q[part] += (query_qd[part] @ candidate_nd[block].T >= least_q1).sum(axis=1)
    return ahead_q + 1


def _best_of_group(
    query_qd: Floats, candidate_nd: Floats, query_group_q: Ints, candidate_group_n: Ints
) -> tuple[Floats, Ints]:
    """Score [Q] of the best candidate of each query's group, and how many of the group are as good."""
    best_q, equal_q = np.empty(len(query_qd)), np.empty(len(query_qd), dtype=np.int64)
    order_q, order_n = np.argsort(query_group_q, kind="stable"), np.argsort(candidate_group_n, kind="stable")
    groups, firsts = np.unique(query_group_q[order_q], return_index=True)
    lows, highs = (np.searchsorted(candidate_group_n[order_n], groups, side=side) for side in ("left", "right"))
    for own_q, low, high in zip(np.split(order_q, firsts[1:]), lows, highs, strict=True):
        candidates_gd = candidate_nd[order_n[low:high]]
        for part in _parts(len(own_q), max(_QUERIES_AT_ONCE * _CANDIDATES_AT_ONCE // len(candidates_gd), 1)):
            scores_qg = query_qd[own_q[part]] @ candidates_gd.T
            best_q[own_q[part]] = scores_qg.max(axis=1)
            equal_q[own_q[part]] = (scores_qg >= scores_qg.max(axis=1, keepdims=True) - EQUAL).sum(axis=1)
    return best_q, equal_q


def _parts(total: int, size: int) -> Iterator[slice]:
    return (slice(first, first + size) for first in range(0, total, size))


def right_candidates(query_group_q: Ints, candidate_group_n: Ints) -> Ints:
    """How many candidates [Q] are of each query's group; every query has one."""
    groups, right_g = np.unique(candidate_group_n, return_counts=True)
    return np.asarray(right_g[np.searchsorted(groups, query_group_q)])


def groups_of(texts: Sequence[str]) -> Ints:
    """The same number [N] for texts of the same words, case and spacing apart."""
    return np.unique([same_words(text) for text in texts], return_inverse=True)[1].reshape(-1)


def same_words(text: str) -> str:
    """Equal for texts of the same words, case and spacing apart."""
    return " ".join(text.lower().split())


def chance(candidates_q: Ints, right_q: Ints, k: int) -> float:
    """Share of queries whose best right candidate is among the first `k` if candidates come in random order."""
    kinds_u2, counts_u = np.unique(np.stack([candidates_q, right_q], axis=1), axis=0, return_counts=True)
    shares = [_chance(int(candidates), int(right), k) for candidates, right in kinds_u2]
    return float(np.average(shares, weights=counts_u))


def chance_median(candidates_q: Ints, right_q: Ints) -> float:
    """The rank that the best right candidate of half of the queries reaches in random order."""
    low, high = 1, int(candidates_q.max())
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(candidates_q, right_q, middle) >= 0.5 else (middle + 1, high)
    return float(low)


def _chance(candidates: int, right: int, k: int) -> float:
    """That one of `right` among `candidates` in random order is among the first `k`."""
    place = np.arange(min(right, candidates))
    return 1.0 - float(np.prod(np.maximum(candidates - k - place, 0) / (candidates - place)))
