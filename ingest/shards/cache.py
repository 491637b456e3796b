"""Shards behind an address (`s3://`, `gs://` and what else fsspec knows), fetched whole on first touch.

The cache is a folder that corpora, runs, ranks and loader processes share. A shard's name in it is its checksum, so
that equal shards are there once and a changed corpus never meets an old one. It is fetched under a temporary name,
compared with the index and renamed; what a killed process left of it is gone on with.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ingest.shards.format import sha256_of
from ingest.shards.index import INDEX_NAME, Shard
from ingest.shards.store import check_size
from ingest.sources.remote import SourceError, blocks, read_bytes, sizes_at

log = logging.getLogger(__name__)

_ABANDONED_SECONDS = 3600


def user_cache() -> Path:
    """`ophclip` in the user's cache directory: what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ophclip"


def default_cache() -> Path:
    """Where shards are kept if nothing else is said: `ophclip/shards` in the user's cache directory."""
    return user_cache() / "shards"


class CachedShards:
    """Shards behind an address, read through a cache folder."""

    def __init__(self, address: str, folder: Path, limit_bytes: int) -> None:
        """Look for the index.

        Args:
            address: of the corpus or of its `shards` folder.
            folder: the cache; it is made when the first shard is fetched.
            limit_bytes: what it may hold. The shards used longest ago are dropped, never the one just fetched.

        Raises:
            ValueError: no index there, or an address that cannot be read.
        """
        self._folder = folder
        self._limit_bytes = limit_bytes
        asked = address.rstrip("/")
        for place in (f"{asked}/shards", asked):
            self._sizes = sizes_at(place)
            if INDEX_NAME in self._sizes:
                self._place = place
                return
        raise ValueError(
            f"{address}: no shards/{INDEX_NAME} there, no corpus: check the address, or copy a corpus there that "
            "`ophclip ingest` made"
        )

    @property
    def place(self) -> str:
        """The address of the shards."""
        return self._place

    def index(self) -> bytes:
        """What `index.json` holds. Raises ValueError if it cannot be read."""
        return read_bytes(f"{self._place}/{INDEX_NAME}")

    def check(self, shards: Sequence[Shard]) -> None:
        """See that all shards are there in their full size. Raises ValueError naming the first that is not."""
        for shard in shards:
            check_size(f"{self._place}/{shard.name}", self._sizes.get(shard.name), shard)

    def notices(self, shards: Sequence[Shard]) -> Sequence[str]:
        """How much is still to be fetched, and whether the cache is too small."""
        told = []
        missing = sum(shard.size_bytes for shard in shards if not self._path(shard).is_file())
        if missing:
            told.append(f"{_gigabytes(missing)} will be fetched into {self._folder}; the first steps wait for it")
        total = sum(shard.size_bytes for shard in shards)
        if total > self._limit_bytes:
            told.append(
                f"the shards are {_gigabytes(total)}, but the cache keeps {_gigabytes(self._limit_bytes)}: what was "
                "dropped is fetched again and again; let it keep more"
            )
        return told

    def open(self, shard: Shard) -> BinaryIO:
        """A shard open for reading, unbuffered, fetched if need be; for the caller to close.

        Raises:
            ValueError: it cannot be fetched, or comes with other bytes than the index says, or the cache cannot be
                written.
        """
        try:
            file = self._held(shard) or self._fetched(shard)
        except OSError as error:
            raise ValueError(
                f"{self._folder}: the cache of shards cannot be used ({error.strerror}): free space there or choose "
                "another folder"
            ) from error
        with suppress(PermissionError):  # another user's file: its age is theirs to keep
            os.utime(file.fileno())
        return file

    def read(self, shard: Shard, offset: int, size: int) -> bytes:
        """`size` bytes of a shard from `offset` on, fewer where it ends before. Raises ValueError as `open` does."""
        with self.open(shard) as file:
            return os.pread(file.fileno(), size, offset)

    def close(self) -> None:
        """Nothing is held open: what is dropped from the cache shall leave the disk."""

    def _path(self, shard: Shard) -> Path:
        return self._folder / f"{shard.sha256}.tar"

    def _held(self, shard: Shard) -> BinaryIO | None:
        try:
            return self._path(shard).open("rb", buffering=0)
        except FileNotFoundError:
            return None

    def _fetched(self, shard: Shard) -> BinaryIO:
        with self._alone(shard.sha256[:2]):
            file = self._held(shard)  # another process may have fetched it meanwhile
            if file is None:
                part = self._path(shard).with_suffix(".part")
                self._complete(shard, part)
                file = part.open("rb", buffering=0)
                part.replace(self._path(shard))
        with self._alone("drop"):
            self._drop_oldest(self._path(shard))
        return file

    def _complete(self, shard: Shard, part: Path) -> None:
        """Bring `part` to be all of a shard, going on with what is there if that proves right."""
        log.info("fetching %s/%s, %d bytes", self._place, shard.name, shard.size_bytes)
        for _ in range(2):
            with part.open("ab") as kept:
                for block in blocks(f"{self._place}/{shard.name}", min(kept.tell(), shard.size_bytes)):
                    kept.write(block)
                kept.flush()
                os.fsync(kept.fileno())
            if sha256_of(part) == shard.sha256:
                return
            part.unlink()
        raise SourceError(
            f"{self._place}/{shard.name}: the bytes that come differ from the checksum in {INDEX_NAME}: "
            "copy the corpus there anew"
        )

    def _drop_oldest(self, fetched: Path) -> None:
        held = []
        for path in (*self._folder.glob("*.tar"), *self._folder.glob("*.part")):
            with suppress(FileNotFoundError):  # a part that just became a shard
                held.append((path.stat().st_mtime, path.stat().st_size, path))
        excess = sum(size for _, size, _ in held) - self._limit_bytes
        for used, size, path in sorted(held):
            being_fetched = path.suffix == ".part" and time.time() - used < _ABANDONED_SECONDS
            if excess > 0 and path != fetched and not being_fetched:
                path.unlink()
                excess -= size

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold other threads and processes off; the system lets go for one that was killed."""
        locks = self._folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
