"""Exact search for few queries: all rows are first looked at in two bits a number, so that a pass reads a 16th of them.

Unit rows are turned by a random rotation and each number is rounded to one of four. For a row x, its rounded form y and
a unit query q, q·y = (q·x)(x·y) + a remainder, which is one coordinate of a random point of a sphere, whatever the rows
and the query are (as in RaBitQ, Gao and Long, SIGMOD 2024): beyond `_SIGMAS` standard deviations it lies once in 1e8
times. Rows that could still be among the best k by that are multiplied in float32; where too many are, all rows are.
Legend of shapes: n rows, q queries, k neighbours, c candidates, d width, m pairs of numbers.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval_index.searcher import Searcher, Top

# FAISS types its C++ signatures; its Python wrappers take arrays.
_faiss: Any = faiss
STATE = ("codes_structure", "codes_facts")
_FEW_QUERIES = 8
"""More queries at once are cheaper by products of matrices."""
LEAST_ROWS = 16_384
"""Fewer rows are multiplied sooner than looked up."""
_SCANNED_SHARE = 0.1
"""A filter that leaves less is searched by float32 products of what it leaves."""
_SIGMAS = 5.5
_CANDIDATES = (4096, 32_768)
_FIRST_LOOK = 4
_BLOCK_ROWS = 8192
_SEED = 1
# The best four numbers, and the thresholds between them, for a normal variable of deviation one (Max, 1960).
_LEVELS = np.array([-1.5104, -0.4528, 0.4528, 1.5104])
_THRESHOLD = 0.9816


class CodedSearcher:
    """Codes of the rows, for few queries and wide filters; `beside` searches where codes do not help."""

    def __init__(self, beside: Searcher) -> None:
        self._beside = beside
        self._lock = threading.Lock()
        self._codes: _Codes | None = None
        self._mapped: Mapping[str, NDArray[Any]] | None = None

    def search(
        self, rows_nd: NDArray[Any], queries_qd: NDArray[np.float32], k: int, allowed_n: NDArray[np.bool_] | None
    ) -> Top:
        """See `Searcher`."""
        if allowed_n is not None and allowed_n.sum() <= _SCANNED_SHARE * len(rows_nd):
            from retrieval_index.exact import search_rows  # brings torch

            return search_rows(rows_nd, queries_qd, k, allowed_n)
        if len(queries_qd) > _FEW_QUERIES or len(rows_nd) < LEAST_ROWS or rows_nd.shape[1] % 4:
            return self._beside.search(rows_nd, queries_qd, k, allowed_n)
        self.build(rows_nd)
        tops = [self._one(rows_nd, query_d[None], k, allowed_n) for query_d in queries_qd]
        return Top(np.concatenate([one.scores_qk for one in tops]), np.concatenate([one.rows_qk for one in tops]))

    def build(self, rows_nd: NDArray[Any]) -> None:
        """Code the rows if they are not, or open what was restored."""
        with self._lock:
            if self._codes is None:
                self._codes = _coded(rows_nd) if self._mapped is None else _opened(self._mapped)
                self._mapped = None

    def written(self, rows_nd: NDArray[Any], changed: NDArray[np.int64]) -> None:
        """See `Searcher`; the codes are made anew at the next search."""
        self._codes = self._mapped = None
        self._beside.written(rows_nd, changed)

    def removed(self, kept_n: NDArray[np.bool_]) -> None:
        """See `Searcher`; the codes are made anew at the next search."""
        self._codes = self._mapped = None
        self._beside.removed(kept_n)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """The codes as FAISS writes them, with a checksum; empty before they are made."""
        if self._codes is None:
            return self._mapped or {}
        structure = _faiss.serialize_index(self._codes.index)
        facts = np.array([self._codes.least_kept, self._codes.most_lost, zlib.crc32(structure.data)], np.float64)
        return dict(zip(STATE, (structure, facts), strict=True))

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See `Searcher`; nothing is read before the codes are needed."""
        if state and set(state) != set(STATE):
            raise ValueError(f"index: expected {', '.join(STATE)}, found {', '.join(state)}; build the index again")
        self._codes, self._mapped = None, state or None

    def _one(
        self, rows_nd: NDArray[Any], query_1d: NDArray[np.float32], k: int, allowed_n: NDArray[np.bool_] | None
    ) -> Top:
        codes = self._codes
        fitting = [count for count in _CANDIDATES if k * _FIRST_LOOK <= count < len(rows_nd)]
        for count in fitting if query_1d.any() else ():
            assert codes is not None
            top = codes.best(rows_nd, query_1d, k, count, allowed_n)
            if top is not None:
                return top
        return self._beside.search(rows_nd, query_1d, k, allowed_n)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Codes:
    """The rounded rows, and bounds that hold for all of them."""

    index: Any
    least_kept: float
    """The least product of a row with its rounded form."""
    most_lost: float
    """The greatest length of the part of a rounded form that is square to its row."""

    def best(
        self,
        rows_nd: NDArray[Any],
        query_1d: NDArray[np.float32],
        k: int,
        count: int,
        allowed_n: NDArray[np.bool_] | None,
    ) -> Top | None:
        """The `k` best, if rows outside the best `count` by their codes cannot be among them."""
        length = float(np.linalg.norm(query_1d))
        turned_1d = (query_1d / length) @ _rotation(query_1d.shape[1])
        estimates_1c, rows_1c = self.index.search(turned_1d, count)
        least = float(estimates_1c[0, -1])
        inside_c = np.ones(count, np.bool_) if allowed_n is None else allowed_n[rows_1c[0]]
        estimates_c, rows_c = estimates_1c[0, inside_c], rows_1c[0, inside_c]
        first = k * _FIRST_LOOK
        if len(rows_c) < first:
            return None
        products_c = _products(rows_nd, query_1d, rows_c[:first])
        floor = self._floor(float(np.partition(products_c, -k)[-k]) / length, turned_1d[0])
        if least >= floor:
            return None
        open_rows = rows_c[first:][estimates_c[first:] >= floor]
        rows_c = np.concatenate([rows_c[:first], open_rows])
        products_c = np.concatenate([products_c, _products(rows_nd, query_1d, open_rows)])
        order_k = np.lexsort((rows_c, -products_c))[:k]
        return Top(products_c[order_k][None], rows_c[order_k][None])

    def _floor(self, cosine: float, turned_d: NDArray[np.float32]) -> float:
        """What a row is estimated at, at least, that is as near to the query as `cosine`."""
        square = np.sqrt(max(1 - cosine**2, 0.0)) if cosine > 0 else 1.0
        deviation = square * self.most_lost / np.sqrt(len(turned_d) - 1)
        # FAISS rounds what it adds up, one number for each pair of the query's numbers, to 8 bits.
        reach_m = np.abs(turned_d).reshape(-1, 2).sum(axis=1) * 2 * _LEVELS[-1] / np.sqrt(len(turned_d))
        step = max(reach_m.max() / 255, reach_m.sum() / 65_535)
        rounding = step * np.sqrt(len(reach_m) / 12)
        kept = self.least_kept if cosine > 0 else 1.0
        return float(cosine * kept - _SIGMAS * (deviation + rounding))


