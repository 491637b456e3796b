"""Checkpoints from which a run goes on as if it had never stopped.

Lightning's own are not used: its write is not fully atomic (pytorch-lightning#19970), what it pickles beside tensors
cannot be read with `weights_only=True`, and its loop state counts batches of a loader that here needs none, because the
order of batches follows from (seed, step). A checkpoint here is plain dicts, numbers and tensors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Everything that a run at `step` carries over to the next step."""

    step: int
    """Steps done."""
    seconds: float
    """Time they took."""
    module: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    bank: Mapping[str, Tensor]
    """State of the knowledge bank, empty without one."""
    pending: Mapping[str, list[dict[str, float]]]
    """Reports by level that stand in no row of `metrics.csv` yet."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `step-NNNNNNNN.pt` whole or not at all, then drop the older ones."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{checkpoint.step:08d}.pt"
    draft = path.with_suffix(".tmp")
    content = {"version": FORMAT_VERSION, **{name: getattr(checkpoint, name) for name in Checkpoint.__slots__}}
    with draft.open("wb") as stream:
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    _sync_folder(folder)
    for older in folder.glob("step-*.pt"):
        if older.name < path.name:
            older.unlink()
    return path


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of the latest step, None where there is none.

    Raises:
        ValueError: it cannot be read, or another version wrote it.
    """
    paths = sorted(folder.glob("step-*.pt"))
    return read_checkpoint(paths[-1]) if paths else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read one file; nothing but tensors and plain values is unpickled.

    Raises:
        ValueError: it cannot be read, or another version wrote it.
    """
    import torch

    from ingest.tensors import UNREADABLE

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise ValueError(f"{path}: not readable as a checkpoint; delete it to begin from the start") from error
    version = content.pop("version", None) if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format {version}, this version reads {FORMAT_VERSION}; train in another folder")
    if content.keys() != set(Checkpoint.__slots__):
        raise ValueError(f"{path}: other parts in it than a checkpoint has; delete it to begin from the start")
    return Checkpoint(**content)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
