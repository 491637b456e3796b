"""What a disk says that is full or broken, and what a person is told then."""

from __future__ import annotations

import errno
from pathlib import Path

SICK_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
"""What a disk says that is full or broken; other errors are somebody's fault."""


def cannot_write(path: Path, error: Exception) -> str:
    """One line for a disk that is full or gone."""
    why = getattr(error, "strerror", None) or error
    return (
        f"{path}: cannot be written ({why}): make room or mend the disk, then run the same command again; "
        "what is done is kept"
    )
