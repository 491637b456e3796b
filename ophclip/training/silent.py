"""Silent videos in training: the bank that is searched by title, what is drawn from it, and how it is kept fresh.

Legend of shapes: b narrated videos of this rank, a of all ranks, u distinct silent videos drawn for those, n distinct
silent videos retrieved for them, h hits of this rank, k neighbours, d width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ophclip.config import TrainConfig
from ophclip.data.batch import VideoBatch
from ophclip.data.module import CorpusDataModule
from ophclip.data.sampler import Part
from ophclip.losses.gather import gather_constant, mean_of_all, own_share
from ophclip.losses.retrieval import draw_retrieved
from ophclip.models.dual_encoder import DualEncoder
from ophclip.objectives import BankRefresh, RetrievalMode
from ophclip.training.bank_rows import RowEncoder
from ophclip.training.chance import derived_seed, generator
from ophclip.training.procedures import Procedures
from retrieval_index.bank import NEVER, KnowledgeBank
from retrieval_index.config import VectorConfig
from retrieval_index.freshness import Agreement
from retrieval_index.retrieved import Key

NEIGHBOURS = 10
"""Of a row, by which stale rows are compared with fresh ones."""
_RETRIEVING = frozenset(RetrievalMode) - {RetrievalMode.NONE, RetrievalMode.SILENT_PAIRS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """Distinct silent videos that all ranks have loaded between them."""

    ids: tuple[str, ...]
    part: Part
    """Which of them this rank has."""
    batch: VideoBatch | None
    """Those, on the CPU; None where it has none."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Titles of those of this rank."""
        return () if self.batch is None else self.batch.texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """How good what was retrieved is, over all ranks."""

    similarity: Tensor
    """Mean score of the hits."""
    precision: Tensor | None
    """Share that is of the procedure of the narrated video; None where no two titles say of which they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What retrieval brings to a step."""

    loaded: Loaded
    """The u distinct silent videos."""
    place_u: Tensor
    """Their places in the bank, int64."""
    place_a: Tensor
    """The place of the silent video that each narrated video drew, -1 where it drew none."""
    found: Found


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """The silent videos that a batch retrieved, as vectors of the bank, and how well each narrated title fits each."""

    title_nd: Tensor
    visual_nd: Tensor
    scores_bn: Tensor
    """Cosines of narrated titles and keys."""
    hits_bn: Tensor
    """True where that passes the gate."""
    found: Found


