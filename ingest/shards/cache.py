"""Shards behind an address (`s3://`, `gs://` and what else fsspec knows), fetched whole on first touch.

They are kept in a cache folder under their checksums, so that equal shards are there once and a changed corpus never
meets an old one. What comes is compared with the index; what a killed process left of a shard is gone on with.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ingest.shards.cache_folder import CacheFolder
from ingest.shards.format import sha256_of
from ingest.shards.index import INDEX_NAME, Shard
from ingest.shards.store import PUBLISH_AGAIN, check_size
from ingest.sources.remote import blocks, read_bytes, sizes_at
from ingest.sources.storage import GoneError, SourceError, shown

log = logging.getLogger(__name__)


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
        self._cache = CacheFolder(folder, limit_bytes)
        asked = address.rstrip("/")
        for place in (f"{asked}/shards", asked):
            if INDEX_NAME in sizes_at(place):
                self._place = place
                return
        raise ValueError(
            f"{shown(address)}: no shards/{INDEX_NAME} there, no corpus: check the address, or put a corpus there with "
            "`ophclip ingest publish`"
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
        sizes = sizes_at(
            self._place
        )  # listed after the index was read: a corpus published meanwhile keeps the old ones
        for shard in shards:
            check_size(f"{self._place}/{shard.name}", sizes.get(shard.name), shard, PUBLISH_AGAIN)

    def notices(self, shards: Sequence[Shard]) -> Sequence[str]:
        """How much is still to be fetched, and whether the cache is too small."""
        told = []
        missing = sum(shard.size_bytes for shard in shards if not self._cache.file(shard.sha256).is_file())
        if missing:
            told.append(f"{_gigabytes(missing)} will be fetched into {self._cache.path}; the first steps wait for it")
        total = sum(shard.size_bytes for shard in shards)
        if total > self._cache.limit_bytes:
            told.append(
                f"the shards are {_gigabytes(total)}, but the cache keeps {_gigabytes(self._cache.limit_bytes)}: what "
                "was dropped is fetched again and again; let it keep more"
            )
        return told

    def open(self, shard: Shard) -> BinaryIO:
        """A shard open for reading, unbuffered, fetched if need be; for the caller to close.

        Raises:
            ValueError: it cannot be fetched, or comes with other bytes than the index says, or the cache cannot be
                written.
        """
        try:
            return self._cache.open(shard.sha256, shard.size_bytes, partial(self._complete, shard))
        except OSError as error:
            raise ValueError(
                f"{self._cache.path}: the cache of shards cannot be used ({error.strerror}): free space there or "
                "choose another folder with data.cache"
            ) from error

    def read(self, shard: Shard, offset: int, size: int) -> bytes:
        """`size` bytes of a shard from `offset` on, fewer where it ends before. Raises ValueError as `open` does."""
        with self.open(shard) as file:
            return os.pread(file.fileno(), size, offset)

    def close(self) -> None:
        """Nothing is held open: what is dropped from the cache shall leave the disk."""

    def _complete(self, shard: Shard, part: Path) -> None:
        """Bring `part` to be all of a shard, going on with what is there if that proves right."""
        log.info("fetching %s/%s, %d bytes", self._place, shard.name, shard.size_bytes)
        place = f"{self._place}/{shard.name}"
        for _ in range(2):
            with part.open("ab") as kept:
                try:
                    for block in blocks(place, min(kept.tell(), shard.size_bytes)):
                        kept.write(block)
                except GoneError as error:
                    told = f"{place} is gone: another corpus was published there since this one was opened"
                    raise GoneError(f"{told}: open it again") from error
                kept.flush()
                os.fsync(kept.fileno())
            if sha256_of(part) == shard.sha256:
                return
            part.unlink()
        raise SourceError(
            f"{place}: the bytes that come differ from the checksum in {INDEX_NAME}: delete it there and publish the "
            "corpus again"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB"
