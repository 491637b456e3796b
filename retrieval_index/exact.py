"""Exact search by inner product: all rows, in bfloat16 where the hardware multiplies it fast, else in float32.

Both give the same rows in the same order. What is compared in the end are float32 products, so that rows whose products
differ by less than its rounding may change places; of equal products the earlier row comes first.
Legend of shapes: n rows, p room for them, b rows of a block, q queries, u of them, k neighbours, c candidates, d width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval_index.searcher import Top
from retrieval_index.settling import FirstProducts, InFull, room_for, settle

# FAISS types its C++ signatures; its Python wrappers take arrays.
_faiss: Any = faiss
_CPU = torch.device("cpu")
_FEW_ROWS = 4096
_BLOCK_ROWS = {"cpu": 4096, "cuda": 1 << 18}
_SCORE_BYTES = {"cpu": 64 << 20, "cuda": 1 << 30}
_LEAST_QUERIES, _MOST_QUERIES, _EVEN_QUERIES = 8, 1024, 32
_TAKEN_NUMBERS = 4 << 20
_LEAST_RUN = 32
_FLOAT32, _BFLOAT16 = 2.0**-24, 2.0**-8


class PlainSearcher:
    """Multiplies in float32 on the CPU and keeps nothing but the length of the longest row."""

    def __init__(self) -> None:
        self._longest: float | None = None

    def search(
        self, rows_nd: NDArray[Any], queries_qd: NDArray[np.float32], k: int, allowed_n: NDArray[np.bool_] | None
    ) -> Top:
        """See `Searcher`."""
        if self._longest is None and allowed_n is None:
            self._longest = _longest(rows_nd)
        return search_rows(rows_nd, queries_qd, k, allowed_n, self._longest)

    def written(self, rows_nd: NDArray[Any], changed: NDArray[np.int64]) -> None:
        """See `Searcher`."""
        if self._longest is not None:
            self._longest = max(self._longest, _longest(rows_nd[changed]))

    def removed(self, kept_n: NDArray[np.bool_]) -> None:
        """See `Searcher`."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to do."""


class RoundedSearcher:
    """Keeps a copy of the rows in bfloat16, on a GPU also the rows as they are, and multiplies that copy first."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._rounded_nd: Tensor | None = None
        self._whole_nd: Tensor | None = None
        self._longest = self._lost = 0.0

    def search(
        self, rows_nd: NDArray[Any], queries_qd: NDArray[np.float32], k: int, allowed_n: NDArray[np.bool_] | None
    ) -> Top:
        """See `Searcher`."""
        chosen_m = None if allowed_n is None else np.flatnonzero(allowed_n)
        count = len(rows_nd if chosen_m is None else chosen_m)
        if count <= _FEW_ROWS:
            return search_rows(rows_nd, queries_qd, k, allowed_n)
        if self._rounded_nd is None:
            self._rounded_nd, self._whole_nd = self._copies(rows_nd)
        asked = _evened(queries_qd)
        rounded_nd, whole_nd = self._rounded_nd, self._whole_nd

        def search_block(queries_ud: NDArray[np.float32]) -> Top:
            products = self._multiplied(rounded_nd, torch.from_numpy(queries_ud), k, chosen_m)
            exact = _in_full(rows_nd, queries_ud) if whole_nd is None else _in_full_on(whole_nd, queries_ud)
            return _settled(products, k, exact, chosen_m)

        top = _in_blocks(asked, count, self._device, search_block)
        return Top(top.scores_qk[: len(queries_qd)], top.rows_qk[: len(queries_qd)])

    def written(self, rows_nd: NDArray[Any], changed: NDArray[np.int64]) -> None:
        """See `Searcher`."""
        if self._rounded_nd is None:
            return
        before = len(self._rounded_nd)
        old = changed[changed < before]
        rounded_nd, whole_nd = self._copies(rows_nd[old])
        self._rounded_nd[torch.from_numpy(old)] = rounded_nd
        if self._whole_nd is not None and whole_nd is not None:
            self._whole_nd[torch.from_numpy(old)] = whole_nd
        if len(rows_nd) > before:
            rounded_nd, whole_nd = self._copies(rows_nd[before:])
            self._rounded_nd = torch.cat([self._rounded_nd, rounded_nd])
            if self._whole_nd is not None and whole_nd is not None:
                self._whole_nd = torch.cat([self._whole_nd, whole_nd])

    def removed(self, kept_n: NDArray[np.bool_]) -> None:
        """See `Searcher`."""
        kept = torch.from_numpy(np.flatnonzero(kept_n)).to(self._device)
        self._rounded_nd = None if self._rounded_nd is None else self._rounded_nd[kept]
        self._whole_nd = None if self._whole_nd is None else self._whole_nd[kept]

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Nothing to do."""

    def _copies(self, rows_nd: NDArray[Any]) -> tuple[Tensor, Tensor | None]:
        """The rows rounded, and on a GPU as they are; keeps count of the longest row and of the most that was lost."""
        on_gpu = self._device != _CPU
        rounded_nd = torch.empty(rows_nd.shape, dtype=torch.bfloat16, device=self._device)
        whole_nd = torch.from_numpy(np.ascontiguousarray(rows_nd)).to(self._device) if on_gpu else None
        for first, block_bd in _float32_blocks(rows_nd, None):
            block, rounded = block_bd.to(self._device), rounded_nd[first : first + len(block_bd)]
            rounded.copy_(block)
            self._longest = max(self._longest, float(block.norm(dim=1).max()))
            self._lost = max(self._lost, float((block - rounded.float()).norm(dim=1).max()))
        return rounded_nd, whole_nd

    def _multiplied(
        self, rounded_nd: Tensor, queries_qd: Tensor, k: int, chosen_m: NDArray[np.int64] | None
    ) -> FirstProducts:
        exact_qd = queries_qd.to(self._device)
        rounded_qd = exact_qd.bfloat16()
        chosen = None if chosen_m is None else torch.from_numpy(chosen_m).to(self._device)
        count = len(rounded_nd if chosen is None else chosen)
        on_gpu = self._device != _CPU
        scores_sgq = room_for(count, len(queries_qd), k, torch.float32 if on_gpu else torch.bfloat16, self._device)
        scores_pq = scores_sgq.view(-1, len(queries_qd))
        step = _BLOCK_ROWS[self._device.type]
        for first in range(0, count, step):
            last = min(first + step, count)
            block_bd = rounded_nd[first:last] if chosen is None else rounded_nd[chosen[first:last]]
            if on_gpu:
                scores_pq[first:last] = torch.mm(block_bd, rounded_qd.T, out_dtype=torch.float32)
            else:
                torch.mm(block_bd, rounded_qd.T, out=scores_pq[first:last])
        # Sums are taken in float32, of the first products and of the final ones.
        summed = 2 * queries_qd.shape[1] * _FLOAT32
        longest, lost = self._longest, self._lost
        error_q = exact_qd.norm(dim=1) * (lost + summed * (longest + lost))
        error_q += (exact_qd - rounded_qd.float()).norm(dim=1) * (longest + lost) * (1 + summed)
        return FirstProducts(scores_sgq, count, error_q, _FLOAT32 if on_gpu else _BFLOAT16)


