"""Clips and narrations, videos and titles of a corpus that was held out, as vectors, and how well each finds the other.

Shapes: N samples, D width.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from ingest.atomic import write_bytes
from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.data.batch import Batch
from ophclip.data.dataset import number_videos, read_batch
from ophclip.data.pictures import stored_side_px
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.recall import Recall, groups_of, recall, same_words
from ophclip.models.bundle import Loaded
from ophclip.progress import Progress

Keys: TypeAlias = Sequence[str]
_SAMPLES_AT_ONCE, _KEPT_TOGETHER = 16, 128


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
    loaded: Loaded,
    reader: ShardReader,
    level: Level,
    frames: int,
    *,
    progress: Progress | None = None,
    kept: Path | None = None,
) -> Pairs:
    """Unit vectors of all samples of a level that have a text.

    What was embedded is put into the folder `kept` as it is made, and taken from there by a run that follows.

    Raises:
        ValueError: fewer than two such samples, or one that cannot be read.
    """
    owners = {entry.key: entry.video_id for entry in reader.entries(level) if entry.has_text}
    keys = sorted(owners)
    if len(keys) < 2:
        raise ValueError(
            f"the corpus has {len(keys)} {level.value} samples with text; at least 2 are needed to compare"
        )
    parts: list[_Part] = []
    for first in range(0, len(keys), _KEPT_TOGETHER):
        asked = keys[first : first + _KEPT_TOGETHER]
        file = None if kept is None else kept / f"{level.value}-{frames}-{first:09d}.npz"
        parts.append(_read_part(file) or _embedded(loaded, reader, asked, frames, file))
        if progress is not None:
            progress(first + len(asked), len(keys), f"{level.value}s")
    words = [digest for part in parts for digest in part.words]
    lines = (f"{key}\t{owners[key]}\t{digest}" for key, digest in zip(keys, words, strict=True))
    return Pairs(
        visual_nd=np.concatenate([part.visual_nd for part in parts]),
        text_nd=np.concatenate([part.text_nd for part in parts]),
        group_n=groups_of(words),
        keys=tuple(keys),
        video_ids=tuple(owners[key] for key in keys),
        words_sha256=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Some of the samples, in order; their words as checksums, so that no narration leaves the corpus."""

    visual_nd: Floats
    text_nd: Floats
    words: tuple[str, ...]


def _embedded(loaded: Loaded, reader: ShardReader, keys: Keys, frames: int, file: Path | None) -> _Part:
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
            words += (hashlib.sha256(same_words(text).encode()).hexdigest() for text in batch.texts)
    model.train(was_training)
    part = _Part(visual_nd=np.concatenate(visuals), text_nd=np.concatenate(texts), words=tuple(words))
    if file is not None:
        buffer = io.BytesIO()
        np.savez(buffer, visual_nd=part.visual_nd, text_nd=part.text_nd, words=np.array(words))
        write_bytes(file, buffer.getvalue())
    return part


def _read_part(file: Path | None) -> _Part | None:
    """What a run that was cut short left; files are there whole or not at all."""
    if file is None or not file.is_file():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        words = tuple(str(digest) for digest in arrays["words"])
        return _Part(visual_nd=arrays["visual_nd"], text_nd=arrays["text_nd"], words=words)


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
