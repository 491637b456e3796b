"""What must not change a loss, and what must bound it."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from ophclip.losses.contrastive import info_nce
from ophclip.losses.views import simsiam


@given(n=st.integers(1, 8), seed=st.integers(0, 999), stretch=st.floats(0.1, 50), scale=st.floats(0, 50))
def test_info_nce_sees_neither_order_nor_length_nor_side(n: int, seed: int, stretch: float, scale: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    visual, text = torch.randn(2, n, 4, generator=chance, dtype=torch.float64)
    order = torch.randperm(n, generator=chance)
    loss = info_nce(visual, text, scale)
    for other in (
        info_nce(visual[order], text[order], scale),
        info_nce(visual * stretch, text, scale),
        info_nce(text, visual, scale),
    ):
        torch.testing.assert_close(other, loss)
    assert 0 <= float(loss) <= math.log(n) + 2 * scale + 1e-9


@given(n=st.integers(2, 8), seed=st.integers(0, 999))
def test_ignoring_a_pair_never_raises_the_loss(n: int, seed: int) -> None:
    chance = torch.Generator().manual_seed(seed)
    visual, text = torch.randn(2, n, 4, generator=chance, dtype=torch.float64)
    ignored = torch.rand(n, n, generator=chance) < 0.5
    assert float(info_nce(visual, text, 5.0, None, ignored)) <= float(info_nce(visual, text, 5.0)) + 1e-12


@given(n=st.integers(1, 6), seed=st.integers(0, 999))
def test_simsiam_is_least_where_views_agree(n: int, seed: int) -> None:
    p1, p2, z1, z2 = torch.randn(4, n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert -1 - 1e-9 <= float(simsiam(p1, p2, z1, z2)) <= 1 + 1e-9
    torch.testing.assert_close(simsiam(p1, p1 * 3, p1 * 2, p1), torch.tensor(-1.0, dtype=torch.float64))
