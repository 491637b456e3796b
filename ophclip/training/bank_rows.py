"""Rows of the knowledge bank: silent videos as they are encoded for it, without chance and without gradient.

Legend of shapes: m silent videos, d width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ophclip.config import TrainConfig
from ophclip.data.batch import VideoBatch
from ophclip.data.module import CorpusDataModule, prepare_worker
from ophclip.data.videos import load_videos
from ophclip.losses.gather import gather_constant, own_share
from ophclip.models.dual_encoder import DualEncoder
from ophclip.models.preprocess import build_preprocess

_FEW = 256


class EncodedRows(NamedTuple):
    """Unit vectors of silent videos, float32."""

    title_md: NDArray[np.float32]
    visual_md: NDArray[np.float32]


class RowEncoder:
    """Encodes silent videos for the bank: evenly spread frames, centre crop; each rank its part, all get all rows."""

    def __init__(self, corpus: CorpusDataModule, config: TrainConfig) -> None:
        self._corpus = corpus
        self._config = config.data
        self._preprocess = build_preprocess(config.model.visual)

    def __call__(self, model: DualEncoder, ids: Sequence[str]) -> EncodedRows:
        """The rows of `ids`, in their order; equal on all ranks."""
        was_training = model.training
        model.eval()
        empty_0d = torch.empty(0, model.embed_dim, device=model.device)
        titles, visuals = [empty_0d], [empty_0d]
        with torch.no_grad():
            for rows, batch in self._batches(ids):
                held = batch.to(model.device)
                frames = self._preprocess.normalise(held.frames_btchw)
                visuals.append(model.encode_video(frames, normalise=True)[:rows].float())
                titles.append(model.encode_text(held.tokens, normalise=True)[:rows].float())
        model.train(was_training)
        return EncodedRows(_of_all_ranks(titles), _of_all_ranks(visuals))

    def _batches(self, ids: Sequence[str]) -> Iterator[tuple[int, VideoBatch]]:
        """Batches of this rank's part of `ids`, as many as every other rank's, and how many of each batch's rows count.

        A rank that has none left to encode does one more of no account: sharded towers want equally many passes.
        """
        share = own_share()
        mine, most = ids[share.part(len(ids)).rows], -(-len(ids) // share.ranks)
        size = -(-self._config.video_batch // share.ranks)
        chunks = [mine[first : first + size] for first in range(0, most, size)]
        workers = 0 if len(mine) <= _FEW else self._config.workers
        loader = DataLoader(
            _Chunks([chunk or ids[:1] for chunk in chunks], self._corpus),
            batch_size=None,
            num_workers=workers,
            worker_init_fn=prepare_worker,
        )
        return zip((len(chunk) for chunk in chunks), loader, strict=True)


def _of_all_ranks(parts: Sequence[Tensor]) -> NDArray[Any]:
    rows: NDArray[Any] = gather_constant(torch.cat(list(parts))).cpu().numpy()
    return rows


class _Chunks(Dataset[VideoBatch]):
    """Whole videos by the chunk. Holds what loader processes need and not the data module, which they must not own."""

    def __init__(self, chunks: Sequence[Sequence[str]], corpus: CorpusDataModule) -> None:
        self._chunks = chunks
        self._load = partial(
            load_videos,
            corpus.reader,
            frames=corpus.data.video_frames,
            side_px=corpus.side_px,
            tokenizer=corpus.tokenizer,
            video_numbers=corpus.video_numbers,
        )

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, place: int) -> VideoBatch:
        return self._load(self._chunks[place])
