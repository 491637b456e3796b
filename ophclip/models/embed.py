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
from torch import Tensor
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
    return _on_host(frame_vectors(model, preprocess, frames, batch, normalise=True))


def embed_texts(
    model: DualEncoder, tokenizer: Tokenizer, texts: Sequence[str], batch: int = 256
) -> NDArray[np.float32]:
    """Texts -> unit vectors float32 [N, D]; the model is put into evaluation for the call and back afterwards."""
    return _on_host(text_vectors(model, tokenizer, texts, batch, normalise=True))


def frame_vectors(
    model: DualEncoder,
    preprocess: Preprocess,
    frames: Iterable[NDArray[np.uint8]],
    batch: int,
    *,
    normalise: bool,
) -> Tensor:
    """As `embed_frames`, a float32 tensor [N, D] on the model's device; of unit length if `normalise`."""
    with _evaluating(model):
        parts = [
            model.encode_frames(preprocess(part).to(model.device), normalise=normalise).float()
            for part in parts_of(frames, batch)
        ]
    return stacked(model, parts)


def text_vectors(
    model: DualEncoder, tokenizer: Tokenizer, texts: Sequence[str], batch: int, *, normalise: bool
) -> Tensor:
    """As `embed_texts`, a float32 tensor [N, D] on the model's device; of unit length if `normalise`."""
    with _evaluating(model):
        parts = [
            model.encode_text(tokenizer(part).to(model.device), normalise=normalise).float()
            for part in parts_of(texts, batch)
        ]
    return stacked(model, parts)


def pooled_vector(model: DualEncoder, vectors_td: Tensor, *, normalise: bool) -> Tensor:
    """Unit vectors of the frames of one video [T, D] -> float32 [1, D]; of unit length if `normalise`."""
    with _evaluating(model):
        pooled_1d = model.pool(vectors_td[None])
        pooled_1d = (F.normalize(pooled_1d, dim=-1) if normalise else pooled_1d).float()
    return stacked(model, [pooled_1d])


def stacked(model: DualEncoder, parts: Sequence[Tensor]) -> Tensor:
    """Parts [B, D] one after the other: [N, D], also of none."""
    return torch.cat(list(parts)) if parts else torch.zeros(0, model.embed_dim, device=model.device)


def parts_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter; each is read when it is asked for."""
    if size < 1:
        raise ValueError(f"batch: {size} given, at least 1 expected")
    stream = iter(items)
    while part := list(islice(stream, size)):
        yield part


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
            for part in parts_of(places, max(_VECTORS_POOLED_AT_ONCE // length, 1)):
                gathered_btd = vectors_td[firsts_w[part, None] + np.arange(length)]
                pooled_bd = model.pool(torch.from_numpy(gathered_btd).to(model.device))
                pooled_wd[part] = F.normalize(pooled_bd, dim=-1).float().cpu().numpy()
    return pooled_wd


def _on_host(vectors_nd: Tensor) -> NDArray[np.float32]:
    return np.asarray(vectors_nd.cpu().numpy(), dtype=np.float32)


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
