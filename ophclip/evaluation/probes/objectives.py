"""What heads that are trained by gradient minimise. Shapes: N labelled seconds, C classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def label_loss(logits_nc: Tensor, truth_nc: Tensor, *, exclusive: bool) -> Tensor:
    """Cross-entropy, of presence binary over the cells where something is said; the mean over seconds, or cells.

    Args:
        logits_nc: scores [N, C].
        truth_nc: 0 or 1 [N, C], NaN where nobody said; with `exclusive` one 1 in each row.
        exclusive: whether the classes exclude each other.
    """
    if exclusive:
        return F.cross_entropy(logits_nc, truth_nc.argmax(dim=1))
    known_nc = ~torch.isnan(truth_nc)
    return F.binary_cross_entropy_with_logits(logits_nc[known_nc], truth_nc[known_nc].to(logits_nc.dtype))
