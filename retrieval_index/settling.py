"""From products that may be a little wrong to the rows that are truly the best.

How far a first product can be from the true one is bounded, so that a row is dropped only if it cannot be among the
best k; the rows left are multiplied again in full. Of equal products the earlier row comes first.
Legend of shapes: g groups of s rows, q queries, u of them, k neighbours, c candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval_index.searcher import Top

# Numbers of queries [u] and for each of them numbers of rows [u, c] in, their products out, float32 [u, c].
InFull: TypeAlias = Callable[[Tensor, Tensor], NDArray[np.float32]]
_MARGIN = 28


class FirstProducts(NamedTuple):
    """Products of all rows with some queries as first computed."""

    scores_sgq: Tensor
    """From `room_for`: of row r in place r of the first two dimensions, minus infinity where it is not to be found."""
    open_rows: int
    """Rows that are to be found."""
    error_q: Tensor
    """How far a product can be from the true one before it was stored, and that of `in_full` beside it."""
    rounding: float
    """Relative error with which it was stored."""


def room_for(rows: int, queries: int, k: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Room for scores: group j is every g-th row from j on; what is past the rows is minus infinity."""
    size = max(1, int((rows / _candidates(k, rows)) ** 0.5))
    scores_sgq = torch.empty((size, -(-rows // size), queries), dtype=dtype, device=device)
    scores_sgq.view(-1, queries)[rows:] = -torch.inf
    return scores_sgq


def settle(products: FirstProducts, k: int, in_full: InFull) -> Top:
    """The truly best `k` open rows of each query.

    Args:
        products: of every row, with bounds of their error.
        k: at most `products.open_rows`.
        in_full: computes products that are final.
    """
    count = _candidates(k, products.open_rows)
    scores_qc, rows_qc = _largest(products.scores_sgq, count)
    kth_q = scores_qc[:, k - 1]
    least_q = kth_q - products.rounding * kth_q.abs() - products.error_q
    open_q = (_most(scores_qc, products.error_q[:, None], products.rounding) >= least_q[:, None]).sum(dim=1)
    widest = int(open_q.max())
    every = torch.arange(len(rows_qc), device=rows_qc.device)
    top = _ordered(in_full(every, rows_qc[:, :widest]), rows_qc[:, :widest].cpu().numpy(), k)
    if count == products.open_rows:
        return top
    # Where all candidates are still open, rows beyond them may be too.
    for place in (open_q == count).nonzero()[:, 0].tolist():
        column = products.scores_sgq[:, :, place].flatten().float()
        more = _most(column, products.error_q[place], products.rounding) >= least_q[place]
        rows_1c = more.nonzero()[:, 0][None]
        one = _ordered(in_full(every[place : place + 1], rows_1c), rows_1c.cpu().numpy(), k)
        top.scores_qk[place], top.rows_qk[place] = one.scores_qk[0], one.rows_qk[0]
    return top


def _most(scores: Tensor, error: Tensor, rounding: float) -> Tensor:
    """The largest that the true products can be; it grows with the score."""
    return scores + rounding * scores.abs() + error


def _candidates(k: int, rows: int) -> int:
    """How many rows are looked at first for the best k; groups are made so that there are as many of them as rows in
    the groups that are kept."""
    return min(rows, 2 * k + _MARGIN)


def _largest(scores_sgq: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest scores of each query [q, c] and their rows, in descending order.

    The groups of the largest maxima hold them: each has one at least as large as anything in the groups left out.
    """
    size, groups, queries = scores_sgq.shape
    scores_pq = scores_sgq.view(-1, queries)
    if groups <= count:
        scores_qc, rows_qc = scores_pq.T.float().topk(count, dim=1)
        return scores_qc, rows_qc
    kept_qc = scores_sgq.amax(dim=0).T.float().contiguous().topk(count, dim=1, sorted=False).indices
    steps_s = groups * torch.arange(size, device=scores_pq.device)
    rows = (kept_qc[:, :, None] + steps_s).view(queries, -1)
    scores = scores_pq[rows, torch.arange(queries, device=scores_pq.device)[:, None]].float()
    scores_qc, places_qc = scores.topk(count, dim=1)
    return scores_qc, rows.gather(1, places_qc)


def _ordered(scores_qc: NDArray[np.float32], rows_qc: NDArray[np.int64], k: int) -> Top:
    order_qk = np.lexsort((rows_qc, -scores_qc), axis=1)[:, :k]
    return Top(np.take_along_axis(scores_qc, order_qk, 1), np.take_along_axis(rows_qc, order_qk, 1))
