"""The corpus that training reads: found, opened, and looked at before the first step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ingest.records import Level
from ingest.shards import Entry, ShardReader
from ophclip.data.dataset import decode_frames, read_sample, unreadable


@dataclass(frozen=True, kw_only=True, slots=True)
class Videos:
    """The titled videos of a corpus, by id, sorted: those without a title are no pairs and are left out."""

    narrated: tuple[str, ...]
    silent: tuple[str, ...]


def titled_videos(reader: ShardReader, silent_share: float = 1.0) -> Videos:
    """The videos that have a title, narrated and silent apart; of the silent ones a share.

    Which those are depends on their ids alone, and a smaller share is part of every larger one.
    """
    titled = sorted((entry.video_id, entry.narrated) for entry in reader.entries(Level.VIDEO) if entry.has_text)
    silent = sorted((video_id for video_id, narrated in titled if not narrated), key=_place)
    return Videos(
        narrated=tuple(video_id for video_id, narrated in titled if narrated),
        silent=tuple(sorted(silent[: round(silent_share * len(silent))])),
    )


def _place(video_id: str) -> bytes:
    return hashlib.blake2b(video_id.encode()).digest()


def every_video(reader: ShardReader) -> tuple[str, ...]:
    """All videos by id, sorted, with or without a title."""
    return tuple(sorted(entry.video_id for entry in reader.entries(Level.VIDEO)))


def drawn_videos(reader: ShardReader, silent_share: float, *, texts: bool) -> dict[str, str]:
    """Id -> SHA-256 of the file of every video of which training may draw a sample, sorted.

    `texts` is whether pictures are trained on with their texts, as for `CorpusDataModule`.
    """
    videos = titled_videos(reader, silent_share)
    drawn = {*videos.narrated, *videos.silent} if texts else {*every_video(reader)}
    keys = {entry.video_id: entry.key for entry in reader.entries(Level.CLIP) if entry.has_text}
    keys |= {entry.video_id: entry.key for entry in reader.entries(Level.VIDEO) if entry.video_id in drawn}
    return {video_id: str(reader.facts(key).get("source_sha256", "")) for video_id, key in sorted(keys.items())}


def look_at_first_samples(reader: ShardReader, side_px: int) -> None:
    """Read one sample of every level, and of the silent videos, and the whole shard that it lies in.

    What is told before the first step need not be found out hours later: a shard that is not what the index says, a
    sample without text, a picture that cannot be decoded.

    Raises:
        ValueError: one line that names shard, sample and remedy.
    """
    seen: set[str] = set()
    for entry in _first_entries(reader):
        shard = reader.shard_of(entry.key)
        if shard not in seen:
            reader.verify_shard_of(entry.key)
            seen.add(shard)
        sample = read_sample(reader, entry.key)
        pixels_thwc = np.empty((len(sample.jpegs), side_px, side_px, 3), dtype=np.uint8)
        try:
            decode_frames(sample, range(len(sample.jpegs)), pixels_thwc)
        except ValueError as error:
            raise unreadable(reader, entry.key, error) from error


def _first_entries(reader: ShardReader) -> Iterator[Entry]:
    for level in Level:
        titled = [entry for entry in reader.entries(level) if entry.has_text]
        for narrated in (True, False):
            yield from [entry for entry in titled if entry.narrated is narrated][:1]
