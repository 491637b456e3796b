"""Contrastive losses between pictures and texts, written as tables of which belong together (OphCLIP section 3.2).

InfoNCE: van den Oord et al. 2018, eq. 4. SigLIP: Zhai et al. 2023, eq. 1. A table [n, m] grows with the square of the
batch; for the pairs of a batch, `pairs.py` gives the same numbers without one.
Legend of shapes: n visual vectors, m text vectors, d width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(
    visual_nd: Tensor,
    text_md: Tensor,
    scale: Tensor | float,
    positives_nm: Tensor | None = None,
    ignored_nm: Tensor | None = None,
) -> Tensor:
    """Mean of the two directions, visual to text and text to visual, each a mean over rows that have a positive.

    Args:
        visual_nd: vectors of pictures; normalised here, so that products are cosines.
        text_md: vectors of texts, normalised here.
        scale: factor of the cosines, the inverse temperature.
        positives_nm: True where a picture belongs to a text; the target is uniform over a row's positives.
            Without it n must equal m and row i belongs to text i.
        ignored_nm: True where a pair is neither positive nor negative; a positive is never ignored.

    Returns:
        A scalar; zero, with gradient, where no row has a positive.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    positives = _positives(visual_nd, text_md, positives_nm)
    logits = scale * F.normalize(visual_nd, dim=-1) @ F.normalize(text_md, dim=-1).T
    ignored = torch.zeros_like(positives) if ignored_nm is None else ignored_nm & ~positives
    return (_one_direction(logits, positives, ignored) + _one_direction(logits.T, positives.T, ignored.T)) / 2


def siglip(
    visual_nd: Tensor,
    text_md: Tensor,
    scale: Tensor | float,
    bias: Tensor | float,
    *,
    positives_nm: Tensor | None = None,
    ignored_nm: Tensor | None = None,
) -> Tensor:
    """Each pair judged by itself: -log sigmoid of its logit, of minus its logit where the two do not belong together.

    Args:
        visual_nd: vectors of pictures, normalised here.
        text_md: vectors of texts, normalised here.
        scale: factor of the cosines.
        bias: added to the logits; starts far below zero, since most pairs do not belong together.
        positives_nm: True where a picture belongs to a text. Without it n must equal m and row i belongs to text i.
        ignored_nm: True where a pair is neither positive nor negative; a positive is never ignored.

    Returns:
        The sum over pairs a picture: a scalar.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    positives = _positives(visual_nd, text_md, positives_nm)
    logits = scale * F.normalize(visual_nd, dim=-1) @ F.normalize(text_md, dim=-1).T + bias
    loss_nm = -F.logsigmoid(torch.where(positives, logits, -logits))
    if ignored_nm is not None:
        loss_nm = loss_nm.masked_fill(ignored_nm & ~positives, 0.0)
    return loss_nm.sum() / max(1, len(visual_nd))


def contrast(
    visual_nd: Tensor,
    text_md: Tensor,
    scale: Tensor | float,
    bias: Tensor | None,
    *,
    positives_nm: Tensor | None = None,
    ignored_nm: Tensor | None = None,
) -> Tensor:
    """`siglip` of a model that has a bias, `info_nce` of one that has none."""
    if bias is None:
        return info_nce(visual_nd, text_md, scale, positives_nm, ignored_nm)
    return siglip(visual_nd, text_md, scale, bias, positives_nm=positives_nm, ignored_nm=ignored_nm)


def same_group(groups_n: Tensor, others_m: Tensor | None = None) -> Tensor:
    """True where two rows carry the same number [n, m]: clips of one video, or texts of the same words."""
    others = groups_n if others_m is None else others_m
    return groups_n[:, None] == others[None, :]


def _positives(visual_nd: Tensor, text_md: Tensor, positives_nm: Tensor | None) -> Tensor:
    n, m = visual_nd.shape[0], text_md.shape[0]
    if positives_nm is None:
        if n != m:
            raise ValueError(f"contrast: {n} pictures against {m} texts; say in positives_nm which belong together")
        return torch.eye(n, dtype=torch.bool, device=visual_nd.device)
    if positives_nm.shape != (n, m):
        raise ValueError(f"contrast: expected positives of shape [{n}, {m}], found {list(positives_nm.shape)}")
    return positives_nm


def _one_direction(logits_nm: Tensor, positives_nm: Tensor, ignored_nm: Tensor) -> Tensor:
    counts_n = positives_nm.sum(dim=1)
    # A row without a positive adds nothing, but one of nothing but -inf would turn the gradient into NaN.
    logits_nm = logits_nm.masked_fill(ignored_nm & (counts_n > 0)[:, None], -torch.inf)
    log_probability_nm = logits_nm.log_softmax(dim=1).masked_fill(~positives_nm, 0.0)
    loss_n = -log_probability_nm.sum(dim=1) / counts_n.clamp(min=1)
    return loss_n.sum() / (counts_n > 0).sum().clamp(min=1)
