"""A folder that keeps files by their checksum, shared by runs, ranks and loader processes, and bounded.

What is fetched is counted in full before its first byte comes, so that processes that fetch at the same time keep to
the limit together: what was used longest ago makes way, and what still finds no room waits until others have fetched.
A lock file holds the size of what its holder fetches; whoever was killed holds no lock.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from ingest.shards.format import sha256_of_stream

log = logging.getLogger(__name__)

_LETTERS = 2
"""Of a checksum, by which the locks are named: 256 of them."""
_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """A file of the cache, whole or in part."""

    path: Path
    used: float
    size_bytes: int


class CacheFolder:
    """The folder and what it may hold; it is made when the first file is fetched. May be sent to other processes."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        """`limit_bytes`: what all its files may have together; a single larger file is kept nevertheless."""
        self.path = path
        self.limit_bytes = limit_bytes
        self._proven: set[str] = set()
        """Checksums that this process, or the one it came from, has seen to be true."""

    def file(self, sha256: str) -> Path:
        """Where a file is, once it is whole."""
        return self.path / f"{sha256}.tar"

    def open(self, sha256: str, size_bytes: int, fetch: Callable[[Path], None]) -> BinaryIO:
        """A file open for reading, unbuffered; for the caller to close. It is marked as used.

        What is kept is compared with its checksum when this process meets it first, and fetched anew if it differs.

        Args:
            sha256: its checksum.
            size_bytes: its size.
            fetch: called where it is not kept, with a path at which its beginning may lie, and which shall be all of
                it, proven, in the end.

        Raises:
            OSError: the folder cannot be written, or has no room.
        """
        file = self._kept_file(sha256)
        if file is None:
            with self._alone(sha256[:_LETTERS]) as lock:
                file = self._kept_file(sha256) or self._fetched(sha256, size_bytes, fetch, lock)
        with suppress(PermissionError):  # another user's file: its age is theirs to keep
            os.utime(file.fileno())
        return file

    def _kept_file(self, sha256: str) -> BinaryIO | None:
        try:
            file = self.file(sha256).open("rb", buffering=0)
        except FileNotFoundError:
            return None
        if sha256 not in self._proven:
            if sha256_of_stream(file) != sha256:
                file.close()
                return None
            file.seek(0)
            self._proven.add(sha256)
        return file

    def _fetched(self, sha256: str, size_bytes: int, fetch: Callable[[Path], None], lock: TextIO) -> BinaryIO:
        if self.file(sha256).exists():
            log.warning("%s: damaged since it was fetched; it is fetched anew", self.file(sha256))
            self.file(sha256).unlink()
        part = self.file(sha256).with_suffix(".part")
        self._admit(lock, part, size_bytes)
        fetch(part)
        file = part.open("rb", buffering=0)
        part.replace(self.file(sha256))
        self._proven.add(sha256)
        return file

    @contextmanager
    def _alone(self, name: str) -> Iterator[TextIO]:
        """Hold other threads and processes off; the system lets go for one that was killed."""
        locks = self.path / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("a+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)
            try:
                yield lock
            finally:
                lock.truncate(0)

    def _admit(self, lock: TextIO, part: Path, size_bytes: int) -> None:
        """Wait until there is room, or nobody else is fetching; then claim it."""
        while True:
            with self._alone("room"):
                kept = self._kept(part)
                others = self._being_fetched(kept)
                excess = sum(others.values()) + sum(one.size_bytes for one in kept if one.path not in others)
                excess += size_bytes - self.limit_bytes
                for one in kept:
                    if excess > 0 and one.path not in others:
                        one.path.unlink(missing_ok=True)
                        excess -= one.size_bytes
                if excess <= 0 or not others:
                    lock.write(f"{size_bytes}")
                    lock.flush()
                    part.touch()
                    return
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _kept(self, mine: Path) -> list[_Kept]:
        """All files but one, what was used longest ago first."""
        found = []
        for path in (*self.path.glob("*.tar"), *self.path.glob("*.part")):
            with suppress(FileNotFoundError):  # a part that just became a file
                stat = path.stat()
                found.append(_Kept(path=path, used=stat.st_mtime, size_bytes=stat.st_size))
        return sorted((one for one in found if one.path != mine), key=lambda one: (one.used, one.path))

    def _being_fetched(self, kept: list[_Kept]) -> dict[Path, int]:
        """Parts that somebody writes, with the size that they will have."""
        found = {}
        for one in kept:
            if one.path.suffix == ".part" and (size_bytes := self._claimed(one.path)) is not None:
                found[one.path] = max(size_bytes, one.size_bytes)
        return found

    def _claimed(self, part: Path) -> int | None:
        """The size that the holder of a part's lock claims; None if nobody holds it, or its holder waits."""
        with (self.path / ".locks" / part.name[:_LETTERS]).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                return int(lock.read() or 0) or None
        return None
