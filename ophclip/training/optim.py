"""AdamW, which parameters decay, and the rate as a pure function of the step.

The schedule is computed from `trainer.steps`, never from Lightning's `estimated_stepping_batches`: reading that drops
the loader's state on resume (pytorch-lightning#20550). A pure function has no state to save.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from ophclip.config import OptimConfig
from ophclip.models.towers import Tower

_FUSED_ON = ("cpu", "cuda")
_NOT_DECAYED = (
    "positional_embedding",
    "position_embeddings",
    "pos_embed",
    "class_embedding",
    "cls_emb",
    "cls_token",
    "reg_token",
)
"""Positions and class tokens by the names that open_clip, transformers and timm give them."""


def rate_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Factor of the peak rate at `step` (from 0): linear up over `warmup_steps`, then half a cosine down to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def build_optimizer(
    module: nn.Module, config: OptimConfig, slower: Iterable[nn.Parameter] = (), towers: Iterable[Tower] = ()
) -> torch.optim.Optimizer:
    """AdamW over what has a gradient; norms, biases, positions, class tokens and the temperature do not decay.

    Args:
        module: what is trained.
        config: rate and decay.
        slower: parameters whose rate is the peak times `text_learning_rate_factor`.
        towers: those whose blocks learn the slower the deeper they lie (`layer_decay`).
    """
    factors = {id(parameter): config.text_learning_rate_factor for parameter in slower}
    for tower in towers if config.layer_decay < 1 else ():
        for depth, block in enumerate(reversed(tower.blocks()), start=1):
            for parameter in block:
                factors[id(parameter)] = factors.get(id(parameter), 1.0) * config.layer_decay**depth
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        factor = factors.get(id(parameter), 1.0)
        if parameter.requires_grad and factor > 0:
            groups.setdefault((_decay(name, parameter, config), factor), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "factor": factor}
            for (decay, factor), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=all(parameter.device.type in _FUSED_ON for members in groups.values() for parameter in members),
    )
    # Lightning refuses to clip gradients beside a fused optimiser, which could scale them; here nothing is ever scaled.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def _decay(name: str, parameter: nn.Parameter, config: OptimConfig) -> float:
    kept = parameter.ndim < 2 or any(part in name for part in _NOT_DECAYED)
    return 0.0 if kept else config.weight_decay


def set_rate(optimizer: torch.optim.Optimizer, peak: float, factor: float) -> None:
    """Give every group its rate: the peak times the schedule's factor times the group's own."""
    for group in optimizer.param_groups:
        group["lr"] = peak * factor * group["factor"]
