"""Where the tars of a corpus are read from: a local folder here, an address through a cache in `cache.py`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ingest.shards.index import INDEX_NAME, Shard

INGEST_AGAIN = "run `ophclip ingest` again"
PUBLISH_AGAIN = "publish the corpus again"


class ShardStore(Protocol):
    """The files of one set of shards; safe to share between threads and to send to other processes."""

    @property
    def place(self) -> str:
        """The folder or address of the shards, for messages."""

    def index(self) -> bytes:
        """What `index.json` holds. Raises ValueError if there is none."""

    def check(self, shards: Sequence[Shard]) -> None:
        """See that all shards are there in their full size. Raises ValueError naming the first that is not."""

    def notices(self, shards: Sequence[Shard]) -> Sequence[str]:
        """What a user should know before the first read, one line each."""

    def open(self, shard: Shard) -> BinaryIO:
        """A shard open for reading, unbuffered; for the caller to close. Raises ValueError if it cannot be had."""

    def read(self, shard: Shard, offset: int, size: int) -> bytes:
        """`size` bytes of a shard from `offset` on, fewer where it ends before. Raises ValueError as `open` does."""

    def close(self) -> None:
        """Close what is held open; a later read opens it again."""


class LocalShards:
    """Shards in a folder; each file is opened once."""

    def __init__(self, root: Path) -> None:
        """`root` is the corpus folder or its `shards` folder."""
        self._root = root
        self._folder = root / "shards" if (root / "shards" / INDEX_NAME).is_file() else root
        self._descriptors: dict[str, int] = {}

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def index(self) -> bytes:
        """What `index.json` holds. Raises ValueError if there is none."""
        if not (self._folder / INDEX_NAME).is_file():
            raise ValueError(
                f"{self._root}: no shards/{INDEX_NAME} here, no corpus: make one with "
                f"`ophclip ingest SOURCE --out {self._root}`"
            )
        return (self._folder / INDEX_NAME).read_bytes()

    def check(self, shards: Sequence[Shard]) -> None:
        """See that all shards are there in their full size. Raises ValueError naming the first that is not."""
        for shard in shards:
            path = self._folder / shard.name
            check_size(str(path), path.stat().st_size if path.is_file() else None, shard)

    def notices(self, shards: Sequence[Shard]) -> Sequence[str]:  # noqa: ARG002 as the protocol has it
        """None: what is here need not be fetched."""
        return ()

    def open(self, shard: Shard) -> BinaryIO:
        """A shard open for reading, unbuffered; for the caller to close. Raises ValueError if it is not there."""
        path = self._folder / shard.name
        try:
            return path.open("rb", buffering=0)
        except FileNotFoundError as error:
            told = "is gone: the shards were written anew since they were opened, by ingest or a purge"
            raise ValueError(f"{path} {told}: open the corpus again") from error
        except OSError as error:
            remedy = "mend the disk or copy the corpus anew, then run the same command again; what is done is kept"
            raise ValueError(f"{path}: cannot be read ({error.strerror}): {remedy}") from error

    def read(self, shard: Shard, offset: int, size: int) -> bytes:
        """`size` bytes of a shard from `offset` on, fewer where it ends before."""
        return os.pread(self._descriptor(shard), size, offset)

    def close(self) -> None:
        """Close what is held open; a later read opens it again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _descriptor(self, shard: Shard) -> int:
        descriptor = self._descriptors.get(shard.name)
        if descriptor is None:
            with self.open(shard) as file:
                descriptor = os.dup(file.fileno())
            kept = self._descriptors.setdefault(shard.name, descriptor)
            if kept != descriptor:
                os.close(descriptor)
                descriptor = kept
        return descriptor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptors": {}}

    def __del__(self) -> None:
        if hasattr(self, "_descriptors"):
            self.close()


def check_size(path: str, size_bytes: int | None, shard: Shard, remedy: str = INGEST_AGAIN) -> None:
    """Raise ValueError unless a file (None: there is none) has the size that the index says."""
    if size_bytes != shard.size_bytes:
        found = "is missing" if size_bytes is None else f"has {size_bytes} bytes"
        raise ValueError(f"{path} {found}, its index says {shard.size_bytes} bytes: {remedy}")
