"""Frozen vectors of the knowledge bank as an auxiliary signal at video level (OphCLIP section 3.3; docs/method.md).

Both losses see one table: n distinct silent videos, those that the titles of the batch retrieved, and how well each
title fits each of them. Under the gate a silent video is none of a title's hits.
Legend of shapes: b narrated videos, n silent videos, d width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ophclip.losses.contrastive import contrast, same_group
from ophclip.losses.gather import mean_over_ranks


def bank_retrieval(
    rows_bd: Tensor, bank_nd: Tensor, scores_bn: Tensor, scale: Tensor | float, *, min_score: float
) -> Tensor:
    """Cross entropy between what a narrated video's vector says of the table and what its title found there.

    The target of a row is softmax(scale * score) over its hits, the rest of the table are its negatives. Rows without a
    hit add nothing. Neither bank nor scores nor the scale of the target carry gradient.

    Args:
        rows_bd: visual vectors, or title vectors, of the narrated videos; normalised here.
        bank_nd: title vectors of the silent videos for visual rows, visual vectors for titles; normalised here.
        scores_bn: cosines between the narrated titles and the keys of the silent videos.
        scale: inverse temperature.
        min_score: gate on the score.

    Returns:
        A scalar, the mean over the rows of all ranks that have a hit; zero, with gradient, if none has.
    """
    hits_bn = scores_bn.detach() >= min_score
    hit_b = hits_bn.any(dim=1)
    fit_bn = (torch.as_tensor(scale).detach() * scores_bn.detach()).masked_fill(~hits_bn, -torch.inf)
    target_bn = fit_bn.softmax(dim=1).masked_fill(~hits_bn, 0.0)
    logits_bn = scale * F.normalize(rows_bd, dim=-1) @ F.normalize(bank_nd.detach(), dim=-1).T
    loss_b = -(target_bn * logits_bn.log_softmax(dim=1)).sum(dim=1)
    return mean_over_ranks(loss_b.sum(), hit_b.sum())


def fuse_retrieval(
    fused_bd: Tensor,
    title_bd: Tensor,
    scale: Tensor | float,
    hit_b: Tensor,
    *,
    bias: Tensor | None = None,
    title_group_b: Tensor | None = None,
) -> Tensor:
    """Contrast of enriched visual vectors with titles, over the videos whose title has a hit.

    Videos without one, whose vectors nothing has enriched, are negatives alone.

    Args:
        fused_bd: visual vectors of the narrated videos, enriched by what was retrieved; of all ranks.
        title_bd: their titles, of all ranks.
        scale: inverse temperature.
        hit_b: True where something was retrieved.
        bias: of the logits; with it the pairs are contrasted by SigLIP instead of InfoNCE.
        title_group_b: a number for each title, equal for equal words; without it no two are equal.
    """
    own_bb = torch.eye(len(fused_bd), dtype=torch.bool, device=fused_bd.device)
    shared_bb = own_bb if title_group_b is None else same_group(title_group_b)
    positives_bb = shared_bb & hit_b[:, None] & hit_b
    ignored_bb = (shared_bb & ~positives_bb) | ~(hit_b[:, None] | hit_b)
    return contrast(fused_bd, title_bd, scale, bias, positives_nm=positives_bb, ignored_nm=ignored_bb)
