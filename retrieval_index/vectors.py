"""Vectors with string ids: exact inner product search through FAISS, kept on disk in a form that survives a crash.

Legend of shapes: n rows, q queries, k neighbours, d width.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

FORMAT_VERSION = 1
# FAISS types its C++ signatures; its Python wrappers take arrays.
_faiss: Any = faiss
_HEAD = "vectors.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """Nearest rows of each query, best first; every query has the same number, `min(k, rows searched)`."""

    ids: tuple[tuple[str, ...], ...]
    scores_qk: NDArray[np.float32]
    """Inner products."""


class VectorIndex:
    """Rows of float32 under unique string ids, searched exactly by inner product (cosine if rows and queries are unit).

    Rows live once, inside the FAISS index; searches run on the GPUs if FAISS sees any. Not safe to change from two
    threads at once; concurrent searches are safe.
    """

    def __init__(self, dim: int, ids: Sequence[str] = (), vectors_nd: NDArray[Any] | None = None) -> None:
        """Hold `vectors_nd` [n, d] under `ids` (n of them), or nothing yet.

        Raises:
            ValueError: width below one, ids that repeat, or rows that do not fit ids and width.
        """
        if dim < 1:
            raise ValueError(f"dim: expected at least 1, found {dim}; give the width of the vectors")
        self._flat: Any = _faiss.IndexFlatIP(dim)
        self._on_gpus: Any = None
        self._ids: list[str] = []
        self._row_of: dict[str, int] = {}
        if len(ids) or vectors_nd is not None:
            self.add(ids, np.empty((0, dim), np.float32) if vectors_nd is None else vectors_nd)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._row_of

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return int(self._flat.d)

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in row order."""
        return tuple(self._ids)

    def vectors(self, ids: Iterable[str] | None = None) -> NDArray[np.float32]:
        """Copy of the rows of `ids` [n, d], or of all rows in row order."""
        rows = self._rows_view()
        picked = rows if ids is None else rows[self._rows_of(ids)]
        return np.array(picked, dtype=np.float32)

    def add(self, ids: Sequence[str], vectors_nd: NDArray[Any]) -> None:
        """Append rows under new ids.

        Raises:
            ValueError: an id that repeats or is there already, a wrong shape, or numbers that are not finite.
        """
        rows = self._checked(ids, vectors_nd)
        known = [item_id for item_id in ids if item_id in self._row_of]
        if known:
            raise ValueError(f"ids: {known[0]!r} is in the index already; use update() to replace its vector")
        self._flat.add(rows)
        self._on_gpus = None
        for item_id in ids:
            self._row_of[item_id] = len(self._ids)
            self._ids.append(item_id)

    def update(self, ids: Sequence[str], vectors_nd: NDArray[Any]) -> None:
        """Replace the rows of ids that are there; nothing is changed if one is not.

        Raises:
            ValueError: an unknown or repeated id, a wrong shape, or numbers that are not finite.
        """
        rows = self._checked(ids, vectors_nd)
        if len(rows):
            self._rows_view()[self._rows_of(ids)] = rows
            self._on_gpus = None

    def remove(self, ids: Iterable[str]) -> None:
        """Drop rows; the order of the others stays.

        Raises:
            ValueError: an id that is not there.
        """
        rows = np.unique(self._rows_of(ids))
        if not len(rows):
            return
        self._flat.remove_ids(rows)
        self._on_gpus = None
        gone = set(rows.tolist())
        self._ids = [item_id for row, item_id in enumerate(self._ids) if row not in gone]
        self._row_of = {item_id: row for row, item_id in enumerate(self._ids)}

    def search(self, queries_qd: NDArray[Any], k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """The `k` rows with the largest inner product with each query [q, d].

        `allowed` [n] leaves out the rows where it is False. Fewer rows than `k` give fewer neighbours.

        Raises:
            ValueError: a wrong shape, k below one, or queries that are not finite.
        """
        if k < 1:
            raise ValueError(f"k: expected at least 1, found {k}; ask for one neighbour or more")
        queries = self._checked_rows(queries_qd, "queries")
        searched = len(self) if allowed is None else int(self._checked_mask(allowed).sum())
        k_found = min(k, searched)
        if k_found == 0 or not len(queries):
            return Neighbours(ids=((),) * len(queries), scores_qk=np.empty((len(queries), 0), np.float32))
        if allowed is None or searched == len(self):
            scores, rows = self._fastest().search(queries, k_found)
        else:
            selector = _faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
            scores, rows = self._flat.search(queries, k_found, params=_faiss.SearchParameters(sel=selector))
        return Neighbours(ids=tuple(tuple(self._ids[row] for row in found) for found in rows), scores_qk=scores)

    def save(self, folder: Path) -> None:
        """Write the index into `folder` so that a reader sees either the old or the new one, whole.

        The rows go under a fresh name first; replacing `vectors.json`, which names them, is the one step that counts.
        """
        folder.mkdir(parents=True, exist_ok=True)
        rows_name = f"vectors-{uuid.uuid4().hex[:12]}.npy"
        with (folder / rows_name).open("wb") as stream:
            np.save(stream, self._rows_view())
            stream.flush()
            os.fsync(stream.fileno())
        head = {"version": FORMAT_VERSION, "dim": self.dim, "rows": rows_name, "ids": self._ids}
        draft = folder / f"{_HEAD}.{uuid.uuid4().hex[:12]}.tmp"
        with draft.open("w", encoding="utf-8") as text:
            json.dump(head, text)
            text.flush()
            os.fsync(text.fileno())
        draft.replace(folder / _HEAD)
        for stale in folder.glob("vectors-*.npy"):
            if stale.name != rows_name:
                stale.unlink()

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """Read what `save` wrote; the rows are mapped, so that reading holds them in memory only once.

        Raises:
            ValueError: no index there, one of another version, or files that do not fit each other.
        """
        head = _read_head(folder / _HEAD)
        rows_path = folder / Path(str(head["rows"])).name
        try:
            rows = np.load(rows_path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{rows_path}: not readable as vectors ({error}); build the index again") from error
        if rows.shape != (len(head["ids"]), head["dim"]):
            raise ValueError(f"{rows_path}: {rows.shape} does not fit {folder / _HEAD}; build the index again")
        return cls(int(head["dim"]), head["ids"], rows)

    def _fastest(self) -> Any:
        if _faiss.get_num_gpus() == 0:
            return self._flat
        if self._on_gpus is None:
            self._on_gpus = _faiss.index_cpu_to_all_gpus(self._flat)
        return self._on_gpus

    def _rows_view(self) -> NDArray[np.float32]:
        if not self._ids:
            return np.empty((0, self.dim), np.float32)
        flat: NDArray[np.float32] = _faiss.rev_swig_ptr(self._flat.get_xb(), len(self._ids) * self.dim)
        return flat.reshape(-1, self.dim)

    def _rows_of(self, ids: Iterable[str]) -> NDArray[np.int64]:
        rows = []
        for item_id in ids:
            if item_id not in self._row_of:
                raise ValueError(f"ids: {item_id!r} is not in the index; use add() for new vectors")
            rows.append(self._row_of[item_id])
        return np.asarray(rows, dtype=np.int64)

    def _checked(self, ids: Sequence[str], vectors_nd: NDArray[Any]) -> NDArray[np.float32]:
        rows = self._checked_rows(vectors_nd, "vectors")
        if len(ids) != len(rows):
            raise ValueError(f"vectors: expected one row for each of {len(ids)} ids, found {len(rows)}")
        if len(set(ids)) != len(ids):
            raise ValueError("ids: one stands there twice; give each vector an id of its own")
        return rows

    def _checked_rows(self, vectors_nd: NDArray[Any], name: str) -> NDArray[np.float32]:
        rows = np.ascontiguousarray(vectors_nd, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"{name}: expected shape [rows, {self.dim}], found {list(rows.shape)}")
        if not np.isfinite(rows).all():
            raise ValueError(f"{name}: found values that are not finite; check what encoded them")
        return rows

    def _checked_mask(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if allowed.dtype != np.bool_ or allowed.shape != (len(self),):
            raise ValueError(
                f"allowed: expected {len(self)} booleans, one a row, found {allowed.dtype} {allowed.shape}"
            )
        return allowed


def _read_head(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a saved index; build it first, or check the folder")
    try:
        head: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, _ = head["version"], (head["dim"], head["rows"], head["ids"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not an index description ({error}); build the index again") from error
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format {version}, this version reads {FORMAT_VERSION}; build the index again")
    return head
