"""Whatever is done to an index, it holds what a plain dictionary would hold."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval_index.vectors import VectorIndex

_NAMES = st.sampled_from([f"v{n}" for n in range(12)])
_CHANGES = st.lists(st.tuples(st.sampled_from(["add", "update", "remove"]), _NAMES, st.integers(-9, 9)), max_size=40)


@given(changes=_CHANGES)
def test_index_behaves_like_a_dictionary(changes: list[tuple[str, str, int]]) -> None:
    index, expected = VectorIndex(3), dict[str, np.ndarray]()
    for change, name, value in changes:
        vector = np.array([value, 1.0, -value], np.float32)
        if change == "remove" and name in expected:
            index.remove([name])
            del expected[name]
        elif change == "update" and name in expected:
            index.update([name], vector[None])
            expected[name] = vector
        elif change == "add" and name not in expected:
            index.add([name], vector[None])
            expected[name] = vector
    assert index.ids == tuple(expected)
    for name, vector in expected.items():
        np.testing.assert_array_equal(index.vectors([name])[0], vector)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(0, 9), dim=st.integers(1, 5), k=st.integers(1, 12), seed=st.integers(0, 99))
def test_saved_and_loaded_is_the_same(rows: int, dim: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    index = VectorIndex(dim, [f"ä {n}" for n in range(rows)], rng.normal(size=(rows, dim)))
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        index.save(Path(folder) / "index")
        loaded = VectorIndex.load(Path(folder) / "index")
        assert sorted(path.suffix for path in (Path(folder) / "index").iterdir()) == [".json", ".npy"]
    query = rng.normal(size=(2, dim))
    assert loaded.ids == index.ids
    assert loaded.search(query, k).ids == index.search(query, k).ids
    assert loaded.search(query, k).scores_qk.shape == (2, min(k, rows))
