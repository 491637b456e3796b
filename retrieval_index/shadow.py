"""Rows that wait to take the place of those in use.

Legend of shapes: n rows, m of them, e their width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Shadow:
    """A second table [n, e] that is filled little by little; it takes memory only while it holds something."""

    def __init__(self, rows: int, width: int) -> None:
        self.rows_ne = np.empty((0, width), np.float16)
        self.staged_n = np.zeros(rows, np.bool_)
        self.staged_at_n = np.zeros(rows, np.int64)
        """Step at which a staged row was computed."""

    @property
    def under_way(self) -> bool:
        """Whether filling has begun."""
        return len(self.rows_ne) > 0

    def fits(self, rows: int, width: int) -> bool:
        """Whether it is that of a table of this shape."""
        shapes = self.staged_n.shape, self.staged_at_n.shape
        return self.rows_ne.shape in ((rows, width), (0, width)) and shapes == ((rows,), (rows,))

    def put(self, places: NDArray[np.int64], rows_me: NDArray[Any], step: int) -> None:
        """Stage rows computed at `step`."""
        if not self.under_way:
            self.rows_ne = np.zeros((len(self.staged_n), self.rows_ne.shape[1]), np.float16)
        self.rows_ne[places] = rows_me
        self.staged_n[places], self.staged_at_n[places] = True, step

    def append(self, rows_me: NDArray[Any], step: int) -> None:
        """Make room for new rows computed at `step`; they are staged if filling is under way."""
        if self.under_way:
            self.rows_ne = np.concatenate([self.rows_ne, rows_me.astype(np.float16)])
        self.staged_n = np.concatenate([self.staged_n, np.full(len(rows_me), self.under_way)])
        self.staged_at_n = np.concatenate([self.staged_at_n, np.full(len(rows_me), step if self.under_way else 0)])

    def keep(self, kept_n: NDArray[np.bool_]) -> None:
        """Drop the other rows."""
        if self.under_way:
            self.rows_ne = self.rows_ne[kept_n]
        self.staged_n, self.staged_at_n = self.staged_n[kept_n], self.staged_at_n[kept_n]

    def newest(
        self, table_ne: NDArray[Any], computed_at_n: NDArray[np.int64]
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The staged rows, but for those that were computed later in `table_ne`, and when each was computed."""
        later_n = computed_at_n > self.staged_at_n
        return np.where(later_n[:, None], table_ne, self.rows_ne), np.maximum(computed_at_n, self.staged_at_n)