def _coded(rows_nd: NDArray[Any]) -> _Codes:
    """Codes of unit rows.

    Raises:
        ValueError: a row is not of length one.
    """
    dim = rows_nd.shape[1]
    plain, least_kept, most_lost = _empty_index(dim), 1.0, 0.0
    for block_bd in _turned_blocks(rows_nd):
        if np.abs(np.linalg.norm(block_bd, axis=1) - 1).max() > 1e-2:
            raise ValueError("codes: found a row that is not of length one; scale the rows, or search without codes")
        scaled_bd = block_bd * np.sqrt(dim)
        levels_bd = (scaled_bd > 0).astype(np.uint8)
        levels_bd += (scaled_bd > -_THRESHOLD).astype(np.uint8)
        levels_bd += (scaled_bd > _THRESHOLD).astype(np.uint8)
        rounded_bd = (_LEVELS / np.sqrt(dim)).astype(np.float32)[levels_bd]
        kept_b = np.einsum("bd,bd->b", block_bd, rounded_bd)
        lost_b = np.einsum("bd,bd->b", rounded_bd, rounded_bd) - kept_b**2
        least_kept, most_lost = min(least_kept, float(kept_b.min())), max(most_lost, float(lost_b.max()))
        pairs_bm = levels_bd[:, 0::2] + 4 * levels_bd[:, 1::2]
        codes = np.ascontiguousarray(pairs_bm[:, 0::2] + 16 * pairs_bm[:, 1::2])
        plain.add_sa_codes(codes)
    return _Codes(index=_faiss.IndexPQFastScan(plain), least_kept=least_kept, most_lost=float(np.sqrt(most_lost)))


def _empty_index(dim: int) -> Any:
    """Pairs of numbers, each of four levels, as FAISS' product quantiser has them."""
    index = _faiss.IndexPQ(dim, dim // 2, 4, _faiss.METRIC_INNER_PRODUCT)
    of_pair = np.array([(_LEVELS[code % 4], _LEVELS[code // 4]) for code in range(16)]) / np.sqrt(dim)
    centroids = np.tile(of_pair, (dim // 2, 1, 1)).astype(np.float32).ravel()
    _faiss.copy_array_to_vector(centroids, index.pq.centroids)
    index.is_trained = True
    return index


def _opened(state: Mapping[str, NDArray[Any]]) -> _Codes:
    """Codes as they were saved.

    Raises:
        ValueError: they are damaged. FAISS itself would trust their bytes.
    """
    structure, facts = (state[name] for name in STATE)
    if structure.dtype != np.uint8 or facts.shape != (3,) or zlib.crc32(structure.data) != facts[2]:
        raise ValueError("index: the saved codes are damaged; build the index again")
    index = _faiss.deserialize_index(np.array(structure))
    return _Codes(index=index, least_kept=float(facts[0]), most_lost=float(facts[1]))


def _turned_blocks(rows_nd: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
    rotation_dd = _rotation(rows_nd.shape[1])
    for first in range(0, len(rows_nd), _BLOCK_ROWS):
        yield rows_nd[first : first + _BLOCK_ROWS].astype(np.float32) @ rotation_dd


@cache
def _rotation(dim: int) -> NDArray[np.float32]:
    """A random rotation [d, d], the same in every process."""
    return np.linalg.qr(np.random.default_rng(_SEED).normal(size=(dim, dim)))[0].astype(np.float32)


def _products(rows_nd: NDArray[Any], query_1d: NDArray[np.float32], rows_c: NDArray[np.int64]) -> NDArray[np.float32]:
    from retrieval_index.exact import products_in_full

    return products_in_full(rows_nd, query_1d, rows_c[None])[0] if len(rows_c) else np.empty(0, np.float32)
