"""Pictures and texts to unit vectors, in batches: what evaluation, search and users call.

Shapes: N pictures or texts, T frames of a video, W spans of them, B of one length, D the width of the common space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from ophclip.data.tokenizer import Tokenizer
from ophclip.models.dual_encoder import DualEncoder
from ophclip.models.preprocess import Preprocess

Item = TypeVar("Item")
_VECTORS_POOLED_AT_ONCE = 16384


def embed_frames(
    model: DualEncoder, preprocess: Preprocess, frames: Iterable[NDArray[np.uint8]], batch: int = 64
) -> NDArray[np.float32]:
    """Pictures (uint8 RGB [H, W, 3], any iterable, read `batch` at a time) -> unit vectors float32 [N, D].

    The model is put into evaluation for the call and back afterwards. N = 0 gives an array of shape [0, D].
    """
    with _evaluating(model):
        return _stacked(
            model,
            (model.encode_frames(preprocess(part).to(model.device), normalise=True) for part in _parts(frames, batch)),
        )


def embed_texts(
    model: DualEncoder, tokenizer: Tokenizer, texts: Sequence[str], batch: int = 256
) -> NDArray[np.float32]:
    """Texts -> unit vectors float32 [N, D]; the model is put into evaluation for the call and back afterwards."""
    with _evaluating(model):
        return _stacked(
            model,
            (model.encode_text(tokenizer(part).to(model.device), normalise=True) for part in _parts(texts, batch)),
        )


def pool_spans(
    model: DualEncoder, vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    """Unit vectors of a video's frames [T, D] and spans of them (first, stop) -> unit vectors [W, D].

    Each is what `encode_video` gives for the frames of its span. Spans of one length are pooled together, unpadded.
    """
    by_length: dict[int, list[int]] = {}
    for place, (first, stop) in enumerate(spans):
        by_length.setdefault(stop - first, []).append(place)
    pooled_wd = np.empty((len(spans), vectors_td.shape[1]), dtype=np.float32)
    firsts_w = np.array([first for first, _ in spans], dtype=np.int64)
    with _evaluating(model):
        for length, places in by_length.items():
            for part in _parts(places, max(_VECTORS_POOLED_AT_ONCE // length, 1)):
                gathered_btd = vectors_td[firsts_w[part, None] + np.arange(length)]
                pooled_bd = model.pool(torch.from_numpy(gathered_btd).to(model.device))
                pooled_wd[part] = F.normalize(pooled_bd, dim=-1).float().cpu().numpy()
    return pooled_wd


def _stacked(model: DualEncoder, vectors: Iterable[torch.Tensor]) -> NDArray[np.float32]:
    rows = [np.asarray(part.float().cpu().numpy(), dtype=np.float32) for part in vectors]
    return np.concatenate(rows) if rows else np.zeros((0, model.embed_dim), dtype=np.float32)


def _parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    if size < 1:
        raise ValueError(f"batch: {size} given, at least 1 expected")
    stream = iter(items)
    while part := list(islice(stream, size)):
        yield part


@contextmanager
def _evaluating(model: DualEncoder) -> Iterator[None]:
    was_training = model.training
    # Walking through all modules takes longer than encoding a few texts.
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            model.train()
