"""Folders that are written: held by one run at a time, and what a person is told of a disk that is full or broken."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

SICK_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""What a disk says that is full or broken; other errors are somebody's fault."""
_LOCK_SECONDS = 1.0


def cannot_write(path: Path, error: Exception) -> str:
    """One line for a disk that is full or gone."""
    why = getattr(error, "strerror", None) or error
    return (
        f"{path}: cannot be written ({why}): make room or mend the disk, then run the same command again; "
        "what is done is kept"
    )


@contextmanager
def writable(folder: Path, what: str, patience_seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Make a folder and hold it against others that write it, `what` they are; others are waited for.

    Raises ValueError in one line if it cannot be written, now or when the disk fails later, or another goes on.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise ValueError(f"{folder}: cannot be written ({error.strerror}): choose another folder with --out") from error
    with lock:
        _hold(lock, folder, what, patience_seconds)
        try:
            yield
        except OSError as error:
            if error.errno not in SICK_DISK:
                raise
            raise ValueError(cannot_write(folder, error)) from error
        except sqlite3.OperationalError as error:
            raise ValueError(cannot_write(folder, error)) from error


def _hold(lock: TextIO, folder: Path, what: str, patience_seconds: float) -> None:
    """Take the lock; one that a killed run was just passing to a new process is free a moment later."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ValueError(f"{folder}: another {what} is writing it: wait, or choose another folder") from error
        time.sleep(0.05)
