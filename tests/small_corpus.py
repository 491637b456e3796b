"""Small corpora in the real shard format, for the tests of data loading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ingest.records import Level, Sample
from ingest.shards import ShardWriter, encode_jpeg


def picture(seed: int, height_px: int = 64, width_px: int = 80) -> bytes:
    """A JPEG of coarse coloured noise, other for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return encode_jpeg(np.kron(coarse, np.ones((height_px // 4, width_px // 5, 1), dtype=np.uint8)))


def sample(key: str, *, level: Level, narrated: bool = True, text: str = "a text", frames: int = 4) -> Sample:
    """One sample whose key begins with its video's id."""
    return Sample(
        key=key,
        level=level,
        video_id=key.partition("-")[0],
        narrated=narrated,
        start_seconds=0.0,
        end_seconds=float(frames),
        text=text,
        frame_seconds=tuple(float(second) for second in range(frames)),
        jpegs=tuple(picture(second + 10 * len(key)) for second in range(frames)),
    )


def write_corpus(
    root: Path, clips: Sequence[int] = (3, 2, 4), silent: int = 2, untitled: int = 1, samples_per_shard: int = 1000
) -> Path:
    """`clips[n]` clips of narrated video n, then silent videos with a title, then silent ones without."""
    with ShardWriter(root / "shards", samples_per_shard) as writer:
        for number, count in enumerate(clips):
            video_id = f"narrated{number}"
            writer.add(sample(video_id, level=Level.VIDEO, text=f"title {number}", frames=6))
            for clip in range(count):
                key = f"{video_id}-{clip * 4000:08d}"
                writer.add(sample(key, level=Level.CLIP, text=f"narration {clip} of {number}"))
        for number in range(silent + untitled):
            text = f"silent title {number}" if number < silent else ""
            writer.add(sample(f"silent{number}", level=Level.VIDEO, narrated=False, text=text))
    return root
