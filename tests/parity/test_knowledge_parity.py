"""Losses on frozen vectors of the bank against loops, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from naive import cosine, info_nce_loop, number, same_value_and_gradient, siglip_loop, vectors
from torch import Tensor

from ophclip.losses.contrastive import same_group
from ophclip.losses.knowledge import bank_retrieval, fuse_retrieval

SCORES = torch.tensor([[0.95, 0.85, 0.2, 0.1], [0.1, 0.79, 0.3, 0.2], [0.9, 0.81, 0.99, 0.85]], dtype=torch.float64)


def _bank_loop(rows: Tensor, bank: Tensor, scale: Tensor, min_score: float) -> Tensor:
    losses = []
    for i in range(len(rows)):
        hits = [n for n in range(len(bank)) if SCORES[i, n] >= min_score]
        if not hits:
            continue
        fits = [float(scale.detach() * SCORES[i, n]) for n in hits]
        weights = [math.exp(fit - max(fits)) for fit in fits]
        total = sum((scale * cosine(rows[i], vector)).exp() for vector in bank)
        said = [((scale * cosine(rows[i], bank[n])).exp() / total).log() for n in hits]
        losses.append(-sum(w * s for w, s in zip(weights, said, strict=True)) / sum(weights))
    return sum(losses) / len(losses)


def test_bank_retrieval() -> None:
    rows, bank, scale = vectors(3, 5, seed=0), vectors(4, 5, seed=1), number(6.0)
    fast = bank_retrieval(rows, bank, SCORES, scale, min_score=0.8)
    same_value_and_gradient(fast, _bank_loop(rows, bank.detach(), scale, 0.8), [rows, scale])
    assert torch.autograd.grad(fast, [bank], allow_unused=True) == (None,)
    assert torch.autograd.gradcheck(lambda rows: bank_retrieval(rows, bank, SCORES, 6.0, min_score=0.8), (rows,))
    alone = bank_retrieval(rows[[0, 2]], bank, SCORES[[0, 2]], scale, min_score=0.8)
    torch.testing.assert_close(fast, alone)


def test_a_closed_gate_gives_nothing_and_no_gradient() -> None:
    rows, bank = vectors(3, 5, seed=0), vectors(4, 5, seed=1)
    shut = bank_retrieval(rows, bank, SCORES, 6.0, min_score=1.01)
    assert float(shut.detach()) == 0.0
    assert float(torch.autograd.grad(shut, rows)[0].abs().max()) == 0.0


@pytest.mark.parametrize("words", [None, torch.tensor([0, 1, 0, 2, 1])], ids=["distinct", "shared"])
def test_fuse_retrieval(words: Tensor | None) -> None:
    fused, titles, scale, bias = vectors(5, 4, seed=2), vectors(5, 4, seed=3), number(7.0), number(-3.0)
    hit = torch.tensor([True, False, True, False, True])
    shared = torch.eye(5, dtype=torch.bool) if words is None else same_group(words)
    positives, ignored = torch.zeros(2, 5, 5, dtype=torch.bool)
    for i in range(5):
        for j in range(5):
            positives[i, j] = shared[i, j] and hit[i] and hit[j]
            ignored[i, j] = (shared[i, j] and not positives[i, j]) or not (hit[i] or hit[j])
    fast = fuse_retrieval(fused, titles, scale, hit, title_group_b=words)
    same_value_and_gradient(fast, info_nce_loop(fused, titles, scale, positives, ignored), [fused, titles, scale])
    fast = fuse_retrieval(fused, titles, scale, hit, bias=bias, title_group_b=words)
    slow = siglip_loop(fused, titles, (scale, bias), positives, ignored)
    same_value_and_gradient(fast, slow, [fused, titles, scale, bias])
    assert float(fuse_retrieval(fused, titles, scale, torch.zeros(5, dtype=torch.bool)).detach()) == 0.0
