"""Codes of two bits find what brute force in float64 finds: with filters, ties and queries far from every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval_index import coded
from retrieval_index.coded import CodedSearcher
from retrieval_index.config import VectorConfig
from retrieval_index.exact import PlainSearcher
from retrieval_index.files import read_folder, write_folder
from retrieval_index.searcher import Top, build_searcher, find

ROWS, DIM = 20_000, 64


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> NDArray[np.float32]:
    """Videos of a hundred windows that resemble each other; some rows stand there twice."""
    rng = np.random.default_rng(0)
    made = _unit(
        rng.normal(size=(ROWS // 100, 1, DIM)).repeat(100, axis=1).reshape(-1, DIM) + rng.normal(size=(ROWS, DIM))
    )
    made[100:200] = made[:100]
    return made


@pytest.fixture(scope="module")
def queries(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Like rows, unlike any, a row itself, and one opposite to a row, of other lengths than one."""
    rng = np.random.default_rng(1)
    near = rows[rng.integers(0, ROWS, 12)] + 0.05 * rng.normal(size=(12, DIM))
    return np.concatenate([near, 3 * rng.normal(size=(12, DIM)), rows[150:152], -rows[7:8]]).astype(np.float32)


def _expected(rows: NDArray[np.float32], query_d: NDArray[np.float32], k: int, allowed: NDArray[np.bool_]) -> list[int]:
    places = np.flatnonzero(allowed)
    products = rows[places].astype(np.float64) @ query_d.astype(np.float64)
    return list(places[np.lexsort((places, -products.astype(np.float32)))[:k]])


@pytest.mark.parametrize("share", [1.0, 0.5, 0.11, 0.05, 0.01])
@pytest.mark.parametrize("k", [1, 10, 200])
def test_codes_find_what_brute_force_finds(
    rows: NDArray[np.float32], queries: NDArray[np.float32], k: int, share: float
) -> None:
    searcher = build_searcher(VectorConfig(first_pass="codes", device="cpu"))
    videos = np.random.default_rng(2).random(ROWS // 100) < share
    allowed = np.repeat(videos, 100) if share < 1 else np.ones(ROWS, np.bool_)
    for query_d in queries:
        top = find(searcher, rows, query_d[None], k, allowed)
        expected = _expected(rows, query_d, k, allowed)
        products = rows[top.rows_qk[0]].astype(np.float64) @ query_d.astype(np.float64)
        np.testing.assert_allclose(top.scores_qk[0], products, rtol=1e-5, atol=1e-5)
        missed = set(expected) - set(top.rows_qk[0].tolist())
        if missed:  # only where float32 cannot tell them apart
            kth = top.scores_qk[0, -1]
            np.testing.assert_allclose(rows[list(missed)] @ query_d, kth, rtol=1e-5, atol=1e-6)


def test_most_queries_need_no_second_look_at_all_rows(rows: NDArray[np.float32], queries: NDArray[np.float32]) -> None:
    class Counting(PlainSearcher):
        asked = 0

        def search(self, *given: Any) -> Top:
            Counting.asked += 1
            return super().search(*given)

    searcher = CodedSearcher(Counting())
    for query_d in queries[:12]:
        find(searcher, rows, query_d[None], 10, None)
    assert Counting.asked <= 3


def test_codes_are_taken_up_as_saved_and_damage_is_told(rows: NDArray[np.float32], tmp_path: Path) -> None:
    searcher = CodedSearcher(PlainSearcher())
    before = find(searcher, rows, rows[:3], 5, None)
    write_folder(tmp_path, "codes", {}, dict(searcher.state()))
    _, state = read_folder(tmp_path, "codes", (), coded.STATE)
    again = CodedSearcher(PlainSearcher())
    again.restore(state)
    np.testing.assert_array_equal(find(again, rows, rows[:3], 5, None).rows_qk, before.rows_qk)
    state["codes_structure"][ROWS] ^= 1
    broken = CodedSearcher(PlainSearcher())
    broken.restore(state)
    with pytest.raises(ValueError, match="the saved codes are damaged"):
        find(broken, rows, rows[:3], 5, None)


def test_rows_that_are_not_unit_are_refused(rows: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="not of length one"):
        find(CodedSearcher(PlainSearcher()), 2 * rows, rows[:1], 5, None)
