"""Samples of a corpus as batches.

Shapes: B samples, T frames, S the side of a square picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def read_sample(reader: ShardReader, key: str, *, texts: bool = True) -> Sample:
    """One sample that can be trained on, its pictures still encoded; without a text unless `texts` are wanted.

    Raises:
        SampleError: damaged members, no pictures or no text; names shard, sample and remedy.
    """
    try:
        sample = reader.read(key)
    except ValueError as error:
        raise SampleError(str(error)) from error
    if not sample.jpegs or (texts and not sample.text.strip()):
        lacking = "pictures" if not sample.jpegs else "text"
        told = f"sample {key} ({sample.level.value}) has no {lacking}; run `ophclip ingest` again"
        raise SampleError(f"{reader.shard_of(key)}, {told}")
    return sample


def decode_frames(sample: Sample, places: Sequence[int], pixels_thwc: NDArray[np.uint8]) -> None:
    """Decode the pictures at ascending `places` of a sample into uint8 RGB [T, S, S, 3].

    Raises:
        ValueError: a picture is damaged.
    """
    for frame, place in enumerate(places):
        if frame and place == places[frame - 1]:
            pixels_thwc[frame] = pixels_thwc[frame - 1]
        else:
            pixels_thwc[frame] = decode_square(sample.jpegs[place], pixels_thwc.shape[1])


def read_batch(
    reader: ShardReader,
    keys: Sequence[str],
    *,
    frames: int,
    side_px: int,
    tokenizer: Tokenizer,
    video_numbers: Mapping[str, int],
    randoms: Iterable[np.random.Generator | None],
    texts: bool = True,
) -> Batch:
    """Read samples of one level and decode `frames` pictures of each, chosen with the `randoms`.

    Pixels are laid out channels-last and written once: decoding is nearly all that a batch costs.

    Raises:
        SampleError: a sample that cannot be used; names shard, sample and remedy.
    """
    pixels_bthwc = np.empty((len(keys), frames, side_px, side_px, 3), dtype=np.uint8)
    samples = []
    for key, random, pixels_thwc in zip(keys, randoms, pixels_bthwc, strict=True):
        sample = read_sample(reader, key, texts=texts)
        try:
            decode_frames(sample, choose_frames(len(sample.jpegs), frames, random).tolist(), pixels_thwc)
        except ValueError as error:
            raise unreadable(reader, key, error) from error
        samples.append(sample)
    written = tuple(sample.text for sample in samples)
    shared: dict[str, Any] = {
        "frames_btchw": torch.from_numpy(pixels_bthwc).permute(0, 1, 4, 2, 3),
        "tokens": tokenizer(written),
        "video_index_b": torch.tensor([video_numbers[sample.video_id] for sample in samples], dtype=torch.int64),
        "keys": tuple(keys),
        "texts": written,
    }
    if samples[0].level is Level.CLIP:
        return ClipBatch(**shared)
    return VideoBatch(**shared, narrated_b=torch.tensor([sample.narrated for sample in samples], dtype=torch.bool))


def unreadable(reader: ShardReader, key: str, error: ValueError) -> SampleError:
    """What is said of a sample whose pictures cannot be decoded."""
    return SampleError(
        f"{reader.shard_of(key)}, sample {key}: a picture is no readable JPEG ({error}); run `ophclip ingest` again"
    )


class ShardDataset(Dataset[Batch]):
    """Answers the requests of a batch; the random choice of frames comes from the requests alone. Picklable."""

    def __init__(
        self,
        reader: ShardReader,
        *,
        frames: Mapping[Level, int],
        side_px: int,
        tokenizer: Tokenizer,
        video_numbers: Mapping[str, int],
        texts: bool = True,
    ) -> None:
        self._reader = reader
        self._frames = dict(frames)
        self._side_px = side_px
        self._tokenizer = tokenizer
        self._video_numbers = dict(video_numbers)
        self._texts = texts

    def __getitem__(self, requests: Sequence[Request]) -> Batch:
        return read_batch(
            self._reader,
            [request.key for request in requests],
            frames=self._frames[requests[0].level],
            side_px=self._side_px,
            tokenizer=self._tokenizer,
            video_numbers=self._video_numbers,
            randoms=(np.random.default_rng([one.seed, one.step, one.slot, 2]) for one in requests),
            texts=self._texts,
        )


def number_videos(reader: ShardReader) -> dict[str, int]:
    """A number for every video of a corpus: its place among the sorted ids."""
    found = {entry.video_id for level in Level for entry in reader.entries(level)}
    return {video_id: number for number, video_id in enumerate(sorted(found))}
