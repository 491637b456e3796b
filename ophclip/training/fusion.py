"""Attention of a narrated video's vector over vectors of the bank (`retrieval.mode=fuse`).

It serves training alone: a bundle carries only the towers, so at evaluation a video's vector stands for itself.
Legend of shapes: b narrated videos, n silent videos, d width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Fusion(nn.Module):
    """One head of attention behind a gate, closed at first, so that training begins with the vectors unchanged."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, visual_bd: Tensor, title_nd: Tensor, silent_nd: Tensor, hits_bn: Tensor) -> Tensor:
        """Narrated vectors plus what they attend to among both vectors of their hits [b, d].

        Args:
            visual_bd: visual vectors of the narrated videos.
            title_nd: title vectors of the silent videos, of length one, no gradient.
            silent_nd: their visual vectors, likewise.
            hits_bn: True where a silent video is a hit; a row without any comes back as it went in.
        """
        bank_md, seen_bm = torch.cat([title_nd, silent_nd]), torch.cat([hits_bn, hits_bn], dim=1)
        # Vectors of length one have entries of about 1 / sqrt(d); attention expects entries of about one.
        sharpness = math.sqrt(visual_bd.shape[1])
        logits_bm = sharpness * self.query(F.normalize(visual_bd, dim=-1)) @ self.key(bank_md).T
        weights_bm = logits_bm.masked_fill(~seen_bm, torch.finfo(logits_bm.dtype).min).softmax(dim=1)
        found_bd = weights_bm.masked_fill(~seen_bm, 0.0) @ self.value(bank_md)
        enriched_bd: Tensor = visual_bd + self.gate.tanh() * found_bd
        return enriched_bd
