"""Retrieved silent videos, loaded and encoded, as an auxiliary signal at video level (`live` mode, docs/method.md).

Legend of shapes: b narrated videos, u distinct silent videos retrieved for them, k neighbours, d width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ophclip.data.sampler import Part
from ophclip.losses.contrastive import contrast, same_group


class RetrievalLoss(NamedTuple):
    """The two parts of the loss; their sum is what is optimised."""

    narrated_title: Tensor
    own_title: Tensor


def draw_retrieved(
    scores_bk: Tensor,
    bank_visual_bkd: Tensor,
    visual_bd: Tensor,
    *,
    min_score: float,
    visual_weight: float,
    generator: torch.Generator,
    part: Part | None = None,
) -> Tensor:
    """Draw one of the neighbours of each narrated video, those under the gate excepted.

    The chance of a neighbour is softmax(title score + `visual_weight` * cosine of its bank visual vector with the
    narrated video's). Nothing here carries gradient.

    Args:
        scores_bk: title cosines of the neighbours.
        bank_visual_bkd: their visual vectors, normalised.
        visual_bd: visual vectors of the narrated videos, normalised.
        min_score: gate on the title cosine.
        visual_weight: see above.
        generator: on the CPU; the only source of chance.
        part: these narrated videos are a stretch of more, and draw what they would draw among all of them.

    Returns:
        int64 [b], the neighbour drawn, -1 where the gate let none pass; on the CPU.
    """
    agreement_bk = torch.einsum("bkd,bd->bk", bank_visual_bkd.float(), visual_bd.detach().float())
    logits_bk = (scores_bk + visual_weight * agreement_bk).detach().cpu().double()
    passed_bk = scores_bk.detach().cpu() >= min_score
    drawn, mine = (len(logits_bk), slice(None)) if part is None else (part.total, part.rows)
    uniform_bk = torch.rand((drawn, logits_bk.shape[1]), generator=generator, dtype=torch.float64)[mine]
    gumbel_bk = -torch.log(-torch.log(uniform_bk.clamp_min(1e-12)))
    drawn_b = (logits_bk + gumbel_bk).masked_fill(~passed_bk, -torch.inf).argmax(dim=1)
    return torch.where(passed_bk.any(dim=1), drawn_b, torch.full_like(drawn_b, -1))


def drawn_table(number_u: Tensor, drawn_number_b: Tensor, title_group_b: Tensor | None = None) -> Tensor:
    """True where narrated video b drew silent video u, or has the same title as one that did [u, b].

    Args:
        number_u: number of each silent video, of all ranks.
        drawn_number_b: number of the silent video that each narrated video drew, -1 where it drew none.
        title_group_b: a number for each title, equal for equal words; without it titles share nothing.
    """
    drawn_ub = same_group(number_u, drawn_number_b)
    if title_group_b is None:
        return drawn_ub
    return (drawn_ub.float() @ same_group(title_group_b).float()) > 0


def live_retrieval(
    silent_visual_ud: Tensor,
    title_bd: Tensor,
    drawn_ub: Tensor,
    scale: Tensor | float,
    *,
    bias: Tensor | None = None,
    own_title_ud: Tensor | None = None,
    own_title_group_u: Tensor | None = None,
) -> RetrievalLoss:
    """Loss of silent videos that were encoded with gradient.

    A silent video is a positive of every narrated title that drew it, against all titles of the batch (and those
    titles against all silent videos retrieved). With `own_title_ud` it is also a pair with its own title among the
    titles of the silent videos retrieved; equal titles share their positives.

    Args:
        silent_visual_ud: visual vectors of the retrieved silent videos.
        title_bd: titles of the narrated videos.
        drawn_ub: True where narrated video b drew silent video u, or has the same title as one that did.
        scale: inverse temperature.
        bias: of the logits; with it the pairs are contrasted by SigLIP instead of InfoNCE.
        own_title_ud: title vectors of the silent videos.
        own_title_group_u: a number for each title, equal for equal words; without it no two are equal.
    """
    narrated = contrast(silent_visual_ud, title_bd, scale, bias, positives_nm=drawn_ub)
    if own_title_ud is None:
        return RetrievalLoss(narrated, narrated.new_zeros(()))
    shared_uu = None if own_title_group_u is None else same_group(own_title_group_u)
    return RetrievalLoss(narrated, contrast(silent_visual_ud, own_title_ud, scale, bias, positives_nm=shared_uu))
