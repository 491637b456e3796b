"""Silent videos in training: the bank that is searched by title, what is drawn from it, and its refresh.

Legend of shapes: b narrated videos of a batch, u distinct silent videos drawn for them, n distinct silent videos
retrieved for them, k neighbours, d width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ophclip.config import TrainConfig
from ophclip.data.batch import VideoBatch
from ophclip.data.module import CorpusDataModule, prepare_worker
from ophclip.data.videos import load_videos
from ophclip.losses.gather import gather_constant
from ophclip.losses.retrieval import draw_retrieved
from ophclip.models.dual_encoder import DualEncoder
from ophclip.models.preprocess import build_preprocess
from ophclip.objectives import RetrievalMode
from ophclip.training.chance import derived_seed, generator
from retrieval_index.bank import NEVER, Key, KnowledgeBank

_SMALL_BANK = 256
_RETRIEVING = frozenset(RetrievalMode) - {RetrievalMode.NONE, RetrievalMode.SILENT_PAIRS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What retrieval brings to a step."""

    batch: VideoBatch
    """The u distinct silent videos, on the CPU."""
    drawn_ub: Tensor
    """True where narrated video b drew silent video u; on the CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The silent videos that a batch retrieved, as vectors of the bank, and how well each narrated title fits each."""

    title_nd: Tensor
    visual_nd: Tensor
    scores_bn: Tensor
    """Cosines of narrated titles and keys."""
    hits_bn: Tensor
    """True where that passes the gate."""


