"""What must not change a loss, and what must bound it."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ophclip.losses.contrastive import info_nce
from ophclip.losses.knowledge import bank_retrieval, fuse_retrieval
from ophclip.losses.minimal_pairs import Counterparts
from ophclip.losses.pairs import Groups, info_nce_of_pairs, siglip_of_pairs
from ophclip.losses.views import simclr, simsiam
from ophclip.training.fusion import Fusion


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


def _drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(n=st.integers(1, 8), seed=st.integers(0, 999), stretch=st.floats(0.1, 50), block=st.integers(1, 9))
def test_pairs_see_neither_order_nor_length_nor_blocks(n: int, seed: int, stretch: float, block: int) -> None:
    visual, text, counter = _drawn(seed, 3, n, 4)
    chance = torch.Generator().manual_seed(seed)
    words, videos = torch.randint(0, 4, (2, n), generator=chance)
    rows, order = torch.randperm(n, generator=chance)[: n // 2], torch.randperm(n, generator=chance)
    place = torch.argsort(order)

    def both(visual: torch.Tensor, text: torch.Tensor, groups: Groups, rows: torch.Tensor) -> torch.Tensor:
        harder = Counterparts(counter[: len(rows)] * stretch, rows, 1.5)
        soft = info_nce_of_pairs(visual, text, 5.0, groups, counterparts=harder, rows_of_a_block=block)
        hard = siglip_of_pairs(visual, text, 5.0, -2.0, groups, counterparts=harder, rows_of_a_block=block)
        return torch.stack([soft, hard])

    losses = both(visual, text, Groups(words, videos), rows)
    torch.testing.assert_close(both(visual * stretch, text / stretch, Groups(words, videos), rows), losses)
    shuffled = Groups(words[order], videos[order])
    torch.testing.assert_close(both(visual[order], text[order], shuffled, place[rows]), losses)
    without = info_nce_of_pairs(visual, text, 5.0, Groups(words, videos))
    assert float(losses[0]) >= float(without) - 1e-12
    assert float(losses[1]) >= float(siglip_of_pairs(visual, text, 5.0, -2.0, Groups(words, videos))) - 1e-12


@given(n=st.integers(2, 8), seed=st.integers(0, 999), stretch=st.floats(0.1, 50))
def test_simclr_sees_neither_order_nor_length_nor_which_view_is_first(n: int, seed: int, stretch: float) -> None:
    first, second = _drawn(seed, 2, n, 4)
    chance = torch.Generator().manual_seed(seed)
    order, videos = torch.randperm(n, generator=chance), torch.randint(0, 3, (n,), generator=chance)
    loss = simclr(first, second, 5.0, videos)
    torch.testing.assert_close(simclr(second * stretch, first, 5.0, videos), loss)
    torch.testing.assert_close(simclr(first[order], second[order], 5.0, videos[order]), loss)
    assert float(loss) <= float(simclr(first, second, 5.0)) + 1e-12
    one_video = torch.zeros(n, dtype=torch.int64)
    torch.testing.assert_close(simclr(first, second, 5.0, one_video), torch.zeros((), dtype=torch.float64))


@given(b=st.integers(1, 6), n=st.integers(1, 6), seed=st.integers(0, 999), stretch=st.floats(0.1, 50))
def test_the_bank_sees_neither_order_nor_length_and_nothing_under_the_gate(
    b: int, n: int, seed: int, stretch: float
) -> None:
    rows, bank = _drawn(seed, b, 4), _drawn(seed + 1, n, 4)
    chance = torch.Generator().manual_seed(seed)
    scores = torch.rand(b, n, generator=chance, dtype=torch.float64)
    loss = bank_retrieval(rows, bank, scores, 5.0, min_score=0.5)
    rows_order, bank_order = torch.randperm(b, generator=chance), torch.randperm(n, generator=chance)
    other = bank_retrieval(
        rows[rows_order] * stretch, bank[bank_order], scores[rows_order][:, bank_order], 5.0, min_score=0.5
    )
    torch.testing.assert_close(other, loss)
    assert float(loss) >= 0
    lower = scores.masked_fill(scores < 0.5, -1.0)
    torch.testing.assert_close(bank_retrieval(rows, bank, lower, 5.0, min_score=0.5), loss)
    assert float(bank_retrieval(rows, bank, scores, 5.0, min_score=1.01)) == 0.0


@given(b=st.integers(2, 6), n=st.integers(1, 5), seed=st.integers(0, 999))
def test_fusion_leaves_alone_what_has_no_hit_and_everything_while_its_gate_is_shut(b: int, n: int, seed: int) -> None:
    visual = _drawn(seed, b, 8).float()
    titles, silent = F.normalize(_drawn(seed + 1, 2, n, 8).float(), dim=-1)
    hits = torch.rand(b, n, generator=torch.Generator().manual_seed(seed)) < 0.4
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fusion = Fusion(8)
    with torch.no_grad():
        assert fusion(visual, titles, silent, hits).equal(visual)
        fusion.gate.fill_(1.0)
        fused = fusion(visual, titles, silent, hits)
        touched = (fused != visual).any(dim=1)
        assert touched.equal(hits.any(dim=1))
        order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(fusion(visual, titles[order], silent[order], hits[:, order]), fused)
        alone = fuse_retrieval(visual[touched], titles[:1].expand(int(touched.sum()), 8), 5.0, touched[touched])
        assert bool(torch.isfinite(alone))


def test_what_a_closed_gate_hides_sends_no_gradient_through_fusion() -> None:
    fusion, visual = Fusion(8), _drawn(0, 3, 8).float().requires_grad_()
    hits = torch.tensor([[True], [False], [False]])
    fusion(visual, visual.detach()[:1], visual.detach()[1:2], hits).sum().backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in (visual, *fusion.parameters()))
    assert visual.grad[1:].equal(torch.ones(2, 8))
