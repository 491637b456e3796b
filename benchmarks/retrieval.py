"""Searching, changing and opening vectors against raw FAISS: `python -m benchmarks.retrieval`.

Exact: our search against IndexFlatIP, whose BLAS is told its processor, since the one in the wheel may not know it.
Approximate: IVF and HNSW through our index against the same structures of FAISS with the same parameters. CPU time of
one thread; clustered unit vectors; queries are held out. The bank: what a video step asks of 30,636 silent videos and
writes back, against a step of the smallest towers, three of clips for one of videos. Asserted inside: recall at 10
against float64 brute force, and that 375,000 rows open in under a second of wall time.
"""

from __future__ import annotations

import os
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from retrieval_index.searcher import multiplies_bfloat16

# Read by FAISS' OpenBLAS when it is loaded.
os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX" if multiplies_bfloat16() else "Haswell")

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.pairs import PAIRS, cost_ratios, tell
from benchmarks.training_step import make, step_seconds
from ophclip.objectives import RetrievalConfig
from retrieval_index.bank import KnowledgeBank
from retrieval_index.config import VectorConfig, lists_for, probes_for
from retrieval_index.vectors import VectorIndex

_faiss: Any = faiss
K = 10
BANK, WINDOWS = (30_636, 768), (375_000, 512)
QUERIES = (1, 32, 256, 1024)
VIDEOS = 24


def clustered(rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors around 300 centres of a space of 64 dimensions."""
    shared, rng = np.random.default_rng(0), np.random.default_rng(seed)
    basis, centres = shared.normal(size=(64, width)), shared.normal(size=(300, 64))
    made = np.empty((rows, width), np.float32)
    for first in range(0, rows, 16_384):
        part = made[first : first + 16_384]
        inner = centres[rng.integers(0, 300, len(part))] + 0.7 * rng.normal(size=(len(part), 64))
        noisy = inner @ basis + 0.5 * rng.normal(size=part.shape)
        part[:] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return made


def recall(index: VectorIndex, rows: NDArray[np.float32], queries: NDArray[np.float32]) -> float:
    """Share of the true ten nearest that are found, by float64 products."""
    products = queries.astype(np.float64) @ rows.astype(np.float64).T
    true = np.argpartition(-products, K, axis=1)[:, :K]
    found = [{int(one) for one in ids} for ids in index.search(queries, K).ids]
    return float(np.mean([len(one & set(other)) / K for one, other in zip(found, true.tolist(), strict=True)]))


def compare_exact(rows: NDArray[np.float32], counts: tuple[int, ...], name: str) -> VectorIndex:
    """Print how many times cheaper than IndexFlatIP the exact search is."""
    index = VectorIndex(rows.shape[1], [str(n) for n in range(len(rows))], rows)
    flat = _faiss.IndexFlatIP(rows.shape[1])
    flat.add(rows)
    queries = clustered(max(counts), rows.shape[1], seed=2)
    assert recall(index, rows, queries[:32]) >= 0.999
    for count in counts:
        asked = queries[:count]
        repeats = max(1, 64 // count)
        ratios = cost_ratios(
            lambda: [flat.search(asked, K) for _ in range(repeats)],  # noqa: B023
            lambda: [index.search(asked, K) for _ in range(repeats)],  # noqa: B023
        )
        tell(f"retrieval, exact {name}, {count} queries: IndexFlatIP's time over ours", ratios, least=2.5)
    return index


def compare_approximate(rows: NDArray[np.float32], kind: str) -> None:
    """Print how many times cheaper than the raw structure our index is; below 1 it costs more."""
    dim, config = rows.shape[1], VectorConfig(kind=kind)
    if kind == "ivf":
        lists = lists_for(len(rows), config)
        raw = _faiss.IndexIVFFlat(_faiss.IndexFlatIP(dim), dim, lists, _faiss.METRIC_INNER_PRODUCT)
        raw.train(rows)
        raw.nprobe = probes_for(lists, config)
    else:
        raw = _faiss.IndexHNSWFlat(dim, config.m, _faiss.METRIC_INNER_PRODUCT)
        raw.hnsw.efConstruction, raw.hnsw.efSearch = config.ef_construction, config.ef_search
    raw.add(rows)
    index = VectorIndex(dim, [str(n) for n in range(len(rows))], rows, config)
    queries = clustered(256, dim, seed=2)
    assert recall(index, rows, queries) >= 0.95
    ratios = cost_ratios(lambda: raw.search(queries, K), lambda: index.search(queries, K))
    tell(f"retrieval, {kind} bank: raw FAISS' time over ours", ratios, least=0.95)


def compare_changes(index: VectorIndex) -> None:
    """Print what writing 25 rows back costs against a search with 25 queries."""
    fresh = clustered(25, index.dim, seed=3)
    ids = index.ids[:25]
    ratios = cost_ratios(lambda: index.update(ids, fresh), lambda: index.search(fresh, K))
    tell("retrieval, 25 rows written back: their time over a search's", ratios)


def measure_step(rows: NDArray[np.float32]) -> None:
    """Print what retrieval adds to a step of training at its default sizes, loading and encoding apart."""
    bank = KnowledgeBank(rows.shape[1], [str(n) for n in range(len(rows))])
    bank.refresh(rows, rows, 0)
    queries, fresh = clustered(VIDEOS, rows.shape[1], seed=2), clustered(VIDEOS, rows.shape[1], seed=3)

    def retrieve() -> None:
        for ids in bank.search(queries, RetrievalConfig().top_k).ids:
            bank.vectors(ids)
        bank.replace(bank.ids[:VIDEOS], fresh, fresh, 1)

    sizes = {"clips": 120, "frames": 4, "videos": VIDEOS, "workers": 0, "pairs": PAIRS}
    with tempfile.TemporaryDirectory() as folder:
        work = make(Path(folder), Namespace(model="tiny", device="cpu", precision="fp32", **sizes))
        step = step_seconds(work, work.module("retrieval.mode=none"), work.batches)
    retrieve()
    shares = [seconds_of(retrieve) / 4 / step for _ in range(PAIRS)]
    tell("retrieval, what it adds to a step, loading and encoding apart", shares, most=0.03)


def seconds_of(work: Callable[[], None]) -> float:
    """Processor time of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure_opening(index: VectorIndex) -> None:
    """Print the seconds that opening takes."""
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder))
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            assert len(VectorIndex.load(Path(folder))) == len(index)
            seconds.append(time.perf_counter() - began)
    assert max(seconds) < 1, seconds
    tell("retrieval, seconds to open 375,000 x 512", seconds, most=1.0)


def main() -> None:
    """The bank in all kinds, then the windows of a large index."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: both sides run on one thread"
    torch.set_num_threads(1)
    _faiss.omp_set_num_threads(1)
    bank = clustered(*BANK, seed=1)
    index = compare_exact(bank, QUERIES, "bank")
    compare_changes(index)
    measure_step(bank)
    for kind in ("ivf", "hnsw"):
        compare_approximate(bank, kind)
    measure_opening(compare_exact(clustered(*WINDOWS, seed=1), (1, 32), "windows"))


if __name__ == "__main__":
    main()
