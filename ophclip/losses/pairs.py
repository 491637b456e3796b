"""Contrast of the pairs of all ranks in memory that grows with the batch and not with its square.

A rank compares its own rows with the columns of all ranks, a few hundred rows at a time. What belongs together is told
by numbers instead of tables, and the gradient of a block is taken while its logits are there, so that no logits outlive
their block and none are computed twice. The results are those of `contrastive.py`; how ranks share: `gather.py`.
Legend of shapes: n pairs of this rank, m pairs of all ranks, c rows of a block, d width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from ophclip.losses.gather import gather_constant, gather_with_gradient, mean_over_ranks
from ophclip.losses.minimal_pairs import Counterparts

ROWS_OF_A_BLOCK = 512


class Groups(NamedTuple):
    """Numbers of rows, int64: which columns are positives of a row and which are neither positive nor negative."""

    positive_n: Tensor
    """Equal numbers, a positive."""
    ignored_n: Tensor | None = None
    """Equal numbers, no negative; a positive is never ignored."""

    def gathered(self) -> Groups:
        """Those of all ranks [m]."""
        ignored = None if self.ignored_n is None else gather_constant(self.ignored_n)
        return Groups(gather_constant(self.positive_n), ignored)


class Comparison(NamedTuple):
    """What rows are to columns, and how many rows are compared at a time."""

    rows: Groups
    columns: Groups
    rows_of_a_block: int = ROWS_OF_A_BLOCK

    def relations(self, part: slice) -> tuple[Tensor, Tensor | None]:
        """For some rows: True where a column is a positive [c, m], and where it is neither positive nor negative."""
        positive_cm = self.rows.positive_n[part, None] == self.columns.positive_n
        if self.rows.ignored_n is None or self.columns.ignored_n is None:
            return positive_cm, None
        ignored_cm = self.rows.ignored_n[part, None] == self.columns.ignored_n
        return positive_cm, ignored_cm.logical_and_(~positive_cm)


class RowSums(NamedTuple):
    """Sum of the losses of rows, a scalar with gradient, and how many rows it is over."""

    loss: Tensor
    rows: Tensor


def info_nce_of_pairs(
    visual_nd: Tensor,
    text_nd: Tensor,
    scale: Tensor | float,
    groups: Groups,
    *,
    counterparts: Counterparts | None = None,
    rows_of_a_block: int = ROWS_OF_A_BLOCK,
) -> Tensor:
    """`contrastive.info_nce` of the pairs of all ranks; row i of either side is a pair.

    Args:
        visual_nd: vectors of pictures, normalised here.
        text_nd: vectors of texts, normalised here.
        scale: factor of the cosines, the inverse temperature.
        groups: which texts are equal, and which pairs are left out of each other's negatives.
        counterparts: a further negative for some pictures.
        rows_of_a_block: how many rows are compared at a time; the result does not depend on it.
    """
    visual, text = F.normalize(visual_nd, dim=-1), F.normalize(text_nd, dim=-1)
    others, every_visual, every_text = groups.gathered(), gather_with_gradient(visual), gather_with_gradient(text)
    harder_n = None if counterparts is None else counterparts.logits(visual, scale)
    there = Comparison(groups, others, rows_of_a_block)
    forth = softmax_rows(visual, every_text, scale, there, harder_n)
    back = softmax_rows(text, every_visual, scale, there)
    return (mean_over_ranks(*forth) + mean_over_ranks(*back)) / 2


def siglip_of_pairs(
    visual_nd: Tensor,
    text_nd: Tensor,
    scale: Tensor | float,
    bias: Tensor | float,
    groups: Groups,
    *,
    counterparts: Counterparts | None = None,
    rows_of_a_block: int = ROWS_OF_A_BLOCK,
) -> Tensor:
    """`contrastive.siglip` of the pairs of all ranks, with a bias; for the other arguments see `info_nce_of_pairs`."""
    visual, text = F.normalize(visual_nd, dim=-1), F.normalize(text_nd, dim=-1)
    others, every_text = groups.gathered(), gather_with_gradient(text)
    sums = _row_sums(_sigmoid, (visual, every_text, scale, bias), Comparison(groups, others, rows_of_a_block))
    if counterparts is not None:
        sums = sums._replace(loss=sums.loss + counterparts.sigmoid_loss(visual, scale, bias))
    return mean_over_ranks(*sums)


def softmax_rows(
    rows_nd: Tensor, columns_md: Tensor, scale: Tensor | float, comparison: Comparison, harder_n: Tensor | None = None
) -> RowSums:
    """One direction of InfoNCE: the sum over rows that have a positive, and their number.

    Args:
        rows_nd: unit vectors.
        columns_md: unit vectors that each row is compared with.
        scale: factor of the cosines.
        comparison: which columns are positives and negatives of a row.
        harder_n: logits of one more negative for each row, -inf where it has none.
    """
    return _row_sums(_softmax, (rows_nd, columns_md, scale, 0.0), comparison, harder_n)


class _Block(NamedTuple):
    """Loss of a block of rows, how many of them count, and the derivatives by logits and by further negatives."""

    loss: Tensor
    rows: Tensor
    slope_cm: Tensor
    harder_slope_c: Tensor


_Rule: TypeAlias = Callable[[Tensor, Tensor, Tensor | None, Tensor], _Block]


def _softmax(logits_cm: Tensor, positive_cm: Tensor, ignored_cm: Tensor | None, harder_c: Tensor) -> _Block:
    counts_c = positive_cm.sum(dim=1)
    idle_c = counts_c == 0
    target_cm = positive_cm.to(logits_cm) / counts_c.clamp(min=1)[:, None]
    agreement_c = (logits_cm * target_cm).sum(dim=1)
    if ignored_cm is not None:
        logits_cm = logits_cm.masked_fill(ignored_cm, -torch.inf)
    mass_c = torch.logaddexp(logits_cm.logsumexp(dim=1), harder_c)
    slope_cm = (logits_cm - mass_c[:, None]).exp_().sub_(target_cm).masked_fill_(idle_c[:, None], 0.0)
    harder_slope_c = (harder_c - mass_c).exp().masked_fill(idle_c, 0.0)
    return _Block((mass_c - agreement_c).masked_fill(idle_c, 0.0).sum(), (~idle_c).sum(), slope_cm, harder_slope_c)


def _sigmoid(logits_cm: Tensor, positive_cm: Tensor, ignored_cm: Tensor | None, harder_c: Tensor) -> _Block:
    against_cm = torch.where(positive_cm, -logits_cm, logits_cm)
    loss_cm, slope_cm = F.logsigmoid(-against_cm).neg_(), against_cm.sigmoid()
    slope_cm = torch.where(positive_cm, -slope_cm, slope_cm)
    if ignored_cm is not None:
        loss_cm, slope_cm = loss_cm.masked_fill_(ignored_cm, 0.0), slope_cm.masked_fill_(ignored_cm, 0.0)
    rows = torch.tensor(len(logits_cm), device=logits_cm.device)
    return _Block(loss_cm.sum(), rows, slope_cm, torch.zeros_like(harder_c))


def _row_sums(
    rule: _Rule,
    compared: tuple[Tensor, Tensor, Tensor | float, Tensor | float],
    comparison: Comparison,
    harder_n: Tensor | None = None,
) -> RowSums:
    """Sums by `rule` over (rows [n, d], columns [m, d], scale, bias)."""
    rows_nd, columns_md = compared[:2]
    scale, bias = (torch.as_tensor(one, dtype=rows_nd.dtype, device=rows_nd.device) for one in compared[2:])
    if harder_n is None:
        harder_n = rows_nd.new_full((len(rows_nd),), -torch.inf)
    inputs = (rows_nd, columns_md, scale, bias, harder_n)
    return RowSums(*_RowSums.apply(rule, comparison, *inputs))  # type: ignore[no-untyped-call]


class _RowSums(torch.autograd.Function):
    """Sums over rows whose gradient is complete when the forward pass is: vectors are kept for it, no logits."""

    @staticmethod
    def forward(ctx: Any, rule: _Rule, comparison: Comparison, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        rows_nd, columns_md, scale, bias, harder_n = inputs
        loss, counted = rows_nd.new_zeros(()), torch.zeros((), dtype=torch.int64, device=rows_nd.device)
        by_rows, by_columns, by_scale, by_bias, by_harder = gradients = [torch.zeros_like(one) for one in inputs]
        for first in range(0, len(rows_nd), comparison.rows_of_a_block):
            part = slice(first, first + comparison.rows_of_a_block)
            cosine_cm = rows_nd[part] @ columns_md.T
            block = rule(scale * cosine_cm + bias, *comparison.relations(part), harder_n[part])
            loss += block.loss
            counted += block.rows
            by_rows[part] = block.slope_cm @ columns_md * scale
            by_columns.addmm_(block.slope_cm.T, rows_nd[part] * scale)
            by_bias += block.slope_cm.sum()
            by_scale += block.slope_cm.mul_(cosine_cm).sum()
            by_harder[part] = block.harder_slope_c
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(counted)
        return loss, counted

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_loss: Tensor, _by_counted: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(one * by_loss for one in ctx.saved_tensors)
