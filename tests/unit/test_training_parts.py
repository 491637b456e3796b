"""Chance, the SimSiam head, rows of the metrics table."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from ophclip.data.tokenizer import build_tokenizer
from ophclip.model_options import TextConfig
from ophclip.training.callbacks import Recorder, read_losses
from ophclip.training.chance import derived_seed, generator, text_group
from ophclip.training.checkpoints import Checkpoint
from ophclip.training.minimal_pairs import MinimalPairs
from ophclip.training.views import SimSiamHead


def test_chance_depends_on_seed_step_and_purpose_alone() -> None:
    assert derived_seed(3, 7, "draw") == 2085531453974285596
    drawn = {
        float(torch.rand((), generator=generator(seed, step, purpose)))
        for seed in (0, 1)
        for step in (0, 1)
        for purpose in ("a", "b")
    }
    assert len(drawn) == 8


def test_equal_words_share_a_number() -> None:
    assert text_group("Red  surgery ") == text_group("red surgery")
    assert text_group("red surgery") != text_group("blue surgery")
    assert torch.tensor([text_group(str(n)) for n in range(99)]).min() >= 0


def test_the_head_sends_gradient_through_predictions_only() -> None:
    torch.manual_seed(0)
    head = SimSiamHead(8)
    first, second = torch.randn(2, 6, 8).requires_grad_().unbind()
    loss = head(first, second)
    loss.backward()
    assert -1 <= float(loss.detach()) <= 1
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_counterparts_are_drawn_by_seed_and_step_and_only_where_there_is_one() -> None:
    config = TextConfig(name="tiny", context_length=32)
    tokenizer = build_tokenizer(config)
    pairs = MinimalPairs(tokenizer, 3)
    texts = ("the dye is injected", "thank you", "insert the anterior flap")
    drawn = [pairs.draw(texts, step) for step in range(8)]
    assert all(one is not None and one.row_p.tolist() == [0, 2] for one in drawn)
    assert all(one.tokens.ids_bl[0].equal(tokenizer(["the dye is aspirated"]).ids_bl[0]) for one in drawn)
    again = [MinimalPairs(tokenizer, 3).draw(texts, step) for step in range(8)]
    assert all(one.tokens.ids_bl.equal(other.tokens.ids_bl) for one, other in zip(drawn, again, strict=True))
    assert len({tuple(one.tokens.ids_bl[1].tolist()) for one in drawn}) == 2
    assert pairs.draw(("thank you",), 0) is None


def test_rows_after_the_checkpoint_are_done_again(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    Recorder(table, None, None)
    with table.open("a", newline="") as stream:
        csv.writer(stream).writerows([[step, "clip", step / 10, *[""] * 8] for step in range(1, 9)])
    resumed = Checkpoint(step=5, seconds=3.0, module={}, optimizer={}, bank={}, pending={"clip": [{"loss": 1.0}]})
    recorder = Recorder(table, resumed, None)
    assert read_losses(table) == {"clip": 0.5}
    assert recorder.pending() == {"clip": [{"loss": 1.0}]}
    assert recorder.seconds >= 3.0
    Recorder(table, None, None)
    assert read_losses(table) == {}
