"""What silent videos add to a video step, in each of the modes of `retrieval.mode` (docs/method.md).

Legend of shapes: b narrated videos, u silent videos loaded, a and v those of all ranks, n silent videos retrieved,
d width.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from ophclip.config import TrainConfig
from ophclip.data.batch import VideoBatch
from ophclip.losses.gather import gather_constant, gather_with_gradient, world_size
from ophclip.losses.knowledge import bank_retrieval, fuse_retrieval
from ophclip.losses.retrieval import drawn_table, live_retrieval
from ophclip.objectives import RetrievalMode, RetrievalSide
from ophclip.training.contrast import PairContrast
from ophclip.training.encoding import Encoder, full_precision
from ophclip.training.fusion import Fusion
from ophclip.training.silent import Found, Loaded, SilentVideos, Table
from retrieval_index.bank import NEVER

Reports: TypeAlias = dict[str, Tensor]


class Narrated(NamedTuple):
    """The narrated videos of a step, encoded with gradient."""

    batch: VideoBatch
    visual_bd: Tensor
    title_bd: Tensor
    step: int


class Added(NamedTuple):
    """What a mode adds to the loss, None if nothing was retrieved, and what it reports."""

    loss: Tensor | None
    reports: Reports


class SilentLoss:
    """The retrieval loss (`L_ra`) or its control."""

    def __init__(
        self,
        silent: SilentVideos,
        config: TrainConfig,
        *,
        encoder: Encoder,
        contrast: PairContrast,
        fusion: Fusion | None,
    ) -> None:
        """`fusion` is there in the mode `fuse` alone."""
        self._silent = silent
        self._encoder = encoder
        self._contrast = contrast
        self._fusion = fusion
        self._config = config

    def __call__(self, narrated: Narrated) -> Added:
        """What the configured mode adds; the sum of two in the mode `both`."""
        mode = self._config.retrieval.mode
        if mode is RetrievalMode.BOTH:
            return _sum(self._live(narrated), self._pairs(narrated))
        if mode is RetrievalMode.LIVE:
            return self._live(narrated)
        if mode is RetrievalMode.SILENT_PAIRS:
            return self._pairs(narrated)
        return Added(None, {}) if mode is RetrievalMode.NONE else self._frozen(narrated)

    def _live(self, narrated: Narrated) -> Added:
        """Silent videos that titles drew are encoded with gradient, as positives of those titles and of their own."""
        batch, visual_bd, title_bd, step = narrated
        units = F.normalize(title_bd, dim=-1), F.normalize(visual_bd, dim=-1)
        drawn = self._silent.retrieve(*units, step, batch.keys)
        if drawn is None:
            return Added(None, self._share(torch.zeros(1, dtype=torch.bool)))
        silent_ud, own_ud = self._encoded(drawn.loaded, narrated, with_title=self._config.retrieval.own_title)
        self._silent.write_back(drawn.loaded.ids, gather_constant(own_ud), gather_constant(silent_ud), step)
        title_group_a = self._groups(batch.texts, title_bd.device)
        with full_precision(title_bd.device):
            parts = live_retrieval(
                gather_with_gradient(silent_ud),
                gather_with_gradient(title_bd),
                drawn_table(drawn.place_u, drawn.place_a, title_group_a),
                self._contrast.model.logit_scale,
                bias=self._contrast.model.logit_bias,
                own_title_ud=gather_with_gradient(own_ud) if self._config.retrieval.own_title else None,
                own_title_group_u=self._groups(drawn.loaded.texts, title_bd.device),
            )
        reports = {"retrieval": parts.narrated_title.detach(), "own_title": parts.own_title.detach()}
        reports |= self._share(drawn.place_a >= 0, drawn.found)
        return Added(parts.narrated_title + parts.own_title, reports)

    def _pairs(self, narrated: Narrated) -> Added:
        """The control: silent videos at random, with their own titles."""
        pairs = self._silent.pairs(len(narrated.batch) * world_size(), narrated.step)
        if pairs is None:
            return Added(None, {})
        silent_ud, text_ud = self._encoded(pairs, narrated, with_title=True)
        with full_precision(silent_ud.device):
            loss = self._contrast(silent_ud, text_ud, pairs.texts)
        return Added(loss, {"own_title": loss.detach()})

    def _frozen(self, narrated: Narrated) -> Added:
        """Vectors of the bank as they are: targets of the narrated vectors, or what these are enriched by."""
        with full_precision(narrated.title_bd.device):
            table = self._silent.table(F.normalize(narrated.title_bd, dim=-1), narrated.batch.keys)
            if table is None:
                return Added(None, self._share(torch.zeros(1, dtype=torch.bool)))
            hit_b, fusion = gather_constant(table.hits_bn.any(dim=1)), self._fusion
            loss = self._bank(narrated, table) if fusion is None else self._fuse(fusion, narrated, table, hit_b)
        return Added(loss, {**self._share(hit_b, table.found), "retrieval": loss.detach()})

    def _bank(self, narrated: Narrated, table: Table) -> Tensor:
        options = self._config.retrieval
        sides = {
            RetrievalSide.VISUAL: (narrated.visual_bd, table.title_nd),
            RetrievalSide.TITLE: (narrated.title_bd, table.visual_nd),
        }
        chosen = sides.values() if options.side is RetrievalSide.BOTH else (sides[options.side],)
        scale = self._contrast.model.logit_scale
        losses = [
            bank_retrieval(rows_bd, bank_nd, table.scores_bn, scale, min_score=options.min_score)
            for rows_bd, bank_nd in chosen
        ]
        return torch.stack(losses).mean()

    def _fuse(self, fusion: Fusion, narrated: Narrated, table: Table, hit_b: Tensor) -> Tensor:
        fused_bd = fusion(narrated.visual_bd, table.title_nd, table.visual_nd, table.hits_bn)
        return fuse_retrieval(
            gather_with_gradient(fused_bd),
            gather_with_gradient(narrated.title_bd),
            self._contrast.model.logit_scale,
            hit_b,
            bias=self._contrast.model.logit_bias,
            title_group_b=self._groups(narrated.batch.texts, fused_bd.device),
        )

    def _encoded(self, loaded: Loaded, narrated: Narrated, *, with_title: bool) -> tuple[Tensor, Tensor]:
        """Visual and title vectors of silent videos; those of titles without gradient unless `with_title`.

        A rank that has loaded none takes part with no rows.
        """
        if loaded.batch is None and not self._encoder.equal_passes:
            return narrated.title_bd[:0], narrated.title_bd[:0]
        if loaded.batch is None:
            silent_ud, encode_titles = (
                self._encoder.no_views(narrated.batch),
                partial(self._encoder.no_texts, narrated.batch),
            )
        else:
            silent = loaded.batch.to(narrated.title_bd.device)
            (silent_ud,) = self._encoder.views(silent, ("silent videos",), narrated.step, loaded.part)
            encode_titles = partial(self._encoder.texts, silent.tokens)
        with torch.set_grad_enabled(with_title and torch.is_grad_enabled()):
            return silent_ud, encode_titles()

    def _share(self, hit_a: Tensor, found: Found | None = None) -> Reports:
        """The share of narrated videos for which something was retrieved, from the bank's first refresh on; how good
        that is.
        """
        if self._silent.bank.refreshed_at == NEVER:
            return {}
        reports = {"retrieved_share": hit_a.float().mean()}
        if found is not None:
            reports["retrieval_similarity"] = found.similarity
        if found is not None and found.precision is not None:
            reports["retrieval_precision"] = found.precision
        return reports

    def _groups(self, texts: Sequence[str], device: torch.device) -> Tensor | None:
        """A number for each text of all ranks, equal for equal words; None where those share nothing."""
        numbers = self._contrast.text_groups(texts, device)
        return None if numbers is None else gather_constant(numbers)


def _sum(one: Added, other: Added) -> Added:
    losses = [added.loss for added in (one, other) if added.loss is not None]
    reports = {**other.reports, **one.reports}
    for name in one.reports.keys() & other.reports.keys():
        reports[name] = one.reports[name] + other.reports[name]
    return Added(torch.stack(losses).sum() if losses else None, reports)
