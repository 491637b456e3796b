"""Whole videos by id, in constant time: what retrieval asks for while training, and what the bank is encoded from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ingest.shards import ShardReader
from ophclip.data.batch import VideoBatch
from ophclip.data.dataset import read_batch
from ophclip.data.tokenizer import Tokenizer


def load_videos(
    reader: ShardReader,
    video_ids: Sequence[str],
    *,
    frames: int,
    side_px: int,
    tokenizer: Tokenizer,
    video_numbers: Mapping[str, int],
    seed: tuple[int, ...] | None = None,
    first_slot: int = 0,
) -> VideoBatch:
    """Read whole videos: `frames` pictures of each, spread evenly; at random within each stretch if `seed` is given.

    Args:
        reader: the corpus.
        video_ids: at least one; ids may repeat.
        side_px: side of the square pictures (`pictures.stored_side_px`).
        video_numbers: number of each video (`dataset.number_videos`).
        seed: non-negative numbers; equal ones draw the same frames.
        first_slot: how many other videos come before these, which draw like a stretch of all of them.

    Raises:
        ValueError: no ids, an id that the corpus does not hold, or a video without title or pictures.
    """
    if not video_ids:
        raise ValueError("load_videos: no video ids given, expected at least one")
    unknown = [video_id for video_id in video_ids if video_id not in video_numbers]
    if unknown:
        raise ValueError(f"load_videos: the corpus holds no video {unknown[0]}; give ids of this corpus")
    batch = read_batch(
        reader,
        video_ids,
        frames=frames,
        side_px=side_px,
        tokenizer=tokenizer,
        video_numbers=video_numbers,
        randoms=[
            None if seed is None else np.random.default_rng([*seed, first_slot + slot, 3])
            for slot in range(len(video_ids))
        ],
    )
    if not isinstance(batch, VideoBatch):
        raise ValueError(f"load_videos: {video_ids[0]} is no whole video; give video ids, not clip keys")
    return batch
