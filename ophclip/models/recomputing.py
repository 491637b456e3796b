"""Gradient checkpointing: a tower forgets what is inside its blocks and computes it again in the backward pass.

Shapes: B pictures, C channels, H x W cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

STAGES = ("layer1", "layer2", "layer3", "layer4")


class RecomputedStage(nn.Sequential):
    """A stage of a residual network, computed again in the backward pass.

    The batch norms in it count each batch once: while it is computed again, their statistics stand still.
    """

    def forward(self, x_bchw: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W']."""
        if not torch.is_grad_enabled():
            return self._computed(x_bchw)
        recomputed: Tensor = checkpoint(
            self._computed, x_bchw, use_reentrant=False, context_fn=partial(counted_once, self)
        )
        return recomputed

    def _computed(self, x_bchw: Tensor) -> Tensor:
        for block in self:
            x_bchw = block(x_bchw)
        return x_bchw


def recompute_activations(network: nn.Module, *, frozen_batch_norm: bool) -> None:
    """Turn gradient checkpointing on in a visual network.

    Raises:
        ValueError: it has none, or its batch norms would count every batch twice.
    """
    if isinstance(network, ModifiedResNet):
        for name in STAGES:
            setattr(network, name, RecomputedStage(*network.get_submodule(name).children()))
        return
    if isinstance(network, TimmModel):
        if not frozen_batch_norm and any(isinstance(module, _BatchNorm) for module in network.modules()):
            raise ValueError(
                "model.visual.gradient_checkpointing: timm's batch norms would count every batch twice; "
                "set model.visual.frozen_batch_norm=true, or this to false"
            )
        network = network.trunk
    try:
        network.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AttributeError, AssertionError) as error:
        name = type(network).__name__
        raise ValueError(f"model.visual.gradient_checkpointing: {name} has none; set it to false") from error


def counted_once(network: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts of the two passes of `checkpoint`: in the second, statistics of batch norms stand still."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return nullcontext(), _standing_still(norms)


@contextmanager
def _standing_still(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, momentum, batches in before:
            norm.momentum, norm.num_batches_tracked = momentum, batches
