"""A folder of arrays: whole whatever happens to the writer, refused in one line if it is damaged, read by mapping."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval_index.bank import KnowledgeBank
from retrieval_index.config import VectorConfig
from retrieval_index.files import read_folder, write_folder
from retrieval_index.vectors import VectorIndex


class Killed(BaseException):
    """Nobody catches it: what has happened so far is what a killed process leaves behind."""


def _break_at(monkeypatch: pytest.MonkeyPatch, count: int, error: BaseException) -> list[str]:
    """Let the `count`-th touch of the disk raise; the names of the touches before it come back."""
    touched: list[str] = []

    def breaking(owner: Any, name: str) -> Callable[..., Any]:
        true = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            touched.append(name)
            if len(touched) == count:
                raise error
            return true(*args, **kwargs)

        return call

    for owner, name in ((os, "fsync"), (np, "save"), (json, "dump"), (Path, "open"), (Path, "replace"),
                        (Path, "unlink"), (Path, "mkdir")):  # fmt: skip
        monkeypatch.setattr(owner, name, breaking(owner, name))
    return touched


@pytest.mark.parametrize("error", [Killed(), OSError(28, "No space left on device")], ids=["killed", "full disk"])
def test_a_writer_that_breaks_anywhere_leaves_the_old_or_the_new(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = VectorIndex(2, ["a", "b"], np.eye(2)), VectorIndex(2, ["c"], np.ones((1, 2)))
    count, seen = 1, set()
    while True:
        folder = tmp_path / str(count)
        old.save(folder)
        with monkeypatch.context() as patched:
            touched = _break_at(patched, count, error)
            try:
                new.save(folder)
            except type(error):
                pass
            else:
                break
        found = VectorIndex.load(folder)
        expected = {("a", "b"): np.eye(2), ("c",): np.ones((1, 2))}[found.ids]
        np.testing.assert_array_equal(found.vectors(), expected)
        seen.add(found.ids)
        new.save(folder)
        assert len(list(folder.iterdir())) == 2, "what the broken writer left behind is gone"
        count += 1
    assert len(touched) >= 11
    assert seen == {("a", "b"), ("c",)}


def _saved(folder: Path, kind: str) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    ids = [str(n) for n in range(60)]
    if kind == "bank":
        bank = KnowledgeBank(4, ids, {"3": {"procedure": "phaco"}})
        bank.refresh(rng.normal(size=(60, 4)), rng.normal(size=(60, 4)), 5)
        bank.save(folder)
        return lambda: [*KnowledgeBank.load(folder).search(np.ones((1, 4)), 3).ids]
    VectorIndex(4, ids, rng.normal(size=(60, 4)), VectorConfig(kind=kind)).save(folder)
    return lambda: [*VectorIndex.load(folder).search(np.ones((1, 4)), 3).ids]


@pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw", "bank"])
def test_damaged_files_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    """Cut at many lengths; and single bytes of the descriptions and of the structures changed."""
    search = _saved(tmp_path, kind)
    expected = search()
    rng = np.random.default_rng(1)
    refused = 0
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        # Numbers of rows are mapped and not looked at: a changed one is another number.
        changeable = len(whole) if path.suffix == ".json" or "structure" in _key(tmp_path, path.name) else 128
        places = rng.integers(0, min(changeable, len(whole)), 40).tolist()
        changed = [whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :] for at in places]
        for damaged in (*(whole[: len(whole) * part // 8] for part in range(8)), whole[:-1], *changed):
            path.write_bytes(damaged)
            message = _message_of(search)
            assert "\n" not in message
            refused += bool(message)
        path.write_bytes(whole)
    assert search() == expected
    assert refused > 50


def _message_of(search: Callable[[], object]) -> str:
    try:
        search()
    except ValueError as error:
        return str(error)
    return ""


def _key(folder: Path, name: str) -> str:
    (head,) = folder.glob("*.json")
    return next((key for key, value in json.loads(head.read_text()).items() if value == name), "")


def test_loading_reads_next_to_nothing_and_changes_stay_in_memory(tmp_path: Path) -> None:
    VectorIndex(2, ["a", "b"], np.eye(2)).save(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    index = VectorIndex.load(tmp_path)
    assert isinstance(index._rows.table_nd, np.memmap)
    index.update(["a"], np.full((1, 2), 7.0))
    index.add(["c"], np.ones((1, 2)))
    np.testing.assert_array_equal(index.vectors(), [[7, 7], [0, 1], [1, 1]])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_index_of_the_first_version_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "vectors-0.npy", np.eye(2, dtype=np.float32))
    (tmp_path / "vectors.json").write_text('{"version": 1, "dim": 2, "rows": "vectors-0.npy", "ids": ["a", "b"]}')
    assert VectorIndex.load(tmp_path).search(np.array([[0, 1]]), 1).ids == (("b",),)


def test_another_kind_is_built_where_it_is_asked_for(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).normal(size=(300, 4))
    VectorIndex(4, [str(n) for n in range(300)], rows, VectorConfig(kind="ivf")).save(tmp_path)
    for config in (VectorConfig(), VectorConfig(kind="hnsw"), VectorConfig(kind="ivf", nlist=3, nprobe=3)):
        index = VectorIndex.load(tmp_path, config)
        assert index.config == config
        assert [ids[0] for ids in index.search(rows[:5] * 9, 300).ids] != []
        products = np.float32(rows[:5]) @ np.float32(rows).T
        assert [ids[0] for ids in index.search(rows[:5], 1).ids] == [str(n) for n in products.argmax(axis=1)]


def test_a_reader_that_comes_between_description_and_arrays_reads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, "x", {"n": 1}, {"rows": np.zeros(3)})
    true = np.load

    def late(path: Path, **options: Any) -> Any:
        monkeypatch.setattr(np, "load", true)
        write_folder(tmp_path, "x", {"n": 2}, {"rows": np.ones(3)})
        return true(path, **options)

    monkeypatch.setattr(np, "load", late)
    facts, arrays = read_folder(tmp_path, "x", ("n",), ("rows",))
    assert facts["n"] == 2
    np.testing.assert_array_equal(arrays["rows"], np.ones(3))
    next(tmp_path.glob("*.npy")).unlink()
    with pytest.raises(ValueError, match=r"no such file, but x\.json names it"):
        read_folder(tmp_path, "x", ("n",), ("rows",))
