"""Agreement of two augmented views of a clip.

SimSiam: Chen and He 2021, eq. 1 and 2. SimCLR: Chen et al. 2020, eq. 1.
Legend of shapes: n clips, d width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ophclip.losses.gather import gather_constant, gather_with_gradient, mean_over_ranks, row_numbers
from ophclip.losses.pairs import Comparison, Groups, softmax_rows


def simsiam(
    predicted_first_nd: Tensor, predicted_second_nd: Tensor, projected_first_nd: Tensor, projected_second_nd: Tensor
) -> Tensor:
    """Negative cosine between each view's prediction and the other view's projection, which gets no gradient.

    Returns:
        A scalar in -1 (views agree) .. 1.
    """
    first = F.cosine_similarity(predicted_first_nd, projected_second_nd.detach(), dim=-1).mean()
    second = F.cosine_similarity(predicted_second_nd, projected_first_nd.detach(), dim=-1).mean()
    return -(first + second) / 2


def simclr(first_nd: Tensor, second_nd: Tensor, scale: Tensor | float, ignored_group_n: Tensor | None = None) -> Tensor:
    """NT-Xent: each view must find the other view of its clip among both views of all clips of all ranks.

    Args:
        first_nd: projections of one view of each clip, normalised here.
        second_nd: projections of the other view.
        scale: factor of the cosines, the inverse temperature.
        ignored_group_n: clips of equal number (of one video) are not each other's negatives.

    Returns:
        A scalar, the mean over both views.
    """
    first, second = F.normalize(first_nd, dim=-1), F.normalize(second_nd, dim=-1)
    every_first, every_second = gather_with_gradient(first), gather_with_gradient(second)
    clip_n = row_numbers(len(first), first.device)
    # A view is compared with itself too, as a column that shares its number of what is ignored and is no positive.
    ignored_n = clip_n if ignored_group_n is None else ignored_group_n
    groups = Groups(clip_n, ignored_n)
    clip_m, ignored_m = gather_constant(clip_n), gather_constant(ignored_n)
    others = Groups(torch.cat([clip_m, torch.full_like(clip_m, -1)]), torch.cat([ignored_m, ignored_m]))
    there = Comparison(groups, others)
    of_first = softmax_rows(first, torch.cat([every_second, every_first]), scale, there)
    of_second = softmax_rows(second, torch.cat([every_first, every_second]), scale, there)
    return (mean_over_ranks(*of_first) + mean_over_ranks(*of_second)) / 2
