"""Rows of numbers under string ids: the one copy of the vectors, whoever searches it.

Legend of shapes: n rows, m of them, q queries, k neighbours, d width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Rows:
    """A table [n, d] with a unique id for each row. Appending is cheap, the order of rows stays."""

    def __init__(self, ids: Sequence[str], rows_nd: NDArray[Any]) -> None:
        """Take `rows_nd` as it is, without a copy.

        Raises:
            ValueError: an id that repeats, or another number of ids than of rows.
        """
        _check_ids(ids, len(rows_nd))
        self._room = rows_nd
        self._ids = list(ids)
        self._row_of = {item_id: row for row, item_id in enumerate(ids)}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._row_of

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in row order."""
        return tuple(self._ids)

    @property
    def table_nd(self) -> NDArray[Any]:
        """The rows themselves, not a copy."""
        return self._room[: len(self)]

    def places(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """Row numbers [m] of ids.

        Raises:
            ValueError: an id that is not there.
        """
        listed = list(ids)
        missing = next((item_id for item_id in listed if item_id not in self._row_of), None)
        if missing is not None:
            raise ValueError(f"ids: {missing!r} is not in the index; use add() for new vectors")
        return np.array([self._row_of[item_id] for item_id in listed], np.int64)

    def names(self, rows_qk: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
        """Ids of row numbers."""
        return tuple(tuple(self._ids[row] for row in rows) for rows in rows_qk.tolist())

    def append(self, ids: Sequence[str], rows_md: NDArray[Any]) -> NDArray[np.int64]:
        """Add rows under new ids, and say where they are [m].

        Raises:
            ValueError: an id that repeats or is there already, or another number of ids than of rows.
        """
        _check_ids(ids, len(rows_md))
        known = next((item_id for item_id in ids if item_id in self._row_of), None)
        if known is not None:
            raise ValueError(f"ids: {known!r} is in the index already; use update() to replace its vector")
        first, last = len(self), len(self) + len(ids)
        if last > len(self._room):
            room = np.empty((max(last, len(self._room) * 3 // 2), self._room.shape[1]), self._room.dtype)
            room[:first] = self.table_nd
            self._room = room
        self._room[first:last] = rows_md
        self._ids += ids
        self._row_of.update(zip(ids, range(first, last), strict=True))
        return np.arange(first, last)

    def overwrite(self, ids: Sequence[str], rows_md: NDArray[Any]) -> NDArray[np.int64]:
        """Replace the rows of ids that are there, and say where they are [m].

        Raises:
            ValueError: an unknown or repeated id, or another number of ids than of rows; nothing is changed then.
        """
        _check_ids(ids, len(rows_md))
        places = self.places(ids)
        self._room[places] = rows_md
        return places

    def drop(self, ids: Iterable[str]) -> NDArray[np.bool_]:
        """Remove rows, and say which of the former ones stayed [n].

        Raises:
            ValueError: an id that is not there; nothing is changed then.
        """
        kept_n = np.ones(len(self), np.bool_)
        kept_n[self.places(ids)] = False
        self._room = self.table_nd[kept_n]
        self._ids = [self._ids[row] for row in np.flatnonzero(kept_n).tolist()]
        self._row_of = {item_id: row for row, item_id in enumerate(self._ids)}
        return kept_n


def _check_ids(ids: Sequence[str], rows: int) -> None:
    if len(ids) != rows:
        raise ValueError(f"vectors: expected one row for each of {len(ids)} ids, found {rows}")
    if len(set(ids)) != len(ids):
        raise ValueError("ids: one stands there twice; give each vector an id of its own")
