"""Pooling over frames: the mean before training, other things after it, and the whole model learns through it."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ophclip.model_options import FramePooling
from ophclip.models.pooling import build_pooling

LEARNED = (FramePooling.ATTENTION, FramePooling.TEMPORAL_TRANSFORMER)


def vectors(frames: int = 5, dim: int = 48) -> torch.Tensor:
    return F.normalize(torch.randn(3, frames, dim, generator=torch.Generator().manual_seed(0)), dim=-1)


@pytest.mark.parametrize("pooling", LEARNED)
@pytest.mark.parametrize("frames", [1, 2, 5, 70])
def test_untrained_pooling_is_the_mean(pooling: FramePooling, frames: int) -> None:
    untrained = build_pooling(pooling, 48)
    for mode in (True, False):
        found_bd = untrained.train(mode)(vectors(frames))
        torch.testing.assert_close(found_bd, vectors(frames).mean(dim=1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("pooling", LEARNED)
def test_a_step_leaves_the_mean_and_every_weight_learns_in_the_end(pooling: FramePooling) -> None:
    torch.manual_seed(0)
    module, target_bd = build_pooling(pooling, 48), F.normalize(torch.randn(3, 48), dim=-1)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        (module(vectors()) - target_bd).square().sum().backward()
        optimizer.step()
    assert not torch.allclose(module(vectors()), vectors().mean(dim=1), atol=1e-4)
    assert all(not torch.equal(*pair) for pair in zip(before, module.parameters(), strict=True))


@pytest.mark.parametrize("pooling", list(FramePooling))
def test_only_the_temporal_transformer_sees_the_order(pooling: FramePooling) -> None:
    torch.manual_seed(0)
    module = build_pooling(pooling, 48).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    turned_bd, as_is_bd = module(vectors().flip(1)), module(vectors())
    seen = pooling is FramePooling.TEMPORAL_TRANSFORMER
    assert torch.allclose(turned_bd, as_is_bd, atol=1e-5) != seen


def test_batches_do_not_mix() -> None:
    torch.manual_seed(0)
    module = build_pooling(FramePooling.TEMPORAL_TRANSFORMER, 48).eval()
    torch.nn.init.normal_(module.added.weight)
    apart_bd = torch.cat([module(one[None]) for one in vectors()])
    torch.testing.assert_close(module(vectors()), apart_bd)
