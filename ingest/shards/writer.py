"""Samples to numbered tars and their index."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ingest import atomic
from ingest.records import Level, Sample
from ingest.shards.format import FRAMES_SUFFIX, JSON_SUFFIX, member_places, sample_to_members, sha256_of
from ingest.shards.index import INDEX_NAME, INDEX_VERSION, Entry


class ShardWriter:
    """Writes samples to numbered tars, one row of tars per level, and closes with the index.

    Same samples in the same order, same bytes. Each tar stands under a temporary name until it is whole.
    """

    def __init__(self, root: Path, samples_per_shard: int = 1000) -> None:
        if samples_per_shard < 1:
            raise ValueError(f"shards.samples_per_shard: {samples_per_shard} given, at least 1 expected")
        self._root = root
        self._samples_per_shard = samples_per_shard
        self._open: dict[Level, OpenShard] = {}
        self._written: dict[Level, int] = dict.fromkeys(Level, 0)
        self._keys: set[str] = set()
        self._finished: list[dict[str, Any]] = []
        root.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            for shard in self._open.values():
                shard.abandon()

    def add(self, sample: Sample) -> None:
        """Append one sample. Raises ValueError if its key is taken."""
        if sample.key in self._keys:
            raise ValueError(
                f"{self._root}: the sample key {sample.key!r} occurs twice: rename one of the two source files"
            )
        self._keys.add(sample.key)
        shard = self._open.get(sample.level) or self._begin(sample.level)
        shard.add(sample)
        if len(shard.entries) >= self._samples_per_shard:
            self._finish(sample.level)

    def close(self) -> None:
        """Finish open tars and write the index last."""
        for level in list(self._open):
            self._finish(level)
        self._finished.sort(key=lambda shard: str(shard["name"]))
        counts = {level.value: 0 for level in Level}
        for shard in self._finished:
            counts[shard["level"]] += len(shard["samples"])
        index = {"version": INDEX_VERSION, "counts": counts, "shards": self._finished}
        atomic.write_text(self._root / INDEX_NAME, json.dumps(index, separators=(",", ":"), ensure_ascii=False))

    def _begin(self, level: Level) -> OpenShard:
        shard = OpenShard(self._root / f"{level.value}-{self._written[level]:06d}.tar", level)
        self._written[level] += 1
        self._open[level] = shard
        return shard

    def _finish(self, level: Level) -> None:
        self._finished.append(self._open.pop(level).finish())


class OpenShard:
    """One tar that is being written, under a temporary name until it is whole."""

    def __init__(self, path: Path, level: Level) -> None:
        # webdataset imports torch, which readers of shards and ingest's workers can do without.
        from webdataset.writer import TarWriter

        self.path = path
        self.level = level
        self.entries: list[Entry] = []
        self._temporary = path.with_name(path.name + ".tmp")
        self._file = self._temporary.open("wb")
        self._tar = TarWriter(self._file, user="", group="", mtime=0, encoder=False)

    def add(self, sample: Sample) -> None:
        """Append one sample."""
        self._tar.write({"__key__": sample.key, **sample_to_members(sample)})
        entry = Entry(
            key=sample.key,
            video_id=sample.video_id,
            narrated=sample.narrated,
            level=self.level,
            has_text=bool(sample.text.strip()),
        )
        self.entries.append(entry)

    def abandon(self) -> None:
        """Leave nothing of it."""
        self._tar.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def finish(self) -> dict[str, Any]:
        """Put it in its place, flushed to the disk, and return its part of the index."""
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        record = {
            "name": self.path.name,
            "level": self.level.value,
            "bytes": self._temporary.stat().st_size,
            "sha256": sha256_of(self._temporary),
            "samples": _index_samples(self._temporary, self.entries),
        }
        self._temporary.replace(self.path)
        return record


def _index_samples(tar_path: Path, entries: Sequence[Entry]) -> list[list[Any]]:
    with tar_path.open("rb") as file:
        places = member_places(file)
    return [
        [
            entry.key,
            entry.video_id,
            entry.narrated,
            entry.has_text,
            *places[entry.key + FRAMES_SUFFIX],
            *places[entry.key + JSON_SUFFIX],
        ]
        for entry in entries
    ]
