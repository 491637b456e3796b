"""The training step at both levels (OphCLIP section 3.2 and 3.3), as a LightningModule.

A step returns what is optimised and what is reported apart. All chance comes from (seed, step), so that a step is the
same whether the run came to it in one go or was resumed.
Legend of shapes: b samples, u silent videos, t frames, d width.
"""

# ruff: noqa: ARG002 -- Lightning names the arguments of its hooks
from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from ophclip.config import RetrievalMode, SelfSupervision, TrainConfig
from ophclip.data.augment import Augment
from ophclip.data.batch import Batch, ClipBatch, VideoBatch
from ophclip.data.module import CorpusDataModule
from ophclip.losses.contrastive import info_nce, same_group
from ophclip.losses.gather import gather_constant, gather_with_gradient
from ophclip.losses.retrieval import live_retrieval
from ophclip.models.dual_encoder import DualEncoder
from ophclip.training.chance import derived_seed, generator, text_group
from ophclip.training.optim import build_optimizer, rate_factor, set_rate
from ophclip.training.silent import Drawn, SilentVideos
from ophclip.training.views import SimSiamHead

Reports: TypeAlias = dict[str, Tensor]


class StepResult(NamedTuple):
    """What a step optimises, and what it reports: detached scalars by name."""

    loss: Tensor
    reports: Reports


