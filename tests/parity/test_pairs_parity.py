"""Losses in blocks of rows against loops and against the tables that they avoid, in float64."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from naive import cosine, info_nce_loop, number, same_value_and_gradient, siglip_loop, vectors
from torch import Tensor

from ophclip.losses.contrastive import info_nce, same_group, siglip
from ophclip.losses.minimal_pairs import Counterparts, told_apart
from ophclip.losses.pairs import Groups, info_nce_of_pairs, siglip_of_pairs
from ophclip.losses.views import simclr

WORDS = torch.tensor([1, 2, 1, 4, 5, 5, 6])
VIDEOS = torch.tensor([0, 0, 1, 2, 2, 2, 3])
CONTRADICTED = torch.tensor([4, 0, 6])


def _table(numbers: Tensor | None) -> Tensor:
    return torch.zeros(7, 7, dtype=torch.bool) if numbers is None else same_group(numbers)


@pytest.mark.parametrize("rows_of_a_block", [1, 3, 7, 512])
@pytest.mark.parametrize("videos", [None, VIDEOS], ids=["all", "masked"])
@pytest.mark.parametrize("words", [torch.arange(7), WORDS], ids=["distinct", "shared"])
def test_blocks_give_what_the_tables_give(words: Tensor, videos: Tensor | None, rows_of_a_block: int) -> None:
    visual, text, scale, bias = vectors(7, 5, seed=0), vectors(7, 5, seed=1), number(9.0), number(-3.0)
    groups, tables = Groups(words, videos), (_table(words), _table(videos))
    fast = info_nce_of_pairs(visual, text, scale, groups, rows_of_a_block=rows_of_a_block)
    same_value_and_gradient(fast, info_nce(visual, text, scale, *tables), [visual, text, scale])
    same_value_and_gradient(fast, info_nce_loop(visual, text, scale, *tables), [visual, text, scale])
    fast = siglip_of_pairs(visual, text, scale, bias, groups, rows_of_a_block=rows_of_a_block)
    leaves = [visual, text, scale, bias]
    same_value_and_gradient(
        fast, siglip(visual, text, scale, bias, positives_nm=tables[0], ignored_nm=tables[1]), leaves
    )
    same_value_and_gradient(fast, siglip_loop(visual, text, (scale, bias), *tables), leaves)


def test_large_batches_agree_to_the_twelfth_digit() -> None:
    visual, text, scale, bias = vectors(300, 16, seed=0), vectors(300, 16, seed=1), number(30.0), number(-10.0)
    chance = torch.Generator().manual_seed(2)
    words, videos = torch.randint(0, 250, (300,), generator=chance), torch.randint(0, 80, (300,), generator=chance)
    groups, tables = Groups(words, videos), (same_group(words), same_group(videos))
    leaves = [visual, text, scale, bias]
    for blocks, whole in (
        (info_nce_of_pairs(visual, text, scale, groups, rows_of_a_block=64), info_nce(visual, text, scale, *tables)),
        (
            siglip_of_pairs(visual, text, scale, bias, groups, rows_of_a_block=64),
            siglip(visual, text, scale, bias, positives_nm=tables[0], ignored_nm=tables[1]),
        ),
    ):
        assert abs(float(blocks.detach() - whole.detach())) < 1e-12 * max(1.0, float(whole.detach()))
        got = torch.autograd.grad(blocks, leaves, allow_unused=True)
        for one, other in zip(got, torch.autograd.grad(whole, leaves, allow_unused=True), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                assert float((one - other).abs().max()) < 1e-12 * max(1.0, float(other.abs().max()))


def test_gradients_are_those_of_finite_differences() -> None:
    visual, text, counter = vectors(5, 3, seed=3), vectors(5, 3, seed=4), vectors(2, 3, seed=5)
    groups, rows = Groups(WORDS[:5], VIDEOS[:5]), torch.tensor([3, 1])

    def of_info_nce(visual: Tensor, text: Tensor, scale: Tensor, counter: Tensor) -> Tensor:
        return info_nce_of_pairs(
            visual, text, scale, groups, counterparts=Counterparts(counter, rows, 2.0), rows_of_a_block=2
        )

    def of_siglip(visual: Tensor, text: Tensor, scale: Tensor, bias: Tensor, counter: Tensor) -> Tensor:
        return siglip_of_pairs(
            visual, text, scale, bias, groups, counterparts=Counterparts(counter, rows, 2.0), rows_of_a_block=2
        )

    assert torch.autograd.gradcheck(of_info_nce, (visual, text, number(5.0), counter))
    assert torch.autograd.gradcheck(of_siglip, (visual, text, number(5.0), number(-2.0), counter))
    assert torch.autograd.gradcheck(partial(simclr, ignored_group_n=VIDEOS[:5]), (visual, text, number(5.0)))


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 3.0])
def test_minimal_pairs(weight: float) -> None:
    visual, text, counter = vectors(7, 5, seed=0), vectors(7, 5, seed=1), vectors(3, 5, seed=6)
    scale, bias = number(6.0), number(-2.0)
    groups, tables = Groups(WORDS, VIDEOS), (_table(WORDS), _table(VIDEOS))
    negatives = Counterparts(counter, CONTRADICTED, weight)
    listed = {int(row): (counter[place], weight) for place, row in enumerate(CONTRADICTED)}
    fast = info_nce_of_pairs(visual, text, scale, groups, counterparts=negatives, rows_of_a_block=3)
    slow = info_nce_loop(visual, text, scale, *tables, counterparts=listed)
    leaves = [visual, text, scale, *([counter] if weight else [])]
    same_value_and_gradient(fast, slow, leaves)
    fast = siglip_of_pairs(visual, text, scale, bias, groups, counterparts=negatives, rows_of_a_block=3)
    slow = siglip_loop(visual, text, (scale, bias), *tables)
    for row, (vector, count) in listed.items():
        logit = scale * cosine(visual[row], vector) + bias
        slow = slow - count * (1 / (1 + logit.exp())).log() / 7
    same_value_and_gradient(fast, slow, [*leaves, bias])


def test_a_text_and_its_counterpart_are_told_apart_by_which_is_nearer() -> None:
    visual, text = vectors(7, 5, seed=0).detach(), vectors(7, 5, seed=1).detach()
    counter = torch.stack([visual[4], -visual[0], -visual[6]])
    right = [
        float(cosine(visual[row], text[row])) > float(cosine(visual[row], counter[place]))
        for place, row in enumerate(CONTRADICTED)
    ]
    assert set(right) == {True, False}
    assert told_apart(visual, text, Counterparts(counter, CONTRADICTED, 1.0)).tolist() == right


@pytest.mark.parametrize("videos", [None, VIDEOS], ids=["all", "masked"])
def test_simclr(videos: Tensor | None) -> None:
    first, second, scale = vectors(7, 5, seed=7), vectors(7, 5, seed=8), number(8.0)
    losses = []
    both = [(i, 0) for i in range(7)] + [(i, 1) for i in range(7)]
    sides = (first, second)
    for i, side in both:
        own = sides[side][i]
        wanted = (scale * cosine(own, sides[1 - side][i])).exp()
        others = [
            (scale * cosine(own, sides[other][j])).exp()
            for j, other in both
            if (j != i) and (videos is None or videos[i] != videos[j])
        ]
        losses.append(-(wanted / (wanted + sum(others))).log())
    same_value_and_gradient(simclr(first, second, scale, videos), sum(losses) / 14, [first, second, scale])


def test_no_row_with_a_positive_and_no_gradient_asked() -> None:
    visual, text = vectors(3, 4, seed=0), vectors(3, 4, seed=1)
    with torch.no_grad():
        plain = info_nce_of_pairs(visual, text, 5.0, Groups(torch.arange(3)))
    torch.testing.assert_close(plain, info_nce(visual, text, 5.0).detach())
    nobody = info_nce_of_pairs(visual[:0], text[:0], 5.0, Groups(torch.arange(0)))
    assert float(nobody.detach()) == 0.0
