"""From staged samples to shards: the same videos give the same bytes, whatever the order or the interruptions before.

New shards are written whole beside the old ones, then put in their place by renames; a kill at any moment leaves a
state from which `recover` goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ingest.records import Level, Sample
from ingest.shards import INDEX_NAME, ShardReader, ShardWriter, read_tar

SHARDS, NEW, OLD, STAGING = "shards", "shards.new", "shards.old", "staging"
DOWNLOADS = "downloads"
"""Folder of a corpus for what was fetched."""


def staged_path(corpus: Path, video_id: str) -> Path:
    """Where a video's samples wait to be packed."""
    return corpus / STAGING / f"{video_id}.tar"


def recover(corpus: Path, *, alone: bool = True) -> None:
    """Finish or undo an exchange of shards that was interrupted, and remove half-written files.

    Where other workers stage samples now, those that are not `alone`, theirs are left to them.
    """
    shards, new, old = corpus / SHARDS, corpus / NEW, corpus / OLD
    if not shards.exists() and (new / INDEX_NAME).is_file():
        new.rename(shards)
    elif not shards.exists() and old.exists():
        old.rename(shards)
    for leftover in (new, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    (corpus / STAGING).mkdir(exist_ok=True)
    for pattern in ("*.part", ".fetched-*") if alone else ():
        for leftover in (corpus / STAGING).glob(pattern):
            leftover.unlink()
    for folder in (corpus, corpus / "card", corpus / DOWNLOADS):
        for draft in folder.glob(".*.part"):
            draft.unlink()


def packed_ids(corpus: Path) -> frozenset[str]:
    """Videos that the shards hold; none if the shards are missing or damaged, so that they are made anew."""
    try:
        reader = ShardReader(corpus / SHARDS)
    except ValueError:
        return frozenset()
    return frozenset(entry.video_id for entry in reader.entries(Level.VIDEO))


def pack(
    corpus: Path, video_ids: Sequence[str], samples_per_shard: int, progress: Callable[[int, int, str], None]
) -> bool:
    """Bring the shards to hold exactly `video_ids`, by id; staged samples go before those already in shards.

    Returns whether anything had to be written.
    """
    wanted = sorted(video_ids)
    held = packed_ids(corpus)
    for path in (corpus / STAGING).iterdir():
        if path.stem not in wanted:  # of a video that was refused after its samples were made
            path.unlink()
    staged = [video_id for video_id in wanted if staged_path(corpus, video_id).is_file()]
    if held == set(wanted) and not staged:
        return False
    before = _Packed(corpus) if held else None
    with ShardWriter(corpus / NEW, samples_per_shard) as writer:
        for number, video_id in enumerate(wanted):
            progress(number, len(wanted), f"packing {video_id}")
            path = staged_path(corpus, video_id)
            for sample in read_tar(path) if path.is_file() or before is None else before.samples(video_id):
                writer.add(sample)
    _exchange(corpus)
    for path in (corpus / STAGING).iterdir():
        path.unlink()
    return True


def _exchange(corpus: Path) -> None:
    if (corpus / SHARDS).exists():
        (corpus / SHARDS).rename(corpus / OLD)
    (corpus / NEW).rename(corpus / SHARDS)
    shutil.rmtree(corpus / OLD, ignore_errors=True)


class _Packed:
    """Samples of one video after the other from shards that are there."""

    def __init__(self, corpus: Path) -> None:
        self._reader = ShardReader(corpus / SHARDS)
        self._keys: dict[str, list[str]] = {}
        for level in Level:
            for entry in self._reader.entries(level):
                self._keys.setdefault(entry.video_id, []).append(entry.key)

    def samples(self, video_id: str) -> Iterator[Sample]:
        for key in self._keys[video_id]:
            yield self._reader.read(key)
