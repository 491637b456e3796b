"""A batch larger than memory: its vectors are computed in parts, and each part again once its gradient is known.

This is the gradient cache of Gao et al. 2021 (section 3.2), in the form of activation checkpointing: the loss sees all
vectors, so it and its gradient are those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ophclip.models.recomputing import counted_once


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
    kept = partial(counted_once, network)
    return torch.cat([checkpoint(encode, *part, use_reentrant=False, context_fn=kept) for part in parts])
