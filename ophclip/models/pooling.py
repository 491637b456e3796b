"""From the frames of a clip or video to one vector. Untrained, every pooling is the mean.

Shapes: B clips or videos, T frames of each, D the width of the common space. Batches are never padded: training draws
equally many frames of every sample, and spans of different lengths are pooled apart (`embed.pool_spans`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ophclip.model_options import FramePooling

_FINEST = 64.0
"""Half turns of the fastest wave over a video: the ancestors draw at most 64 frames, and these stay apart."""
_HEAD_WIDTH = 64


class MeanPooling(nn.Module):
    """The mean over frames."""

    def forward(self, vectors_btd: Tensor) -> Tensor:
        """Unit frame vectors [B, T, D] -> [B, D]."""
        return vectors_btd.mean(dim=1)


class AttentionPooling(nn.Module):
    """A mean weighted by how well each frame answers one learned query, which begins at zero: equal weights."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query_d = nn.Parameter(torch.zeros(dim))

    def forward(self, vectors_btd: Tensor) -> Tensor:
        """Unit frame vectors [B, T, D] -> [B, D]."""
        weights_bt = (vectors_btd @ self.query_d).softmax(dim=1)
        return (weights_bt.unsqueeze(1) @ vectors_btd).squeeze(1)


class TemporalTransformerPooling(nn.Module):
    """One transformer layer over the frames in their order, added to them, then the mean.

    What it adds begins at zero. A frame's place is its share of the way through the clip, so that clips of any length
    can be pooled.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        heads = next(heads for heads in range(max(dim // _HEAD_WIDTH, 1), 0, -1) if dim % heads == 0)
        self.layer = nn.TransformerEncoderLayer(
            dim, heads, dim_feedforward=2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.added = nn.Linear(dim, dim)
        nn.init.zeros_(self.added.weight)
        nn.init.zeros_(self.added.bias)

    def forward(self, vectors_btd: Tensor) -> Tensor:
        """Unit frame vectors [B, T, D] -> [B, D]."""
        placed_btd = vectors_btd + _places(vectors_btd)
        added_btd: Tensor = self.added(self.layer(placed_btd))
        return (vectors_btd + added_btd).mean(dim=1)


def build_pooling(pooling: FramePooling, dim: int) -> nn.Module:
    """The pooling that `model.pooling` names."""
    if pooling is FramePooling.ATTENTION:
        return AttentionPooling(dim)
    return TemporalTransformerPooling(dim) if pooling is FramePooling.TEMPORAL_TRANSFORMER else MeanPooling()


def _places(vectors_btd: Tensor) -> Tensor:
    """Unit vectors [T, D] of waves, slow to fast, read at each frame's share of the way."""
    frames, dim = vectors_btd.shape[1:]
    pairs = math.ceil(dim / 2)
    shares_t = torch.linspace(0, 1, frames, device=vectors_btd.device)
    turns_p = math.pi * _FINEST ** torch.linspace(0, 1, pairs, device=vectors_btd.device)
    angles_tp = shares_t[:, None] * turns_p
    waves_td = torch.cat([angles_tp.sin(), angles_tp.cos()], dim=1)[:, :dim] / math.sqrt(pairs)
    return waves_td.to(vectors_btd.dtype)
