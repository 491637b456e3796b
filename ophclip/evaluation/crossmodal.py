"""Clips and narrations, videos and titles of a corpus that was held out, as vectors, and how well each finds the other.

Shapes: N samples, D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.data.batch import Batch
from ophclip.data.dataset import number_videos, read_batch
from ophclip.data.pictures import stored_side_px
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.recall import Recall, groups_of, recall
from ophclip.models.bundle import Loaded
from ophclip.progress import Progress

Keys: TypeAlias = Sequence[str]
_SAMPLES_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Unit vectors of pictures and texts that belong together row by row, and which texts are the same words."""

    visual_nd: Floats
    text_nd: Floats
    group_n: Ints
    keys: tuple[str, ...]
    """Of the samples."""
    video_ids: tuple[str, ...]
    words_sha256: str
    """Over keys, videos and words: equal ones are the same task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRecall:
    """Both directions."""

    text_to_visual: Recall
    visual_to_text: Recall


def evaluate_pairs(loaded: Loaded, reader: ShardReader, level: Level, frames: int) -> PairRecall:
    """How well texts of `level` find their pictures among all of that level in a corpus, and the other way round.

    Samples with the same words are right for each other; samples without text take no part.

    Args:
        frames: pictures of each sample, spread evenly.

    Raises:
        ValueError: fewer than two samples with text, or one that cannot be read.
    """
    pairs = embed_pairs(loaded, reader, level, frames)
    return PairRecall(
        text_to_visual=recall(pairs.text_nd, pairs.visual_nd, pairs.group_n, pairs.group_n),
        visual_to_text=recall(pairs.visual_nd, pairs.text_nd, pairs.group_n, pairs.group_n),
    )


def embed_pairs(
    loaded: Loaded, reader: ShardReader, level: Level, frames: int, progress: Progress | None = None
) -> Pairs:
    """Unit vectors of all samples of a level that have a text.

    Raises:
        ValueError: fewer than two such samples, or one that cannot be read.
    """
    owners = {entry.key: entry.video_id for entry in reader.entries(level) if entry.has_text}
    keys = sorted(owners)
    if len(keys) < 2:
        raise ValueError(
            f"the corpus has {len(keys)} {level.value} samples with text; at least 2 are needed to compare"
        )
    visuals: list[Floats] = []
    texts: list[Floats] = []
    words: list[str] = []
    model, was_training = loaded.model, loaded.model.training
    model.eval()
    with torch.inference_mode():
        for batch in _batches(loaded, reader, keys, frames):
            pixels = loaded.preprocess.normalise(batch.frames_btchw)
            visuals.append(model.encode_video(pixels, normalise=True).double().cpu().numpy())
            texts.append(model.encode_text(batch.tokens, normalise=True).double().cpu().numpy())
            words += batch.texts
            if progress is not None:
                progress(len(words), len(keys), f"{level.value}s")
    model.train(was_training)
    lines = (f"{key}\t{owners[key]}\t{text}" for key, text in zip(keys, words, strict=True))
    return Pairs(
        visual_nd=np.concatenate(visuals),
        text_nd=np.concatenate(texts),
        group_n=groups_of(words),
        keys=tuple(keys),
        video_ids=tuple(owners[key] for key in keys),
        words_sha256=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    )


def _batches(loaded: Loaded, reader: ShardReader, keys: Keys, frames: int) -> Iterator[Batch]:
    numbers = number_videos(reader)
    for first in range(0, len(keys), _SAMPLES_AT_ONCE):
        part = keys[first : first + _SAMPLES_AT_ONCE]
        batch = read_batch(
            reader,
            part,
            frames=frames,
            side_px=stored_side_px(loaded.config.visual.image_size_px),
            tokenizer=loaded.tokenizer,
            video_numbers=numbers,
            randoms=[None] * len(part),
        )
        yield batch.to(loaded.model.device)
