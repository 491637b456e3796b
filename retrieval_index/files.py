"""Arrays with a description, in a folder that always holds a whole version of them: the old one or the new one.

NAME.json is the description; it names the files of its arrays, NAME-RANDOM.npy, which are written before it under names
never used before. Replacing NAME.json is the one step that counts. Readers map the arrays.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT_VERSION = 1
# What NumPy raises for a damaged header, which it reads as Python.
_UNREADABLE = (OSError, ValueError, EOFError, OverflowError, SyntaxError, TypeError, KeyError, MemoryError, TokenError)


def write_folder(folder: Path, name: str, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write facts (plain values) and arrays, flushed to the disk, then drop the files of older versions."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {key: f"{name}-{uuid.uuid4().hex[:12]}.npy" for key in arrays}
    for key, file_name in files.items():
        with (folder / file_name).open("wb") as stream:
            np.save(stream, arrays[key])
            stream.flush()
            os.fsync(stream.fileno())
    draft = folder / f"{name}-{uuid.uuid4().hex[:12]}.tmp"
    with draft.open("w", encoding="utf-8") as text:
        json.dump({"version": FORMAT_VERSION, **facts, **files}, text)
        text.flush()
        os.fsync(text.fileno())
    _sync(folder)
    draft.replace(folder / f"{name}.json")
    _sync(folder)
    for older in (*folder.glob(f"{name}-*.npy"), *folder.glob(f"{name}-*.tmp")):
        if older.name not in files.values():
            older.unlink(missing_ok=True)


def read_folder(
    folder: Path, name: str, facts: Iterable[str], arrays: Iterable[str], maybe: Iterable[str] = ()
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Facts by key, and arrays by key: mapped, so that only what is used is read, and changes stay in memory.

    Args:
        folder: where `write_folder` wrote.
        name: the same as then.
        facts: keys of facts that must be there; the others come too.
        arrays: keys of arrays that must be there.
        maybe: keys of arrays that need not be there.

    Raises:
        ValueError: nothing there, of another format, or damaged.
    """
    head = _read_head(folder / f"{name}.json", (*facts, *arrays))
    wanted = [*arrays, *(key for key in maybe if key in head)]
    try:
        found = {key: _mapped(folder / Path(str(head[key])).name) for key in wanted}
    except FileNotFoundError as error:
        if _read_head(folder / f"{name}.json", ()) != head:
            # A writer came between the description and its arrays.
            return read_folder(folder, name, facts, arrays, maybe)
        raise ValueError(f"{error.filename}: no such file, but {name}.json names it; build the index again") from error
    return head, found


def _mapped(path: Path) -> NDArray[Any]:
    try:
        mapped: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError:
        raise
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: not readable as vectors ({reason}); build the index again") from error
    return mapped


def _read_head(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a saved index; build it first, or check the folder")
    try:
        head: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, _ = head["version"], [head[key] for key in keys]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: not an index description ({error}); build the index again") from error
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format {version}, this version reads {FORMAT_VERSION}; build the index again")
    return head


def _sync(folder: Path) -> None:
    """Flush the names in a folder, so that a rename outlasts a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