class SilentVideos:
    """The titled silent videos of a corpus and the knowledge bank over them."""

    def __init__(self, corpus: CorpusDataModule, config: TrainConfig) -> None:
        self._corpus = corpus
        self._config = config
        self._preprocess = build_preprocess(config.model.visual)
        ids = corpus.videos.silent if config.retrieval.mode in _RETRIEVING else ()
        self.bank = KnowledgeBank(config.model.embed_dim, ids)
        self._key: Key = config.retrieval.key.value
        self._stands_for = _shuffled(ids, config.seed) if config.retrieval.shuffled else {}

    def refresh_is_due(self, step: int) -> bool:
        """Whether all rows must be encoded before `step`: at the end of the warm-up, then every `refresh_every`."""
        last, options = self.bank.refreshed_at, self._config.retrieval
        if not len(self.bank) or step < options.warmup_steps:
            return False
        return last == NEVER or step - last >= options.refresh_every

    def refresh(self, model: DualEncoder, step: int) -> None:
        """Encode every silent video, centre crop and no chance, and replace the whole bank."""
        was_training = model.training
        model.eval()
        titles, visuals = [], []
        with torch.no_grad():
            for batch in self._all_videos():
                held = batch.to(model.device)
                frames = self._preprocess.normalise(held.frames_btchw)
                visuals.append(model.encode_video(frames, normalise=True).float().cpu().numpy())
                titles.append(model.encode_text(held.tokens, normalise=True).float().cpu().numpy())
        model.train(was_training)
        self.bank.refresh(np.concatenate(titles), np.concatenate(visuals), step)

    def retrieve(self, title_bd: Tensor, visual_bd: Tensor, step: int) -> Drawn | None:
        """Search by narrated titles, gate, draw one silent video for each, and load them; None if none passed.

        Args:
            title_bd: unit title vectors of the narrated videos; no gradient is taken from here.
            visual_bd: their unit visual vectors, likewise.
            step: for the draw and for the choice of frames.
        """
        if self.bank.refreshed_at == NEVER:
            return None
        options = self._config.retrieval
        found = self.bank.search(title_bd.detach().float().cpu().numpy(), options.top_k, self._key)
        ids_bk = [self._standing(ids) for ids in found.ids]
        visual_bkd = np.stack([self.bank.vectors(ids).visual_md for ids in ids_bk])
        drawn_b = draw_retrieved(
            torch.from_numpy(found.scores_qk),
            torch.from_numpy(visual_bkd),
            visual_bd.detach().float().cpu(),
            min_score=options.min_score,
            visual_weight=options.visual_weight,
            generator=generator(self._config.seed, step, "draw of retrieved videos"),
        ).tolist()
        chosen_b = [ids[k] if k >= 0 else None for ids, k in zip(ids_bk, drawn_b, strict=True)]
        distinct = list(dict.fromkeys(video_id for video_id in chosen_b if video_id is not None))
        if not distinct:
            return None
        drawn_ub = torch.tensor([[chosen == video_id for chosen in chosen_b] for video_id in distinct])
        return Drawn(batch=self._load(distinct, step), drawn_ub=drawn_ub)

    def table(self, title_bd: Tensor) -> Table | None:
        """Search by the narrated titles of all ranks and bring the vectors of what was found; None if no score passed.

        Args:
            title_bd: unit title vectors of this rank's narrated videos; no gradient is taken from here.
        """
        if self.bank.refreshed_at == NEVER:
            return None
        options, titles = self._config.retrieval, title_bd.detach().float()
        found = self.bank.search(titles.cpu().numpy(), options.top_k, self._key)
        place = {video_id: number for number, video_id in enumerate(self.bank.ids)}
        mine = torch.tensor([place[one] for ids in found.ids for one in ids], dtype=torch.int64, device=titles.device)
        ids = [self.bank.ids[number] for number in sorted(set(gather_constant(mine).tolist()))]
        keys_nd, standing = (
            _on(titles, self.bank.vectors(ids, self._key).key_md),
            self.bank.vectors(self._standing(ids)),
        )
        scores_bn = titles @ keys_nd.T
        hits_bn = scores_bn >= options.min_score
        if not gather_constant(hits_bn.any().view(1)).any():
            return None
        return Table(
            title_nd=_on(titles, standing.title_md),
            visual_nd=_on(titles, standing.visual_md),
            scores_bn=scores_bn,
            hits_bn=hits_bn,
        )

    def pairs(self, count: int, step: int) -> VideoBatch | None:
        """The control: up to `count` silent videos at random, whatever is narrated; None with fewer than two."""
        silent = self._corpus.videos.silent
        if min(count, len(silent)) < 2:
            return None
        order = torch.randperm(len(silent), generator=generator(self._config.seed, step, "draw of silent pairs"))
        return self._load([silent[place] for place in order[:count].tolist()], step)

    def write_back(self, batch: VideoBatch, title_ud: Tensor, visual_ud: Tensor, step: int) -> None:
        """Put vectors that the step computed anyway into their rows."""
        title, visual = (vectors.detach().float().cpu().numpy() for vectors in (title_ud, visual_ud))
        self.bank.replace(batch.keys, title, visual, step, self._config.retrieval.momentum)

    def _standing(self, ids: Sequence[str]) -> list[str]:
        """The videos that count as retrieved: these, or in the shuffled control others."""
        return [self._stands_for.get(video_id, video_id) for video_id in ids]

    def _load(self, video_ids: Sequence[str], step: int) -> VideoBatch:
        return self._corpus.load_videos(video_ids, (derived_seed(self._config.seed, step, "silent frames"),))

    def _all_videos(self) -> DataLoader[VideoBatch]:
        size = self._config.data.video_batch
        chunks = [self.bank.ids[first : first + size] for first in range(0, len(self.bank), size)]
        workers = 0 if len(self.bank) <= _SMALL_BANK else self._config.data.workers
        return DataLoader(
            _Chunks(chunks, self._corpus), batch_size=None, num_workers=workers, worker_init_fn=prepare_worker
        )


def _shuffled(ids: Sequence[str], seed: int) -> dict[str, str]:
    """Another video for each, every one once: the next in a random circle."""
    order = torch.randperm(len(ids), generator=generator(seed, 0, "shuffled bank")).tolist()
    return {ids[one]: ids[other] for one, other in zip(order, [*order[1:], *order[:1]], strict=True)}


def _on(like: Tensor, rows: NDArray[np.float16]) -> Tensor:
    return torch.from_numpy(rows).to(like)


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