def _evened(queries_qd: NDArray[np.float32]) -> NDArray[np.float32]:
    """The queries, the last one repeated: a product with one column, or with many that are no multiple of 32, goes a
    way that is up to several times slower."""
    count = len(queries_qd)
    wanted = max(2, count if count <= 2 * _EVEN_QUERIES else -(-count // _EVEN_QUERIES) * _EVEN_QUERIES)
    return queries_qd if wanted == count else np.pad(queries_qd, ((0, wanted - count), (0, 0)), mode="edge")


def search_rows(
    rows_nd: NDArray[Any],
    queries_qd: NDArray[np.float32],
    k: int,
    allowed_n: NDArray[np.bool_] | None,
    longest: float | None = None,
) -> Top:
    """The `k` best of the allowed rows, by float32 products on the CPU; the arguments are those of a `Searcher`.

    Args:
        longest: no row is longer; found out if not given.
    """
    chosen_m = None if allowed_n is None else np.flatnonzero(allowed_n)
    count = len(rows_nd if chosen_m is None else chosen_m)

    def search_block(queries_ud: NDArray[np.float32]) -> Top:
        scores_sgq = room_for(count, len(queries_ud), k, torch.float32, _CPU)
        scores_pq = scores_sgq.view(-1, len(queries_ud)).numpy()
        found_longest = 0.0
        for first, block_bd in _float32_blocks(rows_nd, chosen_m):
            # NumPy's product is never rounded further, as torch's may be by a setting of the whole process.
            np.matmul(block_bd.numpy(), queries_ud.T, out=scores_pq[first : first + len(block_bd)])
            if longest is None:
                found_longest = max(found_longest, float(block_bd.norm(dim=1).max()))
        most = found_longest if longest is None else longest
        error_q = 2 * queries_ud.shape[1] * _FLOAT32 * most * torch.from_numpy(queries_ud).norm(dim=1)
        return _settled(FirstProducts(scores_sgq, count, error_q, 0.0), k, _in_full(rows_nd, queries_ud), chosen_m)

    return _in_blocks(queries_qd, count, _CPU, search_block)


def _settled(products: FirstProducts, k: int, exact: InFull, chosen_m: NDArray[np.int64] | None) -> Top:
    """As `settle`, where the products are of chosen rows alone."""
    if chosen_m is None:
        return settle(products, k, exact)
    chosen = torch.from_numpy(chosen_m).to(products.scores_sgq.device)
    top = settle(products, k, lambda queries_u, places_uc: exact(queries_u, chosen[places_uc]))
    return Top(top.scores_qk, chosen_m[top.rows_qk])


def products_in_full(
    rows_nd: NDArray[Any], queries_qd: NDArray[np.float32], rows_qc: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Float32 products [q, c] of each query with rows of its own; each is computed by itself: equal rows, equal
    products."""
    if rows_nd.dtype == np.float32 and rows_nd.flags.c_contiguous:
        return _by_row(queries_qd, rows_nd, np.ascontiguousarray(rows_qc))
    products_qc = np.empty(rows_qc.shape, np.float32)
    step = max(1, _TAKEN_NUMBERS // (rows_qc.shape[1] * rows_nd.shape[1]))
    for first in range(0, len(rows_qc), step):
        some = rows_qc[first : first + step]
        taken = torch.from_numpy(rows_nd[some.ravel()]).float().numpy()
        own = np.arange(some.size).reshape(some.shape)
        products_qc[first : first + step] = _by_row(queries_qd[first : first + step], taken, own)
    return products_qc


def _in_full(rows_nd: NDArray[Any], queries_qd: NDArray[np.float32]) -> InFull:
    return lambda queries_u, rows_uc: products_in_full(rows_nd, queries_qd[queries_u.numpy()], rows_uc.numpy())


def _by_row(
    queries_ud: NDArray[np.float32], rows_nd: NDArray[np.float32], rows_uc: NDArray[np.int64]
) -> NDArray[np.float32]:
    products_uc = np.empty(rows_uc.shape, np.float32)
    pointers = [_faiss.swig_ptr(one) for one in (products_uc, queries_ud, rows_nd, rows_uc)]
    _faiss.fvec_inner_products_by_idx(*pointers, queries_ud.shape[1], *rows_uc.shape)
    return products_uc


def _in_full_on(whole_nd: Tensor, queries_qd: NDArray[np.float32]) -> InFull:
    """The same on the device of `whole_nd`, summed in float64: no setting of the process can coarsen it."""
    asked_qd = torch.from_numpy(queries_qd).to(whole_nd.device).double()

    def products(queries_u: Tensor, rows_uc: Tensor) -> NDArray[np.float32]:
        step = max(1, 16 * _TAKEN_NUMBERS // (rows_uc.shape[1] * whole_nd.shape[1]))
        parts = []
        for first in range(0, len(rows_uc), step):
            taken_ucd = whole_nd[rows_uc[first : first + step]].double()
            parts.append((taken_ucd * asked_qd[queries_u[first : first + step], None]).sum(dim=-1))
        return torch.cat(parts).float().cpu().numpy()

    return products


def _in_blocks(
    queries_qd: NDArray[np.float32], rows: int, device: torch.device, search_block: Callable[[NDArray[np.float32]], Top]
) -> Top:
    """As many queries at a time as their scores of all rows leave room for."""
    room = _SCORE_BYTES[device.type] // (4 * max(rows, 1))
    step = min(max(room - room % _EVEN_QUERIES, _LEAST_QUERIES), _MOST_QUERIES)
    parts = [search_block(queries_qd[first : first + step]) for first in range(0, len(queries_qd), step)]
    return Top(np.concatenate([part.scores_qk for part in parts]), np.concatenate([part.rows_qk for part in parts]))


def _float32_blocks(rows_nd: NDArray[Any], chosen_m: NDArray[np.int64] | None) -> Iterator[tuple[int, Tensor]]:
    """Where a block begins, and its rows in float32; valid until the next is asked for."""
    count = len(rows_nd if chosen_m is None else chosen_m)
    room_bd = torch.empty((min(_BLOCK_ROWS["cpu"], count), rows_nd.shape[1]))
    for first, last in _bounds(count, chosen_m):
        block = rows_nd[first:last] if chosen_m is None else _taken(rows_nd, chosen_m[first:last])
        if block.dtype == np.float32:
            yield first, torch.from_numpy(block)
        else:
            yield first, room_bd[: last - first].copy_(torch.from_numpy(block))


def _bounds(count: int, chosen_m: NDArray[np.int64] | None) -> Iterator[tuple[int, int]]:
    """Where blocks begin and end; chosen rows that follow each other are kept together, since they need no copy."""
    runs = np.empty(0, np.int64) if chosen_m is None else np.flatnonzero(np.diff(chosen_m) != 1) + 1
    edges = [0, *(runs.tolist() if len(runs) * _LEAST_RUN <= count else ()), count]
    for start, stop in pairwise(edges):
        for first in range(start, stop, _BLOCK_ROWS["cpu"]):
            yield first, min(first + _BLOCK_ROWS["cpu"], stop)


def _taken(rows_nd: NDArray[Any], chosen_b: NDArray[np.int64]) -> NDArray[Any]:
    first, last = int(chosen_b[0]), int(chosen_b[-1]) + 1
    return rows_nd[first:last] if last - first == len(chosen_b) else rows_nd[chosen_b]


def _longest(rows_nd: NDArray[Any]) -> float:
    return max((float(block_bd.norm(dim=1).max()) for _, block_bd in _float32_blocks(rows_nd, None)), default=0.0)
