"""What a caller gets wrong is told in one line, and nothing is changed by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retrieval_index.vectors import VectorIndex


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda index: index.add(["a"], np.ones((1, 2))), "'a' is in the index already"),
        (lambda index: index.add(["c", "c"], np.ones((2, 2))), "twice"),
        (lambda index: index.add(["c"], np.ones((2, 2))), "one row for each of 1 ids"),
        (lambda index: index.add(["c"], np.ones((1, 3))), r"shape \[rows, 2\]"),
        (lambda index: index.add(["c"], np.array([[np.nan, 1]])), "not finite"),
        (lambda index: index.update(["c"], np.ones((1, 2))), "'c' is not in the index"),
        (lambda index: index.remove(["a", "c"]), "'c' is not in the index"),
        (lambda index: index.search(np.ones((1, 2)), 0), "k: expected at least 1"),
        (lambda index: index.search(np.ones(2), 1), "queries: expected shape"),
        (lambda index: index.search(np.ones((1, 2)), 1, np.ones(3, bool)), "allowed: expected 2 booleans"),
        (lambda _: VectorIndex(0), "dim: expected at least 1"),
    ],
)
def test_one_line_names_what_is_wrong(wrong: Callable[[VectorIndex], object], words: str) -> None:
    index = VectorIndex(2, ["a", "b"], np.eye(2))
    with pytest.raises(ValueError, match=words) as caught:
        wrong(index)
    assert "\n" not in str(caught.value)
    assert index.ids == ("a", "b")
    np.testing.assert_array_equal(index.vectors(), np.eye(2))


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"vectors\.json: no such file"):
        VectorIndex.load(tmp_path)
    VectorIndex(2, ["a"], np.ones((1, 2))).save(tmp_path)
    head = (tmp_path / "vectors.json").read_text()
    (tmp_path / "vectors.json").write_text(head.replace('"version": 1', '"version": 99'))
    with pytest.raises(ValueError, match="format 99, this version reads 1"):
        VectorIndex.load(tmp_path)
    (tmp_path / "vectors.json").write_text(head[:20])
    with pytest.raises(ValueError, match="not an index description"):
        VectorIndex.load(tmp_path)
    (tmp_path / "vectors.json").write_text(head)
    next(tmp_path.glob("*.npy")).write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match="not readable as vectors"):
        VectorIndex.load(tmp_path)


def test_an_empty_mask_finds_nothing() -> None:
    found = VectorIndex(2, ["a", "b"], np.eye(2)).search(np.ones((3, 2)), 2, np.zeros(2, bool))
    assert found.ids == ((), (), ())
    assert found.scores_qk.shape == (3, 0)
