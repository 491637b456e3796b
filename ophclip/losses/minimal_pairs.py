"""Minimal pairs: a text in which one word says the opposite is a further negative of its picture alone.

As in NegCLIP (Yuksekgonul et al. 2023), with a weight.
Legend of shapes: n pictures, p of them with a counterpart, d width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Counterparts(NamedTuple):
    """Texts that contradict those of some pictures in one word."""

    text_pd: Tensor
    """Their vectors."""
    row_p: Tensor
    """Which picture each contradicts: int64, none twice."""
    weight: float
    """How many negatives each counts for; 0 leaves it without effect."""

    def cosines(self, visual_nd: Tensor) -> Tensor:
        """Cosine of each counterpart with its picture [p]."""
        return F.cosine_similarity(visual_nd[self.row_p], self.text_pd, dim=-1)

    def logits(self, visual_nd: Tensor, scale: Tensor | float) -> Tensor:
        """Logits of the further negatives for a softmax [n], -inf where a picture has none.

        A negative that counts `weight` times has the logarithm of it added to its logit.
        """
        absent_n = visual_nd.new_full((len(visual_nd),), -torch.inf)
        if self.weight == 0:
            return absent_n
        return absent_n.index_copy(0, self.row_p, scale * self.cosines(visual_nd) + math.log(self.weight))

    def sigmoid_loss(self, visual_nd: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
        """Sum of the losses of the further negatives where each pair is judged by itself: a scalar."""
        return -self.weight * F.logsigmoid(-scale * self.cosines(visual_nd) - bias).sum()


def told_apart(visual_nd: Tensor, text_nd: Tensor, counterparts: Counterparts) -> Tensor:
    """Which pictures are nearer to their text than to its counterpart [p]."""
    rows = counterparts.row_p
    return F.cosine_similarity(visual_nd[rows], text_nd[rows], dim=-1) > counterparts.cosines(visual_nd)
