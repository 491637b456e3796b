"""Approximate search through FAISS: inverted lists, and a graph of neighbours.

Both hold a second copy of the rows, in the type that they have. FAISS knows a row by a key that is never used twice, so
that rows can move. Inverted lists forget a row at once; a graph cannot, and passes over it until it is built anew.
Legend of shapes: n rows, m keys, q queries, k neighbours, d width.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval_index.config import VectorConfig, lists_for, probes_for
from retrieval_index.exact import search_rows
from retrieval_index.searcher import Top

# FAISS types its C++ signatures; its Python wrappers take arrays.
_faiss: Any = faiss
STATE = ("structure", "row_of_key", "facts")
_OUTDATED_SHARE, _GROWTH = 0.5, 4
_BLOCK_ROWS = 16384


class ApproximateSearcher:
    """Inverted lists (`ivf`) or a graph (`hnsw`), built at the first search.

    They are built anew once half of their rows are outdated, and inverted lists once there are four times as many.
    """

    def __init__(self, config: VectorConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._index: Any = None
        self._row_of_m = np.empty(0, np.int64)
        self._forgotten = self._built = 0
        self._mapped: Mapping[str, NDArray[Any]] | None = None

    def search(
        self, rows_nd: NDArray[Any], queries_qd: NDArray[np.float32], k: int, allowed_n: NDArray[np.bool_] | None
    ) -> Top:
        """See `Searcher`; a query that finds fewer than `k` is searched exactly."""
        if allowed_n is not None and allowed_n.mean() <= self._config.exact_below:
            return search_rows(rows_nd, queries_qd, k, allowed_n)
        self.build(rows_nd)
        known_m = self._row_of_m >= 0
        found_m = known_m if allowed_n is None else known_m & allowed_n[self._row_of_m]
        scores_qk, keys_qk = self._index.search(queries_qd, k, params=self._parameters(k, known_m, found_m))
        rows_qk = np.where(keys_qk >= 0, self._row_of_m[keys_qk], -1)
        short_q = (rows_qk < 0).any(axis=1)
        if short_q.any():
            scores_qk[short_q], rows_qk[short_q] = search_rows(rows_nd, queries_qd[short_q], k, allowed_n)
        return Top(scores_qk, rows_qk)

    def build(self, rows_nd: NDArray[Any]) -> None:
        """Build if that is due, or open what was restored."""
        with self._lock:
            if self._index is None and self._mapped is not None:
                self._open(self._mapped)
            elif self._index is None:
                self._index = _empty_index(rows_nd, self._config)
                self._row_of_m, self._forgotten, self._built = np.empty(0, np.int64), 0, len(rows_nd)
                self._add(rows_nd, np.arange(len(rows_nd)))

    def written(self, rows_nd: NDArray[Any], changed: NDArray[np.int64]) -> None:
        """See `Searcher`."""
        if not self._changeable():
            return
        old = changed[changed < (self._row_of_m >= 0).sum()]
        self._forget(old)
        self._add(rows_nd, changed)
        self._retire()

    def removed(self, kept_n: NDArray[np.bool_]) -> None:
        """See `Searcher`."""
        if not self._changeable():
            return
        self._forget(np.flatnonzero(~kept_n))
        moved_n = np.cumsum(kept_n) - 1
        known_m = self._row_of_m >= 0
        self._row_of_m[known_m] = moved_n[self._row_of_m[known_m]]
        self._retire()

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The structure as FAISS writes it, with a checksum; empty before it is built."""
        if self._index is None:
            return {} if self._mapped is None else self._mapped
        structure = _faiss.serialize_index(self._index)
        facts = np.array([self._forgotten, self._built, _checksum(structure, self._row_of_m)], np.int64)
        return dict(zip(STATE, (structure, self._row_of_m, facts), strict=True))

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Searcher`; nothing is read before the structure is needed."""
        if state and set(state) != set(STATE):
            raise ValueError(f"index: expected {', '.join(STATE)}, found {', '.join(state)}; build the index again")
        self._index, self._mapped = None, state or None

    def _open(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Read the structure where it lies, without a copy.

        Raises:
            ValueError: it is damaged. FAISS itself would trust its bytes.
        """
        structure, row_of_m, facts = (state[name] for name in STATE)
        fits = structure.dtype == np.uint8 and row_of_m.dtype == np.int64 and facts.shape == (3,)
        if not fits or _checksum(structure, row_of_m) != facts[2]:
            raise ValueError("index: the saved structure is damaged; build the index again")
        reader = _faiss.ZeroCopyIOReader(_faiss.swig_ptr(structure), structure.size)
        self._index, self._row_of_m = _faiss.read_index(reader), np.array(row_of_m)
        self._forgotten, self._built = facts[:2].tolist()

    def _changeable(self) -> bool:
        """Whether there is a structure that must follow; afterwards it owns its memory.

        FAISS ends the process if a structure that it reads in place is changed.
        """
        if self._mapped is not None:
            state, self._mapped = self._mapped, None
            self._open(state)
            self._index = _faiss.deserialize_index(np.array(state["structure"]))
        return self._index is not None

    def _parameters(self, k: int, known_m: NDArray[np.bool_], found_m: NDArray[np.bool_]) -> Any:
        """Search parameters: what may be found, and the more effort the less of it there is."""
        graph = self._config.kind == "hnsw"
        share = found_m.sum() / (len(known_m) if graph else known_m.sum())
        every = {} if share == 1 else {"sel": _faiss.IDSelectorBitmap(np.packbits(found_m, bitorder="little"))}
        if graph:
            return _faiss.SearchParametersHNSW(efSearch=int(max(self._config.ef_search, k) / share), **every)
        lists = self._index.nlist
        return _faiss.SearchParametersIVF(nprobe=min(lists, int(probes_for(lists, self._config) / share)), **every)

    def _add(self, rows_nd: NDArray[Any], added: NDArray[np.int64]) -> None:
        first = len(self._row_of_m)
        self._row_of_m = np.concatenate([self._row_of_m, added])
        for start in range(0, len(added), _BLOCK_ROWS):
            block = rows_nd[added[start : start + _BLOCK_ROWS]].astype(np.float32)
            if self._config.kind == "hnsw":
                # The generator is not saved with the structure; so additions come out the same after a reload.
                self._index.hnsw.rng = _faiss.RandomGenerator(first + start)
                self._index.add(block)
            else:
                self._index.add_with_ids(block, np.arange(first + start, first + start + len(block)))

    def _forget(self, rows: NDArray[np.int64]) -> None:
        known = np.flatnonzero(self._row_of_m >= 0)
        key_of_n = np.empty(len(known), np.int64)
        key_of_n[self._row_of_m[known]] = known
        keys = key_of_n[rows]
        self._row_of_m[keys] = -1
        self._forgotten += len(keys)
        if self._config.kind == "ivf" and len(keys):
            self._index.remove_ids(keys)

    def _retire(self) -> None:
        grown = self._config.kind == "ivf" and len(self._row_of_m) - self._forgotten > _GROWTH * self._built
        if grown or self._forgotten > _OUTDATED_SHARE * len(self._row_of_m):
            self._index = None


def _checksum(structure: NDArray[np.uint8], row_of_m: NDArray[np.int64]) -> int:
    return zlib.crc32(row_of_m.data, zlib.crc32(structure.data))


def _empty_index(rows_nd: NDArray[Any], config: VectorConfig) -> Any:
    """A structure without rows; inverted lists know from `rows_nd` where to put them."""
    dim, metric = rows_nd.shape[1], _faiss.METRIC_INNER_PRODUCT
    whole, half = rows_nd.dtype == np.float32, _faiss.ScalarQuantizer.QT_fp16
    if config.kind == "hnsw":
        index = (
            _faiss.IndexHNSWFlat(dim, config.m, metric) if whole else _faiss.IndexHNSWSQ(dim, half, config.m, metric)
        )
        index.hnsw.efConstruction = config.ef_construction
        index.is_trained = True
        return index
    lists = lists_for(len(rows_nd), config)
    nearest_list = _faiss.IndexFlatIP(dim)
    index = (
        _faiss.IndexIVFFlat(nearest_list, dim, lists, metric)
        if whole
        else _faiss.IndexIVFScalarQuantizer(nearest_list, dim, lists, half, metric, False)
    )
    index.cp.min_points_per_centroid = 1
    index.train(_sample(rows_nd, lists * index.cp.max_points_per_centroid).astype(np.float32))
    return index


def _sample(rows_nd: NDArray[Any], most: int) -> NDArray[Any]:
    """At most so many rows, spread evenly."""
    return rows_nd if len(rows_nd) <= most else rows_nd[np.linspace(0, len(rows_nd) - 1, most).astype(np.int64)]
