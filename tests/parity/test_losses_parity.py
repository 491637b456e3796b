"""Slow and obvious loops judge each loss, its value and its gradient, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ophclip.losses.contrastive import info_nce, same_group
from ophclip.losses.retrieval import draw_retrieved, live_retrieval
from ophclip.losses.views import simsiam


def _vectors(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())


def _naive_rows(visual: Tensor, text: Tensor, scale: Tensor, positives: Tensor, ignored: Tensor) -> Tensor:
    losses = []
    for i in range(len(visual)):
        mine = [j for j in range(len(text)) if positives[i, j]]
        seen = [j for j in range(len(text)) if positives[i, j] or not ignored[i, j]]
        if not mine:
            continue
        total = sum((scale * _cosine(visual[i], text[j])).exp() for j in seen)
        each = [-((scale * _cosine(visual[i], text[j])).exp() / total).log() for j in mine]
        losses.append(sum(each) / len(mine))
    return sum(losses) / len(losses) if losses else torch.zeros((), dtype=torch.float64)


def _naive_info_nce(visual: Tensor, text: Tensor, scale: Tensor, positives: Tensor, ignored: Tensor) -> Tensor:
    forth = _naive_rows(visual, text, scale, positives, ignored)
    return (forth + _naive_rows(text, visual, scale, positives.T, ignored.T)) / 2


def _same_value_and_gradient(fast: Tensor, slow: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)
    got = torch.autograd.grad(fast, leaves, retain_graph=True)
    expected = torch.autograd.grad(slow, leaves)
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_info_nce(masked: bool, shared: bool) -> None:
    visual, text = _vectors(7, 5, seed=0), _vectors(7, 5, seed=1)
    scale = torch.tensor(9.0, dtype=torch.float64, requires_grad=True)
    videos = torch.tensor([0, 0, 1, 2, 2, 2, 3])
    words = torch.tensor([1, 2, 1, 4, 5, 5, 6])
    positives = same_group(words) if shared else torch.eye(7, dtype=torch.bool)
    ignored = same_group(videos) if masked else torch.zeros(7, 7, dtype=torch.bool)
    fast = info_nce(visual, text, scale, positives if shared else None, ignored if masked else None)
    slow = _naive_info_nce(visual, text, scale, positives, ignored)
    _same_value_and_gradient(fast, slow, [visual, text, scale])


def test_info_nce_of_unequal_numbers_with_rows_that_have_no_positive() -> None:
    visual, text = _vectors(3, 4, seed=2), _vectors(5, 4, seed=3)
    scale = torch.tensor(4.0, dtype=torch.float64, requires_grad=True)
    positives = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]], dtype=torch.bool)
    ignored = torch.zeros(3, 5, dtype=torch.bool)
    ignored[1] = True
    ignored[:, 4] = True
    fast = info_nce(visual, text, scale, positives, ignored)
    _same_value_and_gradient(fast, _naive_info_nce(visual, text, scale, positives, ignored), [visual, text, scale])


def test_simsiam() -> None:
    p1, p2, z1, z2 = (_vectors(6, 5, seed=seed) for seed in range(4))
    slow = sum(-_cosine(p1[i], z2[i].detach()) - _cosine(p2[i], z1[i].detach()) for i in range(6)) / 12
    _same_value_and_gradient(simsiam(p1, p2, z1, z2), slow, [p1, p2])
    assert torch.autograd.grad(simsiam(p1, p2, z1, z2), [z1, z2], allow_unused=True) == (None, None)


def test_live_retrieval() -> None:
    silent, titles, own = _vectors(3, 5, seed=5), _vectors(6, 5, seed=6), _vectors(3, 5, seed=7)
    scale = torch.tensor(6.0, dtype=torch.float64, requires_grad=True)
    drawn = torch.tensor([[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]], dtype=torch.bool)
    words = torch.tensor([3, 4, 3])
    parts = live_retrieval(silent, titles, drawn, scale, own_title_ud=own, own_title_group_u=words)
    nothing = torch.zeros(3, 6, dtype=torch.bool)
    slow_narrated = _naive_info_nce(silent, titles, scale, drawn, nothing)
    shared = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=torch.bool)
    slow_own = _naive_info_nce(silent, own, scale, shared, nothing[:, :3])
    _same_value_and_gradient(parts.narrated_title, slow_narrated, [silent, titles, scale])
    _same_value_and_gradient(parts.own_title, slow_own, [silent, own, scale])
    assert live_retrieval(silent, titles, drawn, scale).own_title == 0


def test_draws_follow_the_softmax_of_title_score_and_visual_agreement() -> None:
    scores = torch.tensor([[0.95, 0.9, 0.85, 0.5], [0.7, 0.6, 0.5, 0.4]])
    bank = torch.nn.functional.normalize(_vectors(2, 4, 3, seed=8).detach(), dim=-1)
    visual = torch.nn.functional.normalize(_vectors(2, 3, seed=9).detach(), dim=-1)
    generator = torch.Generator().manual_seed(0)
    draws = [
        draw_retrieved(scores, bank, visual, min_score=0.8, visual_weight=2.0, generator=generator) for _ in range(4000)
    ]
    weights = [math.exp(float(scores[0, k]) + 2.0 * float(_cosine(bank[0, k], visual[0]))) for k in range(3)]
    seen = [sum(int(draw[0]) == k for draw in draws) / 4000 for k in range(4)]
    assert seen[3] == 0
    assert all(int(draw[1]) == -1 for draw in draws)
    for k in range(3):
        assert abs(seen[k] - weights[k] / sum(weights)) < 0.03
