"""A batch larger than memory: its vectors are computed in parts, and each part again once its gradient is known.

This is the gradient cache of Gao et al. 2021 (section 3.2), in the form of activation checkpointing: the loss sees all
vectors, so it and its gradient are those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def encode_in_parts(
    network: nn.Module, encode: Callable[..., Tensor], inputs: Sequence[Tensor], samples: int
) -> Tensor:
    """`encode(*inputs)` with the activations of at most `samples` samples in memory; 0 takes all at once.

    Dropout draws in the second pass what it drew in the first; running statistics of batch norms inside `network`
    are those of the first pass.
    """
    if samples == 0 or len(inputs[0]) <= samples:
        return encode(*inputs)
    parts = zip(*(torch.split(tensor, samples) for tensor in inputs), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([encode(*part) for part in parts])
    kept = partial(_contexts, network)
    return torch.cat([checkpoint(encode, *part, use_reentrant=False, context_fn=kept) for part in parts])


def _contexts(network: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_kept(network)


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    """Batch norms as they are, but their running statistics take nothing up."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    counts = [None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone() for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            if count is not None and norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(count)
