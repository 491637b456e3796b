"""What a search over rows is, and which one a configuration and the hardware call for.

Legend of shapes: n rows, q queries, k neighbours, d width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval_index.config import VectorConfig

# x86 processors that multiply tiles of bfloat16. AVX-512's own bfloat16 instructions were no faster than float32.
_BFLOAT16_FLAG = "amx_bf16"


class Top(NamedTuple):
    """The best rows of each query, best first."""

    scores_qk: NDArray[np.float32]
    """Inner products."""
    rows_qk: NDArray[np.int64]


class Searcher(Protocol):
    """Searches rows that it does not own: they are handed to every call, [n, d], float32 or float16, all finite.

    What it keeps of them beside is made at the first search and must be told of every change.
    """

    def search(
        self, rows_nd: NDArray[Any], queries_qd: NDArray[np.float32], k: int, allowed_n: NDArray[np.bool_] | None
    ) -> Top:
        """The `k` best of the allowed rows, of which there are at least `k`; k and q are at least one."""

    def written(self, rows_nd: NDArray[Any], changed: NDArray[np.int64]) -> None:
        """The rows `changed` are other than they were; numbers past the former end are new rows, all of them."""

    def removed(self, kept_n: NDArray[np.bool_]) -> None:
        """Rows where `kept_n` is False are gone, and the others moved up."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """What it would take long to make anew, or what would come out differently; empty if there is no such thing."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave, for the same rows.

        Raises:
            ValueError: it is damaged.
        """


def find(
    searcher: Searcher, rows_nd: NDArray[Any], queries_qd: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None
) -> Top:
    """Search with whatever a caller gives; every query gets `min(k, rows allowed)` rows.

    Raises:
        ValueError: a wrong shape, k below one, or queries that are not finite.
    """
    if k < 1:
        raise ValueError(f"k: expected at least 1, found {k}; ask for one neighbour or more")
    queries = checked(queries_qd, rows_nd.shape[1], "queries")
    if allowed is not None and (allowed.dtype != np.bool_ or allowed.shape != (len(rows_nd),)):
        raise ValueError(f"allowed: expected {len(rows_nd)} booleans, one a row, found {allowed.dtype} {allowed.shape}")
    searched = len(rows_nd) if allowed is None else int(allowed.sum())
    if not searched or not len(queries):
        shape = (len(queries), min(k, searched))
        return Top(np.empty(shape, np.float32), np.empty(shape, np.int64))
    return searcher.search(rows_nd, queries, min(k, searched), None if searched == len(rows_nd) else allowed)


def checked(rows: NDArray[Any], dim: int, name: str, row_type: str = "float32") -> NDArray[Any]:
    """Rows [m, dim] in the type `row_type`.

    Raises:
        ValueError: a wrong shape, or numbers that are not finite in that type.
    """
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(rows, row_type)
    if found.ndim != 2 or found.shape[1] != dim:
        raise ValueError(f"{name}: expected shape [rows, {dim}], found {list(found.shape)}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name}: found values that are not finite in {row_type}; check what encoded them")
    return found


def build_searcher(config: VectorConfig) -> Searcher:
    """The searcher of `config.kind`, by what the hardware is.

    Raises:
        ValueError: `config` asks for a GPU and there is none.
    """
    if config.kind != "exact":
        from retrieval_index.approximate import ApproximateSearcher

        return ApproximateSearcher(config)
    import torch

    from retrieval_index.exact import PlainSearcher, RoundedSearcher

    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda asked for, but torch sees no GPU; use cpu or auto")
    if config.device != "cpu" and torch.cuda.is_available():
        return RoundedSearcher(torch.device("cuda"))
    if config.first_pass == "codes":
        from retrieval_index.coded import CodedSearcher

        return CodedSearcher(build_searcher(replace(config, first_pass="auto")))
    rounded = config.first_pass == "bfloat16" or (config.first_pass == "auto" and multiplies_bfloat16())
    return RoundedSearcher(torch.device("cpu")) if rounded else PlainSearcher()


def multiplies_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has matrix instructions for bfloat16; False where there is nothing to read it from."""
    return cpuinfo.is_file() and _BFLOAT16_FLAG in cpuinfo.read_text(encoding="ascii", errors="replace").split()
