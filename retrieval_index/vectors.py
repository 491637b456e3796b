"""Vectors with string ids: inner product search, exact or approximate, kept on disk in a form that survives a crash.

Legend of shapes: n rows, m of them, q queries, k neighbours, d width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval_index.approximate import STATE
from retrieval_index.config import VectorConfig, same_structure
from retrieval_index.files import read_folder, write_folder
from retrieval_index.rows import Rows
from retrieval_index.searcher import build_searcher, checked, find

_NAME = "vectors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """Nearest rows of each query, best first; every query has the same number, `min(k, rows searched)`."""

    ids: tuple[tuple[str, ...], ...]
    scores_qk: NDArray[np.float32]
    """Inner products."""


class VectorIndex:
    """Rows under unique string ids, searched by inner product (cosine if rows and queries are unit).

    How is said by a `VectorConfig`: exactly unless it says otherwise. Not safe to change from two threads at once;
    concurrent searches are safe.
    """

    def __init__(
        self,
        dim: int,
        ids: Sequence[str] = (),
        vectors_nd: NDArray[Any] | None = None,
        config: VectorConfig | None = None,
    ) -> None:
        """Hold `vectors_nd` [n, d] under `ids` (n of them), or nothing yet.

        Raises:
            ValueError: a width below one, ids that repeat, rows that do not fit ids and width, or no GPU though asked.
        """
        if dim < 1:
            raise ValueError(f"dim: expected at least 1, found {dim}; give the width of the vectors")
        self.config = config or VectorConfig()
        self.version = 0
        """How often the content was changed, over all its loads."""
        self._rows = Rows((), np.empty((0, dim), self.config.row_type))
        self._searcher = build_searcher(self.config)
        if len(ids) or vectors_nd is not None:
            self.add(ids, np.empty((0, dim), np.float32) if vectors_nd is None else vectors_nd)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._rows.table_nd.shape[1])

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in row order."""
        return self._rows.ids

    def vectors(self, ids: Iterable[str] | None = None) -> NDArray[np.float32]:
        """Copy of the rows of `ids` [m, d], or of all rows in row order."""
        table_nd = self._rows.table_nd
        return np.array(table_nd if ids is None else table_nd[self._rows.places(ids)], dtype=np.float32)

    def add(self, ids: Sequence[str], vectors_md: NDArray[Any]) -> None:
        """Append rows under new ids.

        Raises:
            ValueError: an id that repeats or is there already, a wrong shape, or numbers that are not finite.
        """
        self._changed(self._rows.append(ids, self._checked(vectors_md)))

    def update(self, ids: Sequence[str], vectors_md: NDArray[Any]) -> None:
        """Replace the rows of ids that are there; nothing is changed if one is not.

        Raises:
            ValueError: an unknown or repeated id, a wrong shape, or numbers that are not finite.
        """
        self._changed(self._rows.overwrite(ids, self._checked(vectors_md)))

    def remove(self, ids: Iterable[str]) -> None:
        """Drop rows; the order of the others stays.

        Raises:
            ValueError: an id that is not there.
        """
        kept_n = self._rows.drop(ids)
        if not kept_n.all():
            self._searcher.removed(kept_n)
            self.version += 1

    def search(self, queries_qd: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """The `k` rows with the largest inner product with each query [q, d]; of equal ones the earlier, if exact.

        `allowed` [n] leaves out the rows where it is False. Fewer rows than `k` give fewer neighbours.

        Raises:
            ValueError: a wrong shape, k below one, or queries that are not finite.
        """
        top = find(self._searcher, self._rows.table_nd, queries_qd, k, allowed)
        return Neighbours(ids=self._rows.names(top.rows_qk), scores_qk=top.scores_qk)

    def save(self, folder: Path) -> None:
        """Write the index into `folder` so that a reader sees either the old or the new one, whole.

        What makes an approximate search fast is built first if it was not yet, so that who loads it need not wait.
        """
        if len(self) and self.config.kind != "exact":
            self.search(self._rows.table_nd[:1], 1)
        facts = {
            "dim": self.dim,
            "ids": self.ids,
            "content_version": self.version,
            "config": asdict(self.config),
        }
        write_folder(folder, _NAME, facts, {"rows": self._rows.table_nd, **self._searcher.state()})

    @classmethod
    def load(cls, folder: Path, config: VectorConfig | None = None) -> VectorIndex:
        """Read what `save` wrote; it is mapped: opening reads next to nothing, and changes stay in memory.

        Args:
            folder: where it was saved.
            config: how to search it, where not as it was saved. Another `row_type` is ignored; another `kind`, or other
                lists or links, are built at the first search.

        Raises:
            ValueError: no index there, one of another version, or files that do not fit each other.
        """
        head, arrays = read_folder(folder, _NAME, ("dim", "ids"), ("rows",), STATE)
        rows_nd = arrays.pop("rows")
        try:
            saved = VectorConfig(**head.get("config", {}))
            if rows_nd.shape[1:] != (head["dim"],) or rows_nd.dtype != saved.row_type:
                raise ValueError(f"rows {rows_nd.dtype} {rows_nd.shape} do not fit it")
            index = cls(head["dim"], config=replace(config or saved, row_type=saved.row_type))
            index._rows = Rows(head["ids"], rows_nd)
            if same_structure(index.config, saved):
                index._searcher.restore(arrays)
            index.version = int(head.get("content_version", 0))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{folder / _NAME}.json: {error}; build the index again") from error
        return index

    def _changed(self, places: NDArray[np.int64]) -> None:
        if len(places):
            self._searcher.written(self._rows.table_nd, places)
            self.version += 1

    def _checked(self, vectors_md: NDArray[Any]) -> NDArray[Any]:
        return checked(vectors_md, self.dim, "vectors", self.config.row_type)
