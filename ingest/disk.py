"""What a disk says that is full or broken, what a person is told then, and how a folder is held against others."""

from __future__ import annotations

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK_SECONDS = 1.0

SICK_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""What a disk says that is full or broken; other errors are somebody's fault."""


def cannot_write(path: Path, error: Exception) -> str:
    """One line for a disk that is full or gone."""
    why = getattr(error, "strerror", None) or error
    return (
        f"{path}: cannot be written ({why}): make room or mend the disk, then run the same command again; "
        "what is done is kept"
    )


@contextmanager
def holding(folder: Path, told: str, *, shared: bool = False) -> Iterator[None]:
    """Hold a folder by the file `.lock` in it, alone or shared with others that share it.

    One that a killed run was just passing to a new process is free a moment later.

    Raises:
        OSError: the file cannot be opened.
        ValueError: somebody else holds it; says `told`.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    with (folder / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ValueError(told) from error
            time.sleep(0.05)
        yield
