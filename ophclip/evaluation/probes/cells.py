"""Finished parts of a probe: one for each model, head, training set and draw, kept in files of their own.

OUT/cells/MODEL/HEAD/BUDGET-DRAW.npz    what is predicted of the test videos
OUT/cells/MODEL/HEAD/BUDGET-DRAW.json   what was learned from and what it depends on; written last
OUT/truth.npz                           labels and seconds of the test videos

Shapes: N labelled seconds of all test videos one after the other, C classes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_bytes, write_json
from ingest.parsing import parse_json
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.probes.budgets import Budget
from ophclip.evaluation.probes.samples import ProbeVideo, ids_of

Predicted = NDArray[np.int16] | NDArray[np.float32]
"""Class ids [N] of phases, scores [N, C] of presence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """Labels of the test videos: class ids [N], UNLABELLED where nobody said, or presence [N, C] with NaN there."""

    video_ids: tuple[str, ...]
    lengths: tuple[int, ...]
    seconds_n: Floats
    labels: Ints | Floats

    @property
    def exclusive(self) -> bool:
        """Whether these are phases."""
        return self.labels.ndim == 1

    def by_video(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Values [N, ...] of all videos, cut into those of each."""
        return np.split(values, np.cumsum(self.lengths)[:-1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What one training set is called."""

    model: str
    head: str
    budget: Budget
    draw: int

    @property
    def place(self) -> str:
        """Its path under OUT/cells, without suffix."""
        return f"{self.model}/{self.head}/{self.budget.name}-{self.draw}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A cell with what was learned from, what was settled in training, and what was predicted."""

    cell: Cell
    inputs_sha256: str
    """Of everything that it depends on: labels, weights, options."""
    seconds: Mapping[str, int]
    """Labelled seconds that were learned from, by training video."""
    missing: tuple[str, ...]
    """Classes that the training set does not show."""
    settled: Mapping[str, Any]
    """What training chose: strength of regularisation, passes."""
    predicted: Predicted


def truth_of(videos: Sequence[ProbeVideo], *, exclusive: bool) -> Truth:
    """The labels of the test videos."""
    labels_nc = np.concatenate([video.truth_nc for video in videos])
    return Truth(
        video_ids=tuple(video.video_id for video in videos),
        lengths=tuple(len(video.truth_nc) for video in videos),
        seconds_n=np.concatenate([video.seconds_n for video in videos]),
        labels=ids_of(labels_nc) if exclusive else labels_nc,
    )


def write_truth(out: Path, truth: Truth) -> None:
    """Write `truth.npz`."""
    names, lengths = np.array(truth.video_ids), np.array(truth.lengths)
    _save(out / "truth.npz", video_ids=names, lengths=lengths, seconds_n=truth.seconds_n, labels=truth.labels)


def read_truth(out: Path) -> Truth:
    """Read what `write_truth` wrote; ValueError if it is not there or damaged."""
    arrays = _load(out / "truth.npz")
    if arrays is None or not {"video_ids", "lengths", "seconds_n", "labels"} <= arrays.keys():
        raise ValueError(f"{out / 'truth.npz'}: missing or damaged; run `ophclip probe` again")
    return Truth(
        video_ids=tuple(str(name) for name in arrays["video_ids"]),
        lengths=tuple(int(length) for length in arrays["lengths"]),
        seconds_n=arrays["seconds_n"],
        labels=arrays["labels"],
    )


def write_cell(out: Path, done: Finished) -> None:
    """Write one cell; a process that is killed meanwhile leaves the cell unfinished, never half a file."""
    path = out / "cells" / done.cell.place
    _save(path.with_name(f"{path.name}.npz"), predicted=done.predicted)
    record = asdict(done)
    del record["predicted"]
    write_json(path.with_name(f"{path.name}.json"), record)


def read_cell(out: Path, cell: Cell, inputs_sha256: str) -> Finished | None:
    """The cell if it was finished with the same inputs, else None: it has to be made."""
    path = out / "cells" / f"{cell.place}.json"
    found = _read(path) if path.is_file() else None
    return found if found is not None and found.inputs_sha256 == inputs_sha256 else None


def read_cells(out: Path, cells: Sequence[Cell]) -> Iterator[Finished]:
    """Cells that must be there; ValueError names the first that is not."""
    for cell in cells:
        found = _read(out / "cells" / f"{cell.place}.json")
        if found is None:
            raise ValueError(f"{out / 'cells' / cell.place}: missing or damaged; run `ophclip probe` again")
        yield found


def digest(parts: Mapping[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _read(path: Path) -> Finished | None:
    arrays = _load(path.with_suffix(".npz"))
    try:
        record = parse_json(path.read_text(encoding="utf-8"))
        named = record["cell"]
        record["cell"] = Cell(**{**named, "budget": Budget(**named["budget"])})
        record["missing"] = tuple(record["missing"])
        return Finished(**record, predicted=arrays["predicted"]) if arrays else None
    except (OSError, KeyError, TypeError, json.JSONDecodeError):
        return None


def _save(path: Path, **arrays: NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def _load(path: Path) -> dict[str, NDArray[Any]] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
