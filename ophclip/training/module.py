"""The training step at both levels (OphCLIP section 3.2 and 3.3), as a LightningModule.

A step returns what is optimised and what is reported apart. All chance comes from (seed, step), so that a step is the
same whether the run came to it in one go or was resumed.
Legend of shapes: b samples, p samples with a counterpart, d width.
"""

# ruff: noqa: ARG002 -- Lightning names the arguments of its hooks
from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.distributed.tensor.experimental import implicit_replication
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ophclip.config import RankStrategy, TrainConfig
from ophclip.data.augment import Augment
from ophclip.data.batch import Batch, ClipBatch, VideoBatch
from ophclip.data.module import CorpusDataModule
from ophclip.losses.gather import gather_words, mean_by_name, mean_of_all, own_share, world_size
from ophclip.losses.minimal_pairs import Counterparts, told_apart
from ophclip.models.dual_encoder import DualEncoder
from ophclip.objectives import Contrastive, RetrievalMode
from ophclip.training.chance import derived_seed
from ophclip.training.contrast import PairContrast
from ophclip.training.encoding import Encoder, full_precision
from ophclip.training.export import new_model
from ophclip.training.fusion import Fusion
from ophclip.training.minimal_pairs import MinimalPairs
from ophclip.training.optim import build_optimizer, rate_factor, set_rate
from ophclip.training.sharding import average_gradients, shard_towers, whole
from ophclip.training.silent import SilentVideos
from ophclip.training.silent_loss import Narrated, Reports, SilentLoss
from ophclip.training.views import build_head

_ENDING = "asked to end"


class StepResult(NamedTuple):
    """What a step optimises, and what it reports: detached scalars by name."""

    loss: Tensor
    reports: Reports


class NonFiniteLossError(ValueError):
    """The loss of a step is no number; carries what a user needs to find out why."""

    def __init__(self, step: int, batch: Batch, reports: Reports) -> None:
        """Take down the step; every rank must come here, since the keys are those of all ranks."""
        self.record = {
            "step": step,
            "level": "clip" if isinstance(batch, ClipBatch) else "video",
            "keys": gather_words(batch.keys),
            "terms": {name: str(float(value)) for name, value in reports.items()},
        }
        super().__init__(f"the loss of step {step} ({self.record['level']} level) is not finite")


