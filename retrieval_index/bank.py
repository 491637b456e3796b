"""The knowledge bank: title and visual vectors of the silent videos, as training last saw them (OphCLIP section 3.3).

Legend of shapes: n silent videos, q queries, k neighbours, d width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval_index.vectors import VectorIndex

NEVER = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """Silent videos nearest to each query title, best first; k is less than asked where the bank is smaller."""

    ids: tuple[tuple[str, ...], ...]
    scores_qk: NDArray[np.float32]
    """Cosines of query titles and keys."""
    visual_qkd: NDArray[np.float16]
    """Visual vectors of what was retrieved, of length one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BankVectors:
    """Rows of the bank [n, d], each of length one: what a search compares with, and the two vectors of each video."""

    key_nd: NDArray[np.float16]
    title_nd: NDArray[np.float16]
    visual_nd: NDArray[np.float16]


class KnowledgeBank:
    """Two unit vectors a silent video, float16, and the step at which each row was last computed.

    A new bank is empty of vectors and finds nothing; `refresh` with all rows fills it, `replace` writes rows back.
    Search is exact. The key of a video is its title vector, its visual vector, or the mean of the two.
    """

    def __init__(
        self,
        dim: int,
        ids: Sequence[str],
        attributes: Mapping[str, Mapping[str, str]] | None = None,
        *,
        key: Literal["title", "visual", "mean"] = "title",
    ) -> None:
        """A bank for the videos `ids`, searched by `key`, with what else is known of them in `attributes`.

        Raises:
            ValueError: ids that repeat, attributes of an unknown id, or a width below one.
        """
        if len(set(ids)) != len(ids):
            raise ValueError("ids: one stands there twice; a silent video has one row in the bank")
        unknown = sorted(set(attributes or {}) - set(ids))
        if unknown:
            raise ValueError(f"attributes: {unknown[0]!r} is not a video of the bank")
        self._index = VectorIndex(dim)
        self._key = key
        self._row_of = {video_id: row for row, video_id in enumerate(ids)}
        self._title_nd = np.zeros((len(ids), dim), np.float16)
        self._visual_nd = np.zeros((len(ids), dim), np.float16)
        self._computed_at_n = np.full(len(ids), NEVER, np.int64)
        self._refreshed_at = NEVER
        self.attributes: dict[str, Mapping[str, str]] = dict(attributes or {})

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the silent videos, in row order."""
        return tuple(self._row_of)

    @property
    def refreshed_at(self) -> int:
        """Step of the last full refresh, `NEVER` before the first."""
        return self._refreshed_at

    def ages(self, step: int) -> NDArray[np.int64]:
        """Steps since each row was computed [n]; rows that never were count from before the first step."""
        ages: NDArray[np.int64] = step - self._computed_at_n
        return ages

    def refresh(self, title_nd: NDArray[Any], visual_nd: NDArray[Any], step: int) -> None:
        """Replace all rows, in row order; from the first time on the bank can be searched.

        Raises:
            ValueError: a wrong shape or values that are not finite.
        """
        self._write(np.arange(len(self)), title_nd, visual_nd, step)
        self._index = VectorIndex(self._index.dim, self.ids, self._keys())
        self._refreshed_at = step

    def replace(
        self, ids: Sequence[str], title_nd: NDArray[Any], visual_nd: NDArray[Any], step: int, momentum: float = 0.0
    ) -> None:
        """Write rows back that a step computed anyway; `momentum` is the share of the old vector that stays.

        Raises:
            ValueError: before the first refresh, an unknown or repeated id, a wrong shape, values that are not finite.
        """
        if self._refreshed_at == NEVER:
            raise ValueError("bank: rows are written back only after the first refresh")
        unknown = [video_id for video_id in ids if video_id not in self._row_of]
        if unknown or len(set(ids)) != len(ids):
            raise ValueError(f"ids: expected distinct videos of the bank, found {unknown[:1] or 'one twice'}")
        rows = np.array([self._row_of[video_id] for video_id in ids], np.int64)
        kept_title, kept_visual = self._title_nd[rows].astype(np.float32), self._visual_nd[rows].astype(np.float32)
        title = momentum * kept_title + (1 - momentum) * _unit(title_nd)
        visual = momentum * kept_visual + (1 - momentum) * _unit(visual_nd)
        self._write(rows, title, visual, step)
        self._index.update(ids, self._keys(rows))

    def search(self, title_qd: NDArray[Any], k: int) -> Retrieved:
        """The `k` silent videos whose keys are nearest to each query title [q, d] by cosine.

        Raises:
            ValueError: a wrong shape, k below one, or values that are not finite.
        """
        found = self._index.search(_unit(title_qd), k)
        rows = np.array([[self._row_of[video_id] for video_id in ids] for ids in found.ids], np.int64)
        visual = self._visual_nd[rows.reshape(len(found.ids), -1)]
        return Retrieved(ids=found.ids, scores_qk=found.scores_qk, visual_qkd=visual)

    def vectors(self, ids: Sequence[str]) -> BankVectors:
        """The rows of `ids`, in their order. Raises KeyError for an id that is not there."""
        rows = np.array([self._row_of[video_id] for video_id in ids], np.int64)
        return BankVectors(key_nd=self._keys(rows), title_nd=self._title_nd[rows], visual_nd=self._visual_nd[rows])

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that training changes, as plain tensors (no ids: they belong to the corpus)."""
        return {
            "title_nd": torch.from_numpy(self._title_nd.copy()),
            "visual_nd": torch.from_numpy(self._visual_nd.copy()),
            "computed_at_n": torch.from_numpy(self._computed_at_n.copy()),
            "refreshed_at": torch.tensor(self._refreshed_at),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` gave.

        Raises:
            ValueError: the state is of a bank of another size.
        """
        title = state["title_nd"].numpy()
        if title.shape != self._title_nd.shape:
            raise ValueError(f"bank: expected state of shape {list(self._title_nd.shape)}, found {list(title.shape)}")
        self._title_nd = title.copy()
        self._visual_nd = state["visual_nd"].numpy().copy()
        self._computed_at_n = state["computed_at_n"].numpy().copy()
        self._refreshed_at = int(state["refreshed_at"])
        filled = self._refreshed_at != NEVER
        self._index = VectorIndex(self._index.dim, *((self.ids, self._keys()) if filled else ()))

    def _keys(self, rows: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float16]:
        if self._key == "title":
            return self._title_nd[rows]
        if self._key == "visual":
            return self._visual_nd[rows]
        mean = self._title_nd[rows].astype(np.float32) + self._visual_nd[rows]
        return _unit(mean).astype(np.float16)

    def _write(self, rows: NDArray[np.int64], title_nd: NDArray[Any], visual_nd: NDArray[Any], step: int) -> None:
        expected = (len(rows), self._index.dim)
        for name, vectors in (("title", title_nd), ("visual", visual_nd)):
            if vectors.shape != expected or not np.isfinite(vectors).all():
                raise ValueError(f"bank: expected finite {name} vectors {list(expected)}, found {list(vectors.shape)}")
        self._title_nd[rows] = _unit(title_nd)
        self._visual_nd[rows] = _unit(visual_nd)
        self._computed_at_n[rows] = step


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    rows = np.asarray(vectors, np.float32)
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    return unit
