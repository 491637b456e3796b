"""Products that are wrong within their bounds still give the rows that are truly the best."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from retrieval_index.settling import FirstProducts, room_for, settle


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3000), st.integers(1, 5), st.integers(1, 30)),
    levels=st.integers(1, 3000),
    error=st.sampled_from([0.0, 1e-3, 0.1, 3.0]),
    adverse=st.booleans(),
    seed=st.integers(0, 999),
)
def test_the_best_rows_whatever_the_error(
    shape: tuple[int, int, int], levels: int, error: float, adverse: bool, seed: int
) -> None:
    rows, queries, k = shape
    rng = np.random.default_rng(seed)
    true_qn = (rng.integers(0, levels, size=(queries, rows)) / levels).astype(np.float32)
    k = min(k, rows)
    expected = np.argsort(-true_qn, axis=1, kind="stable")[:, :k]
    wrong = rng.uniform(-error, error, size=(queries, rows))
    if adverse:
        # The worst that can happen: the best look worse, all others better.
        wrong = np.full((queries, rows), error)
        np.put_along_axis(wrong, expected, -error, 1)
    scores = room_for(rows, queries, k, torch.bfloat16, torch.device("cpu"))
    scores.view(-1, queries)[:rows] = torch.from_numpy((true_qn + wrong).T).bfloat16()
    looked_at = []

    def in_full(queries_u: Tensor, rows_uc: Tensor) -> np.ndarray:
        looked_at.append(rows_uc.numel())
        return np.take_along_axis(true_qn[queries_u.numpy()], rows_uc.numpy(), 1)

    top = settle(FirstProducts(scores, rows, torch.full((queries,), error + 1e-6), 2.0**-8), k, in_full)
    np.testing.assert_array_equal(top.rows_qk, expected)
    np.testing.assert_array_equal(top.scores_qk, np.take_along_axis(true_qn, expected, 1))
    assert sum(looked_at) <= queries * (rows + 2 * k + 28)