class SilentVideos:
    """The titled silent videos of a corpus and the knowledge bank over them. All ranks hold equal banks."""

    def __init__(self, corpus: CorpusDataModule, config: TrainConfig) -> None:
        self._corpus = corpus
        self._config = config
        self._encode = RowEncoder(corpus, config)
        self._procedures = Procedures(corpus.reader)
        ids = corpus.videos.silent if config.retrieval.mode in _RETRIEVING else ()
        self.bank = KnowledgeBank(config.model.embed_dim, ids, config=VectorConfig(kind=config.retrieval.index.value))
        self._place = {video_id: place for place, video_id in enumerate(ids)}
        self._key: Key = config.retrieval.key.value
        self._stands_for = _shuffled(ids, config.seed) if config.retrieval.shuffled else {}

    def refresh_is_due(self, step: int) -> bool:
        """Whether all rows must be encoded at once before `step`: after the warm-up, then as `refresh` says."""
        last, options = self.bank.refreshed_at, self._config.retrieval
        if not len(self.bank) or step < options.warmup_steps:
            return False
        return last == NEVER or (options.refresh is BankRefresh.FULL and step - last >= options.refresh_every)

    def refresh(self, model: DualEncoder, step: int) -> Agreement | None:
        """Encode every silent video and replace the whole bank; how stale rows agree with fresh ones."""
        return self.bank.refresh(*self._encode(model, self.bank.ids), step, NEIGHBOURS)

    def keep_fresh(self, model: DualEncoder, step: int) -> dict[str, float]:
        """Encode the rows whose turn it is before `step`, and report the bank; nothing before the first refresh."""
        agreement, refresh = None, self._config.retrieval.refresh
        if self.refresh_is_due(step):
            agreement = self.refresh(model, step)
        elif self.bank.refreshed_at == NEVER:
            return {}
        elif refresh is BankRefresh.SHADOW:
            agreement = self._stage(model, step)
        elif refresh is BankRefresh.ROLLING:
            agreement = self._roll(model, step)
        known = self.bank.statistics(step)
        overlap = {} if agreement is None else {"bank_overlap": agreement.overlap}
        return {"bank_age_steps": known.mean_age_steps, "bank_version": known.version, **overlap}

    def _stage(self, model: DualEncoder, step: int) -> Agreement | None:
        """Put the next rows into the shadow, and let it take the bank's place once it is full."""
        ids = self.bank.rows_to_stage(self._config.retrieval.refresh_rows)
        self.bank.stage(ids, *self._encode(model, ids), step)
        return None if self.bank.rows_to_stage(1) else self.bank.swap(step, NEIGHBOURS)

    def _roll(self, model: DualEncoder, step: int) -> Agreement | None:
        """Replace the oldest rows; these are compared among themselves, if there are enough to have neighbours."""
        ids = self.bank.rows_to_refresh(self._config.retrieval.refresh_rows)
        fresh, k = self._encode(model, ids), min(NEIGHBOURS, len(ids) // 4)
        agreement = self.bank.agreement(ids, *fresh, k) if k else None
        self.bank.replace(ids, *fresh, step)
        return agreement

    def retrieve(self, title_bd: Tensor, visual_bd: Tensor, step: int, narrated: Sequence[str] = ()) -> Drawn | None:
        """Search by narrated titles, gate, draw one silent video for each, and load them; None if none passed.

        Args:
            title_bd: unit title vectors of the narrated videos; no gradient is taken from here.
            visual_bd: their unit visual vectors, likewise.
            step: for the draw and for the choice of frames.
            narrated: ids of the narrated videos, by which the precision is known.
        """
        if self.bank.refreshed_at == NEVER:
            return None
        options, share = self._config.retrieval, own_share()
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
            part=share.part(len(ids_bk) * share.ranks),
        ).tolist()
        drew = [(row, k) for row, k in enumerate(drawn_b) if k >= 0]
        chosen = {row: ids_bk[row][k] for row, k in drew}
        # Numbers travel between ranks, not words: the place of a video among the silent ones.
        places = [self._place.get(chosen.get(row, ""), NEVER) for row in range(len(drawn_b))]
        place_a = gather_constant(torch.tensor(places, device=title_bd.device))
        distinct = list(dict.fromkeys(place for place in place_a.tolist() if place != NEVER))
        scores = torch.tensor([float(found.scores_qk[row, k]) for row, k in drew], device=title_bd.device)
        pairs = [(narrated[row], video_id) for row, video_id in chosen.items()] if narrated else []
        quality = self._found(scores, pairs)
        if quality is None:
            return None
        return Drawn(
            loaded=self._load([self.bank.ids[place] for place in distinct], step),
            place_u=torch.tensor(distinct, device=title_bd.device),
            place_a=place_a,
            found=quality,
        )

    def table(self, title_bd: Tensor, narrated: Sequence[str] = ()) -> Table | None:
        """Search by the narrated titles of all ranks and bring the vectors of what was found; None if no score passed.

        Args:
            title_bd: unit title vectors of this rank's narrated videos; no gradient is taken from here.
            narrated: ids of the narrated videos, by which the precision is known.
        """
        if self.bank.refreshed_at == NEVER:
            return None
        options, titles = self._config.retrieval, title_bd.detach().float()
        found = self.bank.search(titles.cpu().numpy(), options.top_k, self._key)
        mine = torch.tensor([self._place[one] for ids in found.ids for one in ids], device=titles.device)
        ids = [self.bank.ids[place] for place in sorted(set(gather_constant(mine).tolist()))]
        keys_nd = _on(titles, self.bank.vectors(ids, self._key).key_md)
        standing_ids = self._standing(ids)
        standing = self.bank.vectors(standing_ids)
        scores_bn = titles @ keys_nd.T
        hits_bn = scores_bn >= options.min_score
        pairs = [(narrated[row], standing_ids[n]) for row, n in hits_bn.nonzero().tolist()] if narrated else []
        quality = self._found(scores_bn[hits_bn], pairs)
        if quality is None:
            return None
        return Table(
            title_nd=_on(titles, standing.title_md),
            visual_nd=_on(titles, standing.visual_md),
            scores_bn=scores_bn,
            hits_bn=hits_bn,
            found=quality,
        )

    def pairs(self, count: int, step: int) -> Loaded | None:
        """The control: up to `count` silent videos at random, whatever is narrated; None with fewer than two."""
        silent = self._corpus.videos.silent
        if min(count, len(silent)) < 2:
            return None
        order = torch.randperm(len(silent), generator=generator(self._config.seed, step, "draw of silent pairs"))
        return self._load([silent[place] for place in order[:count].tolist()], step)

    def write_back(self, ids: Sequence[str], title_ud: Tensor, visual_ud: Tensor, step: int) -> None:
        """Put vectors that the step computed anyway, on all ranks together, into their rows."""
        title, visual = (vectors.detach().float().cpu().numpy() for vectors in (title_ud, visual_ud))
        self.bank.replace(ids, title, visual, step, self._config.retrieval.momentum)

    def _found(self, scores_h: Tensor, pairs: Iterable[tuple[str, str]]) -> Found | None:
        """How good the hits of all ranks are, by this rank's scores and (narrated, silent) ids; None without a hit."""
        agreements = torch.tensor(self._procedures.agreements(pairs), dtype=torch.bool, device=scores_h.device)
        similarity, precision = mean_of_all(scores_h), mean_of_all(agreements)
        return None if similarity is None else Found(similarity=similarity, precision=precision)

    def _standing(self, ids: Sequence[str]) -> list[str]:
        """The videos that count as retrieved: these, or in the shuffled control others."""
        return [self._stands_for.get(video_id, video_id) for video_id in ids]

    def _load(self, ids: Sequence[str], step: int) -> Loaded:
        part, seed = own_share().part(len(ids)), derived_seed(self._config.seed, step, "silent frames")
        mine = ids[part.rows]
        batch = self._corpus.load_videos(mine, (seed,), part.first) if mine else None
        return Loaded(ids=tuple(ids), part=part, batch=batch)


def _shuffled(ids: Sequence[str], seed: int) -> dict[str, str]:
    """Another video for each, every one once: the next in a random circle."""
    order = torch.randperm(len(ids), generator=generator(seed, 0, "shuffled bank")).tolist()
    return {ids[one]: ids[other] for one, other in zip(order, [*order[1:], *order[:1]], strict=True)}


def _on(like: Tensor, rows: NDArray[np.floating[Any]]) -> Tensor:
    return torch.from_numpy(rows).to(like)
