"""The catalogue's spans and vectors as a search reads them: mapped columns, one folder for each level.

Legend of shapes: n spans, V videos, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
from ophclip.search.entries import Level
from retrieval_index import approximate, coded
from retrieval_index.coded import LEAST_ROWS
from retrieval_index.config import VectorConfig
from retrieval_index.files import read_folder, write_folder
from retrieval_index.searcher import Searcher, build_searcher, find

EXACT_UP_TO = 1_000_000
"""Spans up to which all are compared; beyond it, inverted lists."""
_NAME = "spans"
_STATES = (*approximate.STATE, *coded.STATE)
_COLUMNS = ("rows_nd", "number_n", "owner_n", "start_n", "end_n")


@dataclass(kw_only=True)
class SpanTable:
    """The spans of one level, by video and start. Searching is safe from several threads."""

    rows_nd: NDArray[np.float32]
    number_n: NDArray[np.int64]
    """By which the catalogue knows a span."""
    owner_n: NDArray[np.int64]
    """The place of its video among the videos by id."""
    start_n: NDArray[np.float64]
    end_n: NDArray[np.float64]
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What a searcher saved."""

    def __len__(self) -> int:
        return len(self.rows_nd)

    def search(
        self, query_d: NDArray[np.float32], k: int, allowed_v: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and cosines of the `k` spans nearest to a unit vector, of the allowed videos."""
        allowed_n = None if allowed_v is None else allowed_v[self.owner_n]
        top = find(self._searcher, self.rows_nd, query_d[None], k, allowed_n)
        return top.rows_qk[0], top.scores_qk[0]

    def rows_of(self, owner: int) -> slice:
        """The rows of one video."""
        first, last = np.searchsorted(self.owner_n, (owner, owner + 1))
        return slice(int(first), int(last))

    def products(self, query_d: NDArray[np.float32], rows: slice) -> NDArray[np.float32]:
        """Cosines of a unit vector with some rows, to the last bit those of an exact search."""
        from retrieval_index.exact import products_in_full  # brings torch

        found_1c = products_in_full(self.rows_nd, query_d[None], np.arange(rows.start, rows.stop)[None])
        return np.asarray(found_1c[0])

    @cached_property
    def _searcher(self) -> Searcher:
        exact = VectorConfig(first_pass="codes") if len(self) >= LEAST_ROWS else VectorConfig()
        searcher = build_searcher(exact if len(self) <= EXACT_UP_TO else VectorConfig(kind="ivf"))
        searcher.restore(self.state)
        return searcher

    def prepared(self) -> Mapping[str, NDArray[Any]]:
        """What the first search would make, so that who opens the table need not wait; nothing for few spans."""
        if len(self) < LEAST_ROWS:
            return {}
        self.search(self.rows_nd[0], 1)
        return self._searcher.state()


def folder_of(index: Path, level: Level) -> Path:
    """Where the files of a level lie."""
    return index / f"{level.value}s"


def require_whole(index: Path) -> None:
    """See that no file of an index is gone. One whose first run was cut short has no tables at all, and needs none.

    Raises:
        ValueError: one is, or is damaged; says which.
    """
    heads = [folder_of(index, level) / f"{_NAME}.json" for level in Level]
    wanted = [index / CATALOGUE_NAME, *(heads if any(head.is_file() for head in heads) else ())]
    gone = next((path for path in wanted if not path.is_file()), None)
    if gone is not None:
        raise ValueError(f"{gone}: no such file, expected an index that is whole; run `ophclip index` again")
    for head in wanted[1:]:
        read_folder(head.parent, _NAME, ("generation",), _COLUMNS, _STATES)


def open_table(catalogue: Catalogue, level: Level, index: Path) -> SpanTable:
    """The table saved in the index' folder if it is of the catalogue's generation, else one made from the catalogue.

    A run that was cut short leaves an older one behind, or none.
    """
    folder = folder_of(index, level)
    if (folder / f"{_NAME}.json").is_file():
        facts, found = read_folder(folder, _NAME, ("generation",), _COLUMNS, _STATES)
        if facts["generation"] == catalogue.generation:
            columns: dict[str, Any] = {name: np.asarray(found[name]) for name in _COLUMNS}
            return SpanTable(**columns, state={name: found[name] for name in _STATES if name in found})
    return made_table(catalogue, level)


def made_table(catalogue: Catalogue, level: Level) -> SpanTable:
    """The table of everything in the catalogue."""
    columns = catalogue.columns(level)
    rows_nd = np.empty((len(columns), int(catalogue.about["dim"])), np.float32)
    first = 0
    for video_id in catalogue.videos():
        part = catalogue.vectors(video_id, level)
        rows_nd[first : first + len(part)] = part
        first += len(part)
    assert first == len(columns)
    fields: dict[str, Any] = {
        f"{name}_n": np.ascontiguousarray(columns[name]) for name in ("number", "owner", "start", "end")
    }
    return SpanTable(rows_nd=rows_nd, **fields)


def save_tables(catalogue: Catalogue, index: Path) -> None:
    """Write the tables of all levels for `open_table`."""
    with catalogue.unchanging():
        for level in Level:
            table = made_table(catalogue, level)
            columns = {name: getattr(table, name) for name in _COLUMNS}
            facts = {"generation": catalogue.generation}
            write_folder(folder_of(index, level), _NAME, facts, {**columns, **table.prepared()})
