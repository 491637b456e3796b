"""Retrieval between texts and pictures: how far down the list the right one stands.

Shapes: Q queries, N candidates, D width, G texts that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from ophclip.evaluation.metrics import Floats, Ints

CUTOFFS = (1, 5, 10)
_QUERIES_AT_ONCE = 1024


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

    Memory grows with the candidates and not with queries times candidates.

    Raises:
        ValueError: no queries, or one without a right candidate.
    """
    if not len(query_qd):
        raise ValueError("recall: no queries; give at least one")
    rank_q = best_ranks(query_qd, candidate_nd, query_group_q, candidate_group_n)
    groups, right_g = np.unique(candidate_group_n, return_counts=True)
    right_q = right_g[np.searchsorted(groups, query_group_q)]
    candidates = len(candidate_nd)
    return Recall(
        at={k: float((rank_q <= k).mean()) for k in CUTOFFS},
        chance={k: float(np.mean([_chance(candidates, int(right), k) for right in right_q])) for k in CUTOFFS},
        median_rank=float(np.median(rank_q)),
        queries=len(query_qd),
        candidates=candidates,
    )


def best_ranks(query_qd: Floats, candidate_nd: Floats, query_group_q: Ints, candidate_group_n: Ints) -> Ints:
    """Rank [Q], from 1, of the best candidate of each query's group. Of equal scores the wrong ones come first, so that
    a model that gives the same vector for everything is last, not first.

    Raises:
        ValueError: a query without a candidate of its group, or vectors that are no numbers.
    """
    if not (np.isfinite(query_qd).all() and np.isfinite(candidate_nd).all()):
        raise ValueError("recall: vectors that are no numbers; look at the weights that gave them")
    if not np.isin(query_group_q, candidate_group_n).all():
        raise ValueError("recall: a query has no right candidate; leave it out of the queries")
    ranks = []
    for first in range(0, len(query_qd), _QUERIES_AT_ONCE):
        part = slice(first, first + _QUERIES_AT_ONCE)
        scores_qn = query_qd[part] @ candidate_nd.T
        right_qn = query_group_q[part, None] == candidate_group_n
        best_q = np.where(right_qn, scores_qn, -np.inf).max(axis=1)
        ranks.append(1 + (~right_qn & (scores_qn >= best_q[:, None])).sum(axis=1))
    return np.concatenate(ranks)


def groups_of(texts: Sequence[str]) -> Ints:
    """The same number [N] for texts of the same words, case and spacing apart."""
    return np.unique([" ".join(text.lower().split()) for text in texts], return_inverse=True)[1].reshape(-1)


def _chance(candidates: int, right: int, k: int) -> float:
    """That one of `right` among `candidates` in random order is among the first `k`."""
    k = min(k, candidates)
    return 1.0 - comb(candidates - right, k) / comb(candidates, k)