class TrainingModule(LightningModule):
    """The dual encoder with what training adds to it: the SimSiam head and the knowledge bank of silent videos."""

    def __init__(self, model: DualEncoder, corpus: CorpusDataModule, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.levels = corpus.levels
        self.start_step = corpus.start_step
        self.current = corpus.start_step
        self.augment = Augment(config=config.augment, visual=config.model.visual)
        self.silent = SilentVideos(corpus, config)
        views = config.loss.self_supervision is SelfSupervision.SIMSIAM and config.loss.self_supervision_weight > 0
        self.head: nn.Module | None = SimSiamHead(model.embed_dim) if views else None

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the clock, the rate and torch's own chance (dropout) for this step."""
        self.current = self.start_step + batch_idx
        torch.manual_seed(derived_seed(self.config.seed, self.current, "dropout"))
        factor = rate_factor(self.current, self.config.trainer.steps, self.config.optim.warmup_steps)
        for optimizer in self.trainer.optimizers:
            set_rate(optimizer, self.config.optim.learning_rate, factor)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Lightning's form of `clip_step` or `video_step`, whichever the batch calls for."""
        result = self.clip_step(batch) if isinstance(batch, ClipBatch) else self.video_step(_as_videos(batch))
        return {"loss": result.loss, "reports": {"loss": result.loss.detach(), **result.reports}}

    def clip_step(self, batch: ClipBatch) -> StepResult:
        """InfoNCE of clips and narrations, mean over the views, plus SimSiam between two views."""
        # Batch norm in the head needs two clips; a small corpus can leave a batch of one.
        head = self.head if len(batch) > 1 else None
        views = self._encode_views(batch, ("first view", "second view") if head else ("first view",))
        text_bd = self._encode_text(batch)
        ignored = None
        if self.config.loss.mask_same_video:
            ignored = same_group(gather_constant(batch.video_index_b))
        with self._full_precision():
            contrastive = sum((self._contrast(view, text_bd, batch, ignored) for view in views), _zero(text_bd))
            contrastive = contrastive / len(views)
            loss, reports = contrastive, {"contrastive": contrastive.detach()}
            if head is not None:
                agreement = head(*views)
                loss = loss + self.config.loss.self_supervision_weight * agreement
                reports["views"] = agreement.detach()
        return StepResult(loss, reports)

    def video_step(self, batch: VideoBatch) -> StepResult:
        """InfoNCE of whole videos and titles, plus what the silent videos add in the configured mode."""
        if self.silent.refresh_is_due(self.current):
            self.silent.refresh(self.model, self.current)
        (visual_bd,) = self._encode_views(batch, ("narrated videos",))
        title_bd = self._encode_text(batch)
        with self._full_precision():
            contrastive = self._contrast(visual_bd, title_bd, batch, None)
        extra, reports = self._silent_loss(batch, visual_bd, title_bd)
        reports["contrastive"] = contrastive.detach()
        loss = contrastive if extra is None else contrastive + self.config.retrieval.weight * extra
        return StepResult(loss, reports)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the schedule is set step by step and has no state."""
        towers = (self.model.visual, self.model.text)
        return build_optimizer(self, self.config.optim, self.model.text.loaded_parameters(), towers)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The optimiser's step, then the temperature pulled back into its bounds."""
        super().optimizer_step(*args, **kwargs)
        self.model.clamp_logit_scale_()

    def _silent_loss(self, batch: VideoBatch, visual_bd: Tensor, title_bd: Tensor) -> tuple[Tensor | None, Reports]:
        mode = self.config.retrieval.mode
        if mode is RetrievalMode.LIVE:
            drawn = self.silent.retrieve(F.normalize(title_bd, dim=-1), F.normalize(visual_bd, dim=-1), self.current)
            share = 0.0 if drawn is None else float(drawn.drawn_ub.any(dim=0).float().mean())
            reports = {"retrieved_share": torch.tensor(share)} if self.silent.bank.refreshed_at >= 0 else {}
            if drawn is None:
                return None, reports
            loss, parts = self._live(drawn, batch, title_bd)
            return loss, {**reports, **parts}
        pairs = self.silent.pairs(len(batch), self.current) if mode is RetrievalMode.SILENT_PAIRS else None
        if pairs is None:
            return None, {}
        held = pairs.to(self.device)
        (silent_ud,) = self._encode_views(held, ("silent videos",))
        text_ud = self._encode_text(held)
        with self._full_precision():
            loss = self._contrast(silent_ud, text_ud, held, None)
        return loss, {"own_title": loss.detach()}

    def _live(self, drawn: Drawn, batch: VideoBatch, title_bd: Tensor) -> tuple[Tensor, Reports]:
        silent = drawn.batch.to(self.device)
        (silent_ud,) = self._encode_views(silent, ("silent videos",))
        own_title = self.config.retrieval.own_title
        with torch.set_grad_enabled(own_title and torch.is_grad_enabled()):
            own_ud = self._encode_text(silent)
        drawn_ub = drawn.drawn_ub.to(self.device)
        if self.config.loss.share_equal_texts:
            drawn_ub = (drawn_ub.float() @ same_group(_text_groups(batch)).float()) > 0
        with self._full_precision():
            parts = live_retrieval(
                silent_ud,
                title_bd,
                drawn_ub,
                self.model.logit_scale,
                own_title_ud=own_ud if own_title else None,
                own_title_group_u=_text_groups(silent) if self.config.loss.share_equal_texts else None,
            )
        self.silent.write_back(silent, own_ud, silent_ud, self.current)
        reports = {"retrieval": parts.narrated_title.detach(), "own_title": parts.own_title.detach()}
        return parts.narrated_title + parts.own_title, reports

    def _encode_views(self, batch: Batch, purposes: tuple[str, ...]) -> list[Tensor]:
        """Vectors [b, d] of one augmented view per purpose, all in one pass through the tower."""
        views = [
            self.augment(batch.frames_btchw, generator(self.config.seed, self.current, purpose)) for purpose in purposes
        ]
        frames = views[0] if len(views) == 1 else torch.cat(views)
        return list(self.model.encode_video(frames).float().chunk(len(views)))

    def _encode_text(self, batch: Batch) -> Tensor:
        return self.model.encode_text(batch.tokens).float()

    def _contrast(self, visual_bd: Tensor, text_bd: Tensor, batch: Batch, ignored: Tensor | None) -> Tensor:
        positives = None
        if self.config.loss.share_equal_texts:
            positives = same_group(gather_constant(_text_groups(batch)))
        visual, text = gather_with_gradient(visual_bd), gather_with_gradient(text_bd)
        return info_nce(visual, text, self.model.logit_scale, positives, ignored)

    def _full_precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, enabled=False)


def _as_videos(batch: Batch) -> VideoBatch:
    if not isinstance(batch, VideoBatch):
        raise TypeError(f"expected a ClipBatch or a VideoBatch, found {type(batch).__name__}")
    return batch


def _text_groups(batch: Batch) -> Tensor:
    return torch.tensor([text_group(text) for text in batch.texts], device=batch.frames_btchw.device)


def _zero(like: Tensor) -> Tensor:
    return like.new_zeros(())
