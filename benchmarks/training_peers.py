"""Training steps of others: the clip step written out by hand, and open_clip's own loop on the same towers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import open_clip
import torch
from open_clip_train.params import parse_args
from open_clip_train.train import train_one_epoch
from torch import Tensor, nn
from torch.nn import functional as F

from ophclip.config import Precision
from ophclip.data.batch import ClipBatch
from ophclip.models.open_clip_folder import described_for_open_clip, named_for_open_clip
from ophclip.training.chance import generator
from ophclip.training.fit import accelerator_of, settings
from ophclip.training.module import TrainingModule
from ophclip.training.optim import build_optimizer, rate_factor, set_rate
from ophclip.training.ranks import Ranks

WARM_STEPS = 1
Clock = Callable[[], float]


def hand_written(
    module: TrainingModule, batch: ClipBatch, steps: int, device: str, clock: Clock
) -> tuple[float, list[float]]:
    """The clip step as one would write it down: seconds of a step, and all losses."""
    config, model, began = module.config, module.model, 0.0
    with settings(config.trainer, accelerator_of(device), Ranks()):
        module.to(device).train()
        optimizer, losses = module.configure_optimizers(), []
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        for step in range(WARM_STEPS + steps):
            if step == WARM_STEPS:
                began = clock()
            factor = rate_factor(step, config.trainer.steps, config.optim.warmup_steps)
            set_rate(optimizer, config.optim.learning_rate, factor)
            optimizer.zero_grad()
            loss = two_view_loss(module, batch.to(device), step, device)
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, config.optim.clip_gradient_norm)
            optimizer.step()
            model.clamp_logit_scale_()
            losses.append(loss.detach())
        ended = clock()
    return (ended - began) / steps, [float(one) for one in losses]


def two_view_loss(module: TrainingModule, batch: ClipBatch, step: int, device: str) -> Tensor:
    """InfoNCE of two views with the narrations, and their agreement, where no two clips share words or video."""
    config, model, head = module.config, module.model, module.head
    assert head is not None
    with torch.autocast(device, torch.bfloat16, enabled=config.trainer.precision is Precision.BF16):
        views = [
            module.augment(batch.frames_btchw, generator(config.seed, step, purpose))
            for purpose in ("first view", "second view")
        ]
        first_bd, second_bd = model.encode_video(torch.cat(views)).float().chunk(2)
        text_bd = F.normalize(model.encode_text(batch.tokens).float(), dim=-1)
    target_b = torch.arange(len(batch), device=device)
    loss = config.loss.self_supervision_weight * head(first_bd, second_bd)
    for view_bd in (first_bd, second_bd):
        logits_bb = model.logit_scale * F.normalize(view_bd, dim=-1) @ text_bd.T
        loss = loss + (F.cross_entropy(logits_bb, target_b) + F.cross_entropy(logits_bb.T, target_b)) / 4
    return loss


@dataclass(slots=True)
class Ready:
    """A loader as open_clip has them, that gives the same pictures and texts and takes the time."""

    pair: tuple[Tensor, Tensor]
    steps: int
    clock: Clock
    seconds: float = 0.0

    @property
    def num_batches(self) -> int:
        return WARM_STEPS + self.steps

    @property
    def num_samples(self) -> int:
        return self.num_batches * len(self.pair[0])

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        began = 0.0
        for step in range(self.num_batches):
            if step == WARM_STEPS:
                began = self.clock()
            yield self.pair
        self.seconds = (self.clock() - began) / self.steps


class OpenClip:
    """open_clip's own model, loss and loop, begun with the weights of ours."""

    def __init__(self, ours: TrainingModule, device: str, clock: Clock) -> None:
        self._config, self._clock = ours.config, clock
        described = described_for_open_clip(ours.config.model, sigmoid=False)
        assert described is not None, "open_clip has no such model; give another --model"
        built = {name: one for name, one in described["model_cfg"].items() if name != "custom_text"}
        self._model = open_clip.CustomTextCLIP(**built, output_dict=True)
        self._model.load_state_dict(named_for_open_clip(ours.model.state_dict()))
        self._model.to(device)
        self._args = parse_args(["--model", "any", "--device", device, "--skip-scheduler"])
        precision = "amp_bf16" if ours.config.trainer.precision is Precision.BF16 else "fp32"
        alike = {"precision": precision, "grad_clip_norm": ours.config.optim.clip_gradient_norm}
        alone = {"rank": 0, "local_rank": 0, "world_size": 1, "distill": False, "wandb": False, "horovod": False}
        vars(self._args).update(**alike, **alone)

    def train(self, pair: tuple[Tensor, Tensor], steps: int) -> tuple[float, list[float]]:
        """Seconds of a step, and all losses."""
        self._args.batch_size = len(pair[0])
        optimizer = build_optimizer(self._model, self._config.optim)
        set_rate(optimizer, self._config.optim.learning_rate, 1.0)
        contrast, losses = open_clip.ClipLoss(), []

        def kept(**given: Any) -> dict[str, Tensor]:
            found: dict[str, Tensor] = contrast(**given)
            losses.append(found["contrastive_loss"].detach())
            return found

        loader = Ready(pair, steps, self._clock)
        data = {"train": SimpleNamespace(dataloader=loader, set_epoch=lambda _epoch: None)}
        train_one_epoch(self._model, data, kept, 0, optimizer, None, None, None, self._args)
        return loader.seconds, [float(one) for one in losses]
