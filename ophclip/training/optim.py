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


def rate_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Factor of the peak rate at `step` (from 0): linear up over `warmup_steps`, then half a cosine down to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


def build_optimizer(
    module: nn.Module, config: OptimConfig, slower: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """AdamW over what has a gradient; vectors and scalars (biases, norms, the temperature) do not decay.

    Args:
        module: what is trained.
        config: rate and decay.
        slower: parameters whose rate is the peak times `text_learning_rate_factor`.
    """
    factors = {id(parameter): config.text_learning_rate_factor for parameter in slower}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in module.parameters():
        if parameter.requires_grad:
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((decay, factors.get(id(parameter), 1.0)), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "factor": factor}
            for (decay, factor), parameters in groups.items()
            if factor > 0
        ],
        lr=config.learning_rate,
    )


def set_rate(optimizer: torch.optim.Optimizer, peak: float, factor: float) -> None:
    """Give every group its rate: the peak times the schedule's factor times the group's own."""
    for group in optimizer.param_groups:
        group["lr"] = peak * factor * group["factor"]
