"""Every kind of search against a float64 brute force."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval_index.config import VectorConfig
from retrieval_index.exact import PlainSearcher, RoundedSearcher
from retrieval_index.searcher import Searcher, build_searcher, multiplies_bfloat16
from retrieval_index.vectors import VectorIndex

ROWS, WIDTH = 5000, 24
KINDS_AND_TYPES = [(kind, row_type) for kind in ("ivf", "hnsw") for row_type in ("float32", "float16")]


def _clustered(rng: np.random.Generator, rows: int, width: int = WIDTH) -> np.ndarray:
    """Unit vectors around forty centres, as embeddings of like things are."""
    centres = np.random.default_rng(99).normal(size=(40, width))
    made = centres[rng.integers(0, 40, rows)] + 0.4 * rng.normal(size=(rows, width))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _brute_force(rows: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> np.ndarray:
    products = queries.astype(np.float64) @ rows.T.astype(np.float64)
    if allowed is not None:
        products[:, ~allowed] = -np.inf
    return np.argsort(-products, axis=1, kind="stable")[:, :k]


def _recall(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean([len(set(one) & set(other)) / len(other) for one, other in zip(found, expected, strict=True)]))


def _exact_searchers() -> list[Searcher]:
    return [PlainSearcher(), RoundedSearcher(torch.device("cpu"))]


def _datasets() -> dict[str, np.ndarray]:
    """Rows whose products are exact in float32, so that the order can be demanded to the last tie."""
    rng = np.random.default_rng(1)
    integers = rng.integers(-8, 9, size=(ROWS, WIDTH)) / 8
    repeated = integers[rng.integers(0, 60, ROWS)]
    near = np.round(_clustered(rng, 3, WIDTH)[rng.integers(0, 3, ROWS)] * 64) / 64
    near[:, 0] += rng.integers(-2, 3, ROWS) / 1024
    scaled = integers * 2.0 ** rng.integers(-6, 7, size=(ROWS, 1))
    return {"integers": integers, "repeated": repeated, "near": near, "scaled": scaled, "zero": np.zeros((ROWS, WIDTH))}


@pytest.mark.parametrize("name", _datasets())
@pytest.mark.parametrize("row_type", ["float32", "float16"])
def test_exact_search_is_brute_force_to_the_last_tie(name: str, row_type: str) -> None:
    rng = np.random.default_rng(2)
    rows = _datasets()[name].astype(row_type)
    queries = np.concatenate([rows[:20], rng.integers(-8, 9, size=(13, WIDTH)) / 8]).astype(np.float32)
    for searcher in _exact_searchers():
        for allowed in (None, rng.random(ROWS) < 0.9, rng.random(ROWS) < 0.01):
            for k, asked in ((10, queries), (1, queries[-1:]), (40, queries[:3])):
                top = searcher.search(rows, asked, k, allowed)
                np.testing.assert_array_equal(top.rows_qk, _brute_force(rows, asked, k, allowed))
                products = np.take_along_axis(asked.astype(np.float64) @ rows.T.astype(np.float64), top.rows_qk, 1)
                np.testing.assert_allclose(top.scores_qk, products, rtol=1e-6, atol=1e-6)
        everything = searcher.search(rows, queries[:2], ROWS, None).rows_qk
        np.testing.assert_array_equal(everything, _brute_force(rows, queries[:2], ROWS))


def test_a_first_pass_of_little_use_still_gives_the_best() -> None:
    """Rows that bfloat16 cannot tell apart: every one of them has to be looked at again."""
    rng = np.random.default_rng(3)
    rows = (1 + rng.integers(0, 200, size=(ROWS, WIDTH)) / 2**17).astype(np.float32)
    queries = np.ones((3, WIDTH), np.float32)
    expected = _brute_force(rows, queries, 10)
    for searcher in _exact_searchers():
        np.testing.assert_array_equal(searcher.search(rows, queries, 10, None).rows_qk, expected)


@pytest.mark.parametrize("first_pass", ["bfloat16", "float32"])
def test_exact_search_follows_every_change(first_pass: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    config = VectorConfig(first_pass=first_pass)
    index = VectorIndex(WIDTH, [str(n) for n in range(ROWS)], _clustered(rng, ROWS), config)
    queries = _clustered(rng, 5)
    index.search(queries, 3)
    for turn in range(3):
        index.update([str(n) for n in range(7 * turn, 7 * turn + 5)], 3 * _clustered(rng, 5))
        index.add([f"new {turn} {n}" for n in range(30)], 2 * _clustered(rng, 30))
        index.remove([str(n) for n in range(4990 - 10 * turn, 4995 - 10 * turn)])
        assert index.version == 4 + 3 * turn
        found = index.search(queries, 8).ids
        expected = _brute_force(index.vectors(), queries.astype(np.float32), 8)
        assert found == tuple(tuple(index.ids[row] for row in rows) for rows in expected.tolist())
    index.save(tmp_path)
    again = VectorIndex.load(tmp_path)
    assert (again.version, again.config) == (index.version, config)
    assert again.search(queries, 8).ids == found


@pytest.mark.parametrize(("kind", "row_type"), KINDS_AND_TYPES)
def test_approximate_search_finds_what_brute_force_does(kind: str, row_type: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    config = VectorConfig(kind=kind, row_type=row_type)
    index = VectorIndex(WIDTH, [str(n) for n in range(2500)], _clustered(rng, 2500), config)
    queries = _clustered(rng, 40)

    def check(index: VectorIndex) -> None:
        rows = index.vectors()
        for share, least in ((None, 0.95), (0.5, 0.95), (0.15, 0.95), (0.01, 1.0)):
            allowed = None if share is None else rng.random(len(index)) < share
            found = index.search(queries, 10, allowed)
            places = np.array([[index.ids.index(one) for one in ids] for ids in found.ids])
            assert allowed is None or allowed[places].all()
            assert _recall(places, _brute_force(rows, queries, 10, allowed)) >= least, share
            expected = np.take_along_axis(queries.astype(np.float32) @ rows.T, places, 1)
            np.testing.assert_allclose(found.scores_qk, expected, atol=1e-5)

    check(index)
    index.update([str(n) for n in range(0, 600, 3)], _clustered(rng, 200))
    index.add([f"new {n}" for n in range(200)], _clustered(rng, 200))
    index.remove([str(n) for n in range(300, 800)])
    check(index)
    index.save(tmp_path)
    loaded = VectorIndex.load(tmp_path)
    assert loaded.search(queries, 10).ids == index.search(queries, 10).ids
    check(loaded)
    more = _clustered(rng, 100)
    for one in (index, loaded):
        one.add([f"more {n}" for n in range(100)], more)
        one.update(["0", "new 7"], queries[:2])
        one.remove(["1", "new 9"])
    for name, array in index._searcher.state().items():
        np.testing.assert_array_equal(loaded._searcher.state()[name], array)
    assert loaded.search(queries, 10).ids == index.search(queries, 10).ids
    assert [ids[0] for ids in loaded.search(queries[:2], 1).ids] == ["0", "new 7"]
    loaded.update(list(loaded.ids), _clustered(rng, len(loaded)))
    check(loaded)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_few_rows_and_fewer_than_asked(kind: str) -> None:
    index = VectorIndex(2, config=VectorConfig(kind=kind, nprobe=1))
    assert index.search(np.ones((2, 2)), 3).ids == ((), ())
    index.add(["a"], np.ones((1, 2)))
    assert index.search(np.ones((1, 2)), 3).ids == (("a",),)
    index.add([str(n) for n in range(300)], np.random.default_rng(6).normal(size=(300, 2)))
    found = index.search(np.ones((3, 2)), 301)
    assert all(sorted(ids) == sorted(index.ids) for ids in found.ids)
    index.remove(list(index.ids))
    assert index.search(np.ones((1, 2)), 3).ids == ((),)


@pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw"])
def test_a_first_search_by_many_threads_at_once(kind: str) -> None:
    rng = np.random.default_rng(7)
    rows, queries = _clustered(rng, ROWS), _clustered(rng, 16)
    index = VectorIndex(WIDTH, [str(n) for n in range(ROWS)], rows, VectorConfig(kind=kind, first_pass="bfloat16"))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda place: index.search(queries[place : place + 1], 5).ids[0], range(16)))
    assert tuple(found) == index.search(queries, 5).ids


def test_the_hardware_chooses(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    assert not multiplies_bfloat16(cpuinfo)
    cpuinfo.write_text("flags\t\t: fpu avx512_bf16 amx_bf16 amx_tile\n")
    assert multiplies_bfloat16(cpuinfo)
    cpuinfo.write_text("flags\t\t: fpu avx512_bf16 amx_bf16x\n")
    assert not multiplies_bfloat16(cpuinfo)
    for first_pass, kind in (("bfloat16", RoundedSearcher), ("float32", PlainSearcher)):
        assert type(build_searcher(VectorConfig(first_pass=first_pass, device="cpu"))) is kind


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ValueError, match="torch sees no GPU"):
        VectorIndex(2, config=VectorConfig(device="cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("row_type", ["float32", "float16"])
def test_search_on_the_gpu_is_brute_force(row_type: str) -> None:
    rng = np.random.default_rng(8)
    config = VectorConfig(device="cuda", row_type=row_type)
    for name, rows in {**_datasets(), "clustered": _clustered(rng, 20_000)}.items():
        index = VectorIndex(WIDTH, [str(n) for n in range(len(rows))], rows, config)
        queries = np.concatenate([rows[:20], rng.integers(-8, 9, size=(13, WIDTH)) / 8]).astype(np.float32)
        index.search(queries, 3)
        index.update(["3", "17"], rows[[17, 3]])
        index.add(["new"], rows[:1])
        index.remove(["5"])
        for allowed in (None, rng.random(len(index)) < 0.9, rng.random(len(index)) < 0.01):
            found = index.search(queries, 10, allowed).ids
            expected = _brute_force(index.vectors(), queries, 10, allowed).tolist()
            assert found == tuple(tuple(index.ids[row] for row in places) for places in expected), name


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"kind": "flat"}, "kind: expected one of exact, ivf, hnsw"),
        ({"row_type": "int8"}, "row_type: expected one of"),
        ({"m": 1}, "m: expected at least 2"),
        ({"nprobe": -1}, "must not be negative"),
        ({"exact_below": 1.5}, "exact_below: expected a share"),
    ],
)
def test_options_that_cannot_be(option: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        VectorConfig(**option)
