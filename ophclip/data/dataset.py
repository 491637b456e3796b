"""Samples of a corpus as arrays, and their collation into batches.

Shapes: B samples, T frames, S the side of a square picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ingest.records import Level, Sample
from ingest.shards import ShardReader
from ophclip.data.batch import Batch, ClipBatch, VideoBatch
from ophclip.data.pictures import decode_square
from ophclip.data.sampler import Request
from ophclip.data.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One decoded sample: `pixels_thwc` is uint8 RGB [T, S, S, 3]."""

    key: str
    level: Level
    video_index: int
    narrated: bool
    text: str
    pixels_thwc: NDArray[np.uint8]


class SampleError(ValueError):
    """A sample that cannot be used, in one line also where a loader process found it.

    torch hands an error of a loader process on by building it anew from the traceback, whose last line is what it said.
    """

    def __init__(self, told: str) -> None:
        *trace, last = told.strip().splitlines()
        super().__init__(last.partition(": ")[2] if trace else last)


def choose_frames(available: int, wanted: int, random: np.random.Generator | None) -> NDArray[np.int64]:
    """Places of `wanted` among `available` frames, ascending: one from each of `wanted` equal stretches.

    At random within its stretch, or its middle where `random` is None. Fewer available than wanted repeat.
    """
    within = np.full(wanted, 0.5) if random is None else random.random(wanted)
    places = (np.arange(wanted) + within) * (available / wanted)
    return np.minimum(places.astype(np.int64), available - 1)


def decode_item(
    sample: Sample, *, frames: int, side_px: int, video_index: int, random: np.random.Generator | None
) -> Item:
    """Draw and decode `frames` pictures of a sample.

    Raises:
        ValueError: the sample has no pictures or no text, or a picture is damaged; names the sample.
    """
    if not sample.jpegs or not sample.text.strip():
        lacking = "pictures" if not sample.jpegs else "text"
        raise ValueError(f"sample {sample.key} ({sample.level.value}) has no {lacking}; run `ophclip ingest` again")
    places = choose_frames(len(sample.jpegs), frames, random)
    try:
        pictures = {int(place): decode_square(sample.jpegs[place], side_px) for place in set(places.tolist())}
    except ValueError as error:
        raise ValueError(f"sample {sample.key}: a picture is no readable JPEG ({error}); ingest again") from error
    return Item(
        key=sample.key,
        level=sample.level,
        video_index=video_index,
        narrated=sample.narrated,
        text=sample.text,
        pixels_thwc=np.stack([pictures[int(place)] for place in places]),
    )


def read_item(
    reader: ShardReader,
    key: str,
    *,
    frames: int | None,
    side_px: int,
    video_numbers: Mapping[str, int],
    random: np.random.Generator | None,
) -> Item:
    """Read one sample and decode `frames` of its pictures; None decodes all of them.

    Raises:
        SampleError: what `ShardReader.read` and `decode_item` find wrong; names shard, sample and remedy.
    """
    try:
        sample = reader.read(key)
    except ValueError as error:
        raise SampleError(str(error)) from error
    frames = len(sample.jpegs) if frames is None else frames
    number = video_numbers[sample.video_id]
    try:
        return decode_item(sample, frames=frames, side_px=side_px, video_index=number, random=random)
    except ValueError as error:
        raise SampleError(f"{reader.shard_of(key)}, {error}") from error


class ShardDataset(Dataset[Item]):
    """Answers requests from the shards of a corpus; the random choice of frames comes from the request alone."""

    def __init__(
        self, reader: ShardReader, *, frames: Mapping[Level, int], side_px: int, video_numbers: Mapping[str, int]
    ) -> None:
        self._reader = reader
        self._frames = dict(frames)
        self._side_px = side_px
        self._video_numbers = dict(video_numbers)

    def __getitem__(self, request: Request) -> Item:
        return read_item(
            self._reader,
            request.key,
            frames=self._frames[request.level],
            side_px=self._side_px,
            video_numbers=self._video_numbers,
            random=np.random.default_rng([request.seed, request.step, request.slot, 2]),
        )


class Collate:
    """Makes one batch of items of one level; picklable, for loader processes."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def __call__(self, items: Sequence[Item]) -> Batch:
        """A ClipBatch or a VideoBatch, by the level of the items. Pixels are laid out channels-last."""
        pixels_bthwc = torch.from_numpy(np.stack([item.pixels_thwc for item in items]))
        texts = tuple(item.text for item in items)
        shared: dict[str, Any] = {
            "frames_btchw": pixels_bthwc.permute(0, 1, 4, 2, 3),
            "tokens": self._tokenizer(texts),
            "video_index_b": torch.tensor([item.video_index for item in items], dtype=torch.int64),
            "keys": tuple(item.key for item in items),
            "texts": texts,
        }
        if items[0].level is Level.CLIP:
            return ClipBatch(**shared)
        return VideoBatch(**shared, narrated_b=torch.tensor([item.narrated for item in items], dtype=torch.bool))


def number_videos(reader: ShardReader) -> dict[str, int]:
    """A number for every video of a corpus: its place among the sorted ids."""
    found = {entry.video_id for level in Level for entry in reader.entries(level)}
    return {video_id: number for number, video_id in enumerate(sorted(found))}
