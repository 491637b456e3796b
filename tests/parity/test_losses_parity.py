"""Slow and obvious loops judge each loss, its value and its gradient, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from naive import cosine, info_nce_loop, number, same_value_and_gradient, siglip_loop, vectors

from ophclip.losses.contrastive import info_nce, same_group, siglip
from ophclip.losses.retrieval import draw_retrieved, live_retrieval
from ophclip.losses.views import simsiam


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_info_nce(masked: bool, shared: bool) -> None:
    visual, text = vectors(7, 5, seed=0), vectors(7, 5, seed=1)
    scale = number(9.0)
    videos = torch.tensor([0, 0, 1, 2, 2, 2, 3])
    words = torch.tensor([1, 2, 1, 4, 5, 5, 6])
    positives = same_group(words) if shared else torch.eye(7, dtype=torch.bool)
    ignored = same_group(videos) if masked else torch.zeros(7, 7, dtype=torch.bool)
    fast = info_nce(visual, text, scale, positives if shared else None, ignored if masked else None)
    slow = info_nce_loop(visual, text, scale, positives, ignored)
    same_value_and_gradient(fast, slow, [visual, text, scale])


def test_info_nce_of_unequal_numbers_with_rows_that_have_no_positive() -> None:
    visual, text = vectors(3, 4, seed=2), vectors(5, 4, seed=3)
    scale = number(4.0)
    positives = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]], dtype=torch.bool)
    ignored = torch.zeros(3, 5, dtype=torch.bool)
    ignored[1] = True
    ignored[:, 4] = True
    fast = info_nce(visual, text, scale, positives, ignored)
    same_value_and_gradient(fast, info_nce_loop(visual, text, scale, positives, ignored), [visual, text, scale])


@pytest.mark.parametrize("masked", [False, True])
def test_siglip(masked: bool) -> None:
    visual, text, scale, bias = vectors(5, 4, seed=0), vectors(6, 4, seed=1), number(10.0), number(-3.0)
    positives = same_group(torch.tensor([0, 1, 1, 2, 9]), torch.tensor([0, 1, 2, 2, 3, 0]))
    ignored = same_group(torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 0, 1, 2, 2, 2]))
    nothing = torch.zeros_like(ignored)
    fast = siglip(visual, text, scale, bias, positives_nm=positives, ignored_nm=ignored if masked else None)
    slow = siglip_loop(visual, text, (scale, bias), positives, ignored if masked else nothing)
    same_value_and_gradient(fast, slow, [visual, text, scale, bias])


def test_shapes_that_do_not_fit_are_told() -> None:
    visual, text = vectors(2, 4, seed=0), vectors(3, 4, seed=1)
    with pytest.raises(ValueError, match="2 pictures against 3 texts; say in positives_nm"):
        info_nce(visual, text, 1.0)
    with pytest.raises(ValueError, match=r"expected positives of shape \[2, 3\], found \[3, 2\]"):
        siglip(visual, text, 1.0, 0.0, positives_nm=torch.zeros(3, 2, dtype=torch.bool))


def test_simsiam() -> None:
    p1, p2, z1, z2 = (vectors(6, 5, seed=seed) for seed in range(4))
    slow = sum(-cosine(p1[i], z2[i].detach()) - cosine(p2[i], z1[i].detach()) for i in range(6)) / 12
    same_value_and_gradient(simsiam(p1, p2, z1, z2), slow, [p1, p2])
    assert torch.autograd.grad(simsiam(p1, p2, z1, z2), [z1, z2], allow_unused=True) == (None, None)


def test_live_retrieval() -> None:
    silent, titles, own = vectors(3, 5, seed=5), vectors(6, 5, seed=6), vectors(3, 5, seed=7)
    scale = number(6.0)
    drawn = torch.tensor([[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]], dtype=torch.bool)
    words = torch.tensor([3, 4, 3])
    parts = live_retrieval(silent, titles, drawn, scale, own_title_ud=own, own_title_group_u=words)
    nothing = torch.zeros(3, 6, dtype=torch.bool)
    slow_narrated = info_nce_loop(silent, titles, scale, drawn, nothing)
    shared = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=torch.bool)
    slow_own = info_nce_loop(silent, own, scale, shared, nothing[:, :3])
    same_value_and_gradient(parts.narrated_title, slow_narrated, [silent, titles, scale])
    same_value_and_gradient(parts.own_title, slow_own, [silent, own, scale])
    assert live_retrieval(silent, titles, drawn, scale).own_title == 0
    bias = number(-4.0)
    parts = live_retrieval(silent, titles, drawn, scale, bias=bias, own_title_ud=own, own_title_group_u=words)
    slow_narrated = siglip_loop(silent, titles, (scale, bias), drawn, nothing)
    slow_own = siglip_loop(silent, own, (scale, bias), shared, nothing[:, :3])
    same_value_and_gradient(parts.narrated_title, slow_narrated, [silent, titles, scale, bias])
    same_value_and_gradient(parts.own_title, slow_own, [silent, own, scale, bias])


def test_draws_follow_the_softmax_of_title_score_and_visual_agreement() -> None:
    scores = torch.tensor([[0.95, 0.9, 0.85, 0.5], [0.7, 0.6, 0.5, 0.4]])
    bank = torch.nn.functional.normalize(vectors(2, 4, 3, seed=8).detach(), dim=-1)
    visual = torch.nn.functional.normalize(vectors(2, 3, seed=9).detach(), dim=-1)
    generator = torch.Generator().manual_seed(0)
    draws = [
        draw_retrieved(scores, bank, visual, min_score=0.8, visual_weight=2.0, generator=generator) for _ in range(4000)
    ]
    weights = [math.exp(float(scores[0, k]) + 2.0 * float(cosine(bank[0, k], visual[0]))) for k in range(3)]
    seen = [sum(int(draw[0]) == k for draw in draws) / 4000 for k in range(4)]
    assert seen[3] == 0
    assert all(int(draw[1]) == -1 for draw in draws)
    for k in range(3):
        assert abs(seen[k] - weights[k] / sum(weights)) < 0.03
