"""Losses as slow and obvious loops over cosines, and what it means to agree with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def vectors(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def rows_loss(
    visual: Tensor,
    text: Tensor,
    scale: Tensor,
    positives: Tensor,
    ignored: Tensor,
    *,
    counterparts: dict[int, tuple[Tensor, float]] | None = None,
) -> Tensor:
    losses = []
    for i in range(len(visual)):
        mine = [j for j in range(len(text)) if positives[i, j]]
        seen = [j for j in range(len(text)) if positives[i, j] or not ignored[i, j]]
        if not mine:
            continue
        total = sum((scale * cosine(visual[i], text[j])).exp() for j in seen)
        if counterparts and i in counterparts:
            vector, weight = counterparts[i]
            total = total + weight * (scale * cosine(visual[i], vector)).exp()
        each = [-((scale * cosine(visual[i], text[j])).exp() / total).log() for j in mine]
        losses.append(sum(each) / len(mine))
    return sum(losses) / len(losses) if losses else torch.zeros((), dtype=torch.float64)


def info_nce_loop(
    visual: Tensor,
    text: Tensor,
    scale: Tensor,
    positives: Tensor,
    ignored: Tensor,
    *,
    counterparts: dict[int, tuple[Tensor, float]] | None = None,
) -> Tensor:
    forth = rows_loss(visual, text, scale, positives, ignored, counterparts=counterparts)
    return (forth + rows_loss(text, visual, scale, positives.T, ignored.T)) / 2


def siglip_loop(
    visual: Tensor, text: Tensor, scale_and_bias: tuple[Tensor, Tensor], positives: Tensor, ignored: Tensor
) -> Tensor:
    scale, bias = scale_and_bias
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(visual)):
        for j in range(len(text)):
            logit = scale * cosine(visual[i], text[j]) + bias
            if positives[i, j]:
                total = total - (1 / (1 + (-logit).exp())).log()
            elif not ignored[i, j]:
                total = total - (1 / (1 + logit.exp())).log()
    return total / len(visual)


def same_value_and_gradient(fast: Tensor, slow: Tensor, leaves: Sequence[Tensor]) -> None:
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)
    got = torch.autograd.grad(fast, leaves, retain_graph=True)
    expected = torch.autograd.grad(slow, leaves)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
