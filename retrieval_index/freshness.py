"""How stale the rows of a bank are: their ages, and what re-encoding them changes.

Legend of shapes: m rows, q of them as queries, k neighbours, d width, e the width of title and visual vector together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval_index.exact import products_in_full, search_rows

_ASKED = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """The bank at one step."""

    version: int
    """Swaps so far."""
    filled_share: float
    """Rows that were ever encoded."""
    staged_share: float
    """Rows that wait for the next swap."""
    mean_age_steps: float
    """Of the rows that were ever encoded; 0 without any."""
    max_age_steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Stale rows against the same rows freshly encoded."""

    overlap: float
    """What share of the k nearest titles is found all the same when fresh titles look among stale ones."""
    title_similarity: float
    """Mean cosine of stale and fresh title vectors."""
    visual_similarity: float


def compare(stale_me: NDArray[Any], fresh_me: NDArray[Any], dim: int, k: int) -> Agreement:
    """Agreement of rows, stale and fresh: unit title vectors of width `dim`, then as wide unit visual ones."""
    stale_title, fresh_title = stale_me[:, :dim], fresh_me[:, :dim]
    return Agreement(
        overlap=overlap(stale_title, fresh_title, k),
        title_similarity=_mean_cosine(stale_title, fresh_title),
        visual_similarity=_mean_cosine(stale_me[:, dim:], fresh_me[:, dim:]),
    )


def overlap(stale_md: NDArray[Any], fresh_md: NDArray[Any], k: int) -> float:
    """Mean share of the `k` nearest other rows that are found among stale rows, of up to 256 fresh rows as queries.

    A row counts as found if, fresh, it is as near as the k-th nearest: of equal titles any will do. 1 if there is
    nothing that could differ.
    """
    k = min(k, len(fresh_md) - 1)
    if k < 1:
        return 1.0
    asked = np.unique(np.linspace(0, len(fresh_md) - 1, _ASKED).astype(np.int64))
    queries = fresh_md[asked].astype(np.float32)
    fresh_qk = _others(search_rows(fresh_md, queries, k + 1, None).rows_qk, asked)
    stale_qk = _others(search_rows(stale_md, queries, k + 1, None).rows_qk, asked)
    least_q = products_in_full(fresh_md, queries, fresh_qk).min(axis=1)
    return float((products_in_full(fresh_md, queries, stale_qk) >= least_q[:, None]).mean())


def _others(rows_qk: NDArray[np.int64], own_q: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows without each query's own, or without the last where that was not among them."""
    is_own = rows_qk == own_q[:, None]
    is_own[:, -1] |= ~is_own.any(axis=1)
    others_qk: NDArray[np.int64] = rows_qk[~is_own].reshape(len(rows_qk), -1)
    return others_qk


def _mean_cosine(left_md: NDArray[Any], right_md: NDArray[Any]) -> float:
    cosines_m = np.einsum("md,md->m", left_md, right_md, dtype=np.float32)
    return float(cosines_m.mean()) if len(cosines_m) else 1.0