class TrainingModule(LightningModule):
    """The dual encoder with what training adds to it: the head behind two views, the bank of silent videos, fusion."""

    def __init__(self, model: DualEncoder, corpus: CorpusDataModule, config: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.levels = corpus.levels
        self.start_step = corpus.start_step
        self.current = corpus.start_step
        self.augment = Augment(config=config.augment, visual=config.model.visual)
        self.silent = SilentVideos(corpus, config)
        self.head: nn.Module | None = build_head(config.loss, model.embed_dim)
        self.fusion = Fusion(model.embed_dim) if config.retrieval.mode is RetrievalMode.FUSE else None
        self.minimal_pairs = MinimalPairs(corpus.tokenizer, config.seed) if config.loss.minimal_pairs > 0 else None
        self.encoder = Encoder(
            model=model,
            augment=self.augment,
            seed=config.seed,
            samples_at_once=config.trainer.micro_batch,
            equal_passes=config.trainer.strategy is RankStrategy.FSDP,
        )
        self.textless = config.loss.contrastive is Contrastive.NONE
        if self.textless:
            for unused in (model.text, model.pooling):
                unused.requires_grad_(False)
            model.log_logit_scale.requires_grad_(False)
        self.contrast = PairContrast(model=model, config=config.loss)
        self.silent_loss = SilentLoss(
            self.silent, config, encoder=self.encoder, contrast=self.contrast, fusion=self.fusion
        )
        self._average = _average_of(model, config.optim.ema_decay) if config.optim.ema_decay else None
        self.gradient_norm: Tensor | None = None
        self.sharded = False
        """Whether this rank holds a part of the towers alone."""
        self.asked_to_end = False
        """Whether a signal told this rank to end."""
        self.ending = False
        """Whether one told any rank to, as all ranks know after a step."""

    @property
    def exported(self) -> DualEncoder:
        """The weights that are validated and exported: their running average where one is kept. All ranks must come
        here; of sharded towers it is a copy.
        """
        averaged: Any = self.model if self._average is None else self._average.module
        model = cast(DualEncoder, averaged)
        if not self.sharded:
            return model
        copied = new_model(self.config, pretrained=False).to(self.device)
        copied.load_state_dict(whole(model.state_dict()))
        return copied

    def held_whole(self) -> Iterator[Tensor]:
        """What must be the same on all ranks: the weights, their average, the bank."""
        yield from self.parameters()
        yield from self.silent.bank.state_dict().values()

    def configure_model(self) -> None:
        """Shard the towers where that is asked for and other ranks are there; Lightning may call it again."""
        mesh = self.device_mesh
        if mesh is None or self.sharded:
            return
        self.sharded = True
        shard_towers(self.model, mesh["data_parallel"])
        if self._average is not None:
            shard_towers(cast(DualEncoder, self._average.module), mesh["data_parallel"])

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the clock, the rate and torch's own chance (dropout) for this step."""
        self.current = self.start_step + batch_idx
        rank = own_share().rank
        torch.manual_seed(
            derived_seed(self.config.seed, self.current, f"dropout of rank {rank}" if rank else "dropout")
        )
        factor = rate_factor(self.current, self.config.trainer.steps, self.config.optim.warmup_steps)
        for optimizer in self.trainer.optimizers:
            set_rate(optimizer, self.config.optim.learning_rate, factor)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Lightning's form of `clip_step` or `video_step`, whichever the batch calls for, or of `frame_step`."""
        if self.textless:
            result = self.frame_step(batch)
        else:
            result = self.clip_step(batch) if isinstance(batch, ClipBatch) else self.video_step(_as_videos(batch))
        truncated = torch.tensor(batch.tokens.truncated / len(batch))
        mine = {"loss": result.loss.detach(), **result.reports, "truncated_share": truncated}
        # Whether to end is agreed on like the figures: a signal may reach one rank alone, and at any moment.
        reports = mean_by_name({**mine, _ENDING: torch.tensor(float(self.asked_to_end))}, self.device)
        self.ending = bool(reports.pop(_ENDING))
        if not bool(torch.isfinite(reports["loss"])):
            raise NonFiniteLossError(self.current, batch, reports)
        return {"loss": result.loss, "reports": reports}

    def clip_step(self, batch: ClipBatch) -> StepResult:
        """The contrast of clips and narrations, mean over the views, plus the agreement of two views."""
        # Batch norm in the head needs two clips; a small corpus can leave a batch of one.
        head = self.head if len(batch) * world_size() > 1 else None
        views = self.encoder.views(batch, ("first view", "second view") if head else ("first view",), self.current)
        text_bd = self.encoder.texts(batch.tokens)
        counterparts = self._counterparts(batch)
        ignored_b = batch.video_index_b if self.config.loss.mask_same_video else None
        with full_precision(self.device):
            contrasts = [
                self.contrast(view, text_bd, batch.texts, ignored_group_b=ignored_b, counterparts=counterparts)
                for view in views
            ]
            loss = torch.stack(contrasts).mean()
            reports = {"contrastive": loss.detach()}
            if head is not None:
                agreement = head(*views, ignored_b)
                loss = loss + self.config.loss.self_supervision_weight * agreement
                reports["views"] = agreement.detach()
            accuracy = self._minimal_pair_accuracy(views[0], text_bd, counterparts)
        return StepResult(loss, reports if accuracy is None else {**reports, "minimal_pair_accuracy": accuracy})

    def video_step(self, batch: VideoBatch) -> StepResult:
        """The contrast of whole videos and titles, plus what the silent videos add in the configured mode."""
        bank = self.silent.keep_fresh(self.model, self.current)
        (visual_bd,) = self.encoder.views(batch, ("narrated videos",), self.current)
        title_bd = self.encoder.texts(batch.tokens)
        with full_precision(self.device):
            contrastive = self.contrast(visual_bd, title_bd, batch.texts)
        added = self.silent_loss(Narrated(batch, visual_bd, title_bd, self.current))
        reports = {**added.reports, "contrastive": contrastive.detach()}
        reports |= {name: torch.tensor(value) for name, value in bank.items()}
        loss = contrastive if added.loss is None else contrastive + self.config.retrieval.weight * added.loss
        return StepResult(loss, reports)

    def frame_step(self, batch: Batch) -> StepResult:
        """The agreement of two views of every frame, whatever it belongs to; no text is read."""
        assert self.head is not None
        views = self.encoder.frame_views(batch, ("first view", "second view"), self.current)
        video_n = batch.video_index_b.repeat_interleave(batch.frames_btchw.shape[1])
        with full_precision(self.device):
            agreement = self.head(*views, video_n if self.config.loss.mask_same_video else None)
        return StepResult(self.config.loss.self_supervision_weight * agreement, {"views": agreement.detach()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the schedule is set step by step and has no state."""
        towers = (self.model.visual, self.model.text)
        return build_optimizer(self, self.config.optim, self.model.text.loaded_parameters(), towers)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Scale gradients down to `optim.clip_gradient_norm` and keep the norm that they had."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if self.sharded:
            average_gradients(parameters)
        self.gradient_norm = whole(nn.utils.clip_grad_norm_(parameters, gradient_clip_val or float("inf")))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """The optimiser's step, then the temperature pulled back into its bounds and the average taken further."""
        # Parameters that are sharded and ones that are not stand in the same lists.
        mixed: AbstractContextManager[Any] = implicit_replication() if self.sharded else nullcontext()
        with mixed:
            super().optimizer_step(*args, **kwargs)
            self.model.clamp_logit_scale_()
            if self._average is not None:
                self._average.update_parameters(self.model)
                _copy_constants(self._average.module, self.model)

    def _minimal_pair_accuracy(
        self, visual_bd: Tensor, text_bd: Tensor, counterparts: Counterparts | None
    ) -> Tensor | None:
        """Share of the clips of all ranks that have a counterpart and are nearer to their narration."""
        if self.minimal_pairs is None:
            return None
        right_p = visual_bd[:0, 0] if counterparts is None else told_apart(visual_bd, text_bd, counterparts)
        return mean_of_all(right_p.detach())

    def _counterparts(self, batch: ClipBatch) -> Counterparts | None:
        first = own_share().part(len(batch) * world_size()).first
        if self.minimal_pairs is None:
            return None
        drawn, weight = self.minimal_pairs.draw(batch.texts, self.current, first), self.config.loss.minimal_pairs
        if drawn is not None:
            return Counterparts(self.encoder.texts(drawn.tokens.to(self.device)), drawn.row_p.to(self.device), weight)
        if not self.encoder.equal_passes:
            return None
        nowhere_p = torch.zeros(0, dtype=torch.int64, device=self.device)
        return Counterparts(self.encoder.no_texts(batch), nowhere_p, weight)


def _as_videos(batch: Batch) -> VideoBatch:
    if not isinstance(batch, VideoBatch):
        raise TypeError(f"expected a ClipBatch or a VideoBatch, found {type(batch).__name__}")
    return batch


def _copy_constants(averaged: nn.Module, model: nn.Module) -> None:
    """Buffers that no checkpoint holds are constants. Masks of attention hold -inf, of which there is no average."""
    kept = averaged.state_dict().keys()
    for (name, averaged_buffer), buffer in zip(averaged.named_buffers(), model.buffers(), strict=True):
        if name not in kept:
            averaged_buffer.copy_(buffer)


def _average_of(model: DualEncoder, decay: float) -> AveragedModel:
    """A copy of the weights that follows them; the first update takes them as they are."""
    follow: Any = get_ema_multi_avg_fn  # torch leaves it untyped
    average = AveragedModel(model, multi_avg_fn=follow(decay), use_buffers=True)
    return average.requires_grad_(False)
