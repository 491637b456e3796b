"""Exact search against a float64 brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval_index.vectors import VectorIndex


def _naive_top(queries: np.ndarray, rows: np.ndarray, k: int, allowed: np.ndarray) -> tuple[list[list[int]], list]:
    found, scores = [], []
    for query in queries.astype(np.float64):
        products = [(float(query @ row), n) for n, row in enumerate(rows.astype(np.float64)) if allowed[n]]
        best = sorted(products, key=lambda pair: -pair[0])[:k]
        found.append([n for _, n in best])
        scores.append([score for score, _ in best])
    return found, scores


@pytest.mark.parametrize("queries", [1, 40])
@pytest.mark.parametrize("masked", [False, True])
def test_search_is_brute_force(queries: int, masked: bool) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(300, 24)).astype(np.float32)
    asked = rng.normal(size=(queries, 24)).astype(np.float32)
    allowed = rng.random(300) < 0.3 if masked else np.ones(300, bool)
    index = VectorIndex(24, [f"row {n}" for n in range(300)], rows)
    neighbours = index.search(asked, 7, allowed if masked else None)
    expected_rows, expected_scores = _naive_top(asked, rows, 7, allowed)
    assert [[int(item.split()[1]) for item in ids] for ids in neighbours.ids] == expected_rows
    np.testing.assert_allclose(neighbours.scores_qk, expected_scores, rtol=1e-5, atol=1e-5)


def test_changes_are_seen_by_the_next_search_and_by_a_reload(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(50, 8)).astype(np.float32)
    names = [str(n) for n in range(50)]
    index = VectorIndex(8, names[:40], rows[:40])
    index.search(rows[:1], 1)
    index.add(names[40:], rows[40:])
    rows[[3, 45]] = rng.normal(size=(2, 8))
    index.update(["3", "45"], rows[[3, 45]])
    index.remove(["0", "7", "49"])
    kept = [n for n in range(50) if n not in {0, 7, 49}]
    expected, _ = _naive_top(rows[:9], rows[kept], 5, np.ones(len(kept), bool))
    index.save(tmp_path / "index")
    for one in (index, VectorIndex.load(tmp_path / "index")):
        assert one.ids == tuple(str(n) for n in kept)
        np.testing.assert_array_equal(one.vectors(), rows[kept])
        assert [list(ids) for ids in one.search(rows[:9], 5).ids] == [[str(kept[n]) for n in row] for row in expected]
