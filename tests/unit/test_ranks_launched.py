"""Who is which of several ranks, and that a stretch of a batch draws what it would draw among all of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import write_corpus

from ophclip.config import AugmentConfig, DataConfig, RankStrategy, TrainerConfig
from ophclip.data.augment import Augment
from ophclip.data.batch import VideoBatch
from ophclip.data.module import CorpusDataModule
from ophclip.data.sampler import Share
from ophclip.data.tokenizer import build_tokenizer
from ophclip.losses.retrieval import draw_retrieved
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.training.alike import checksum
from ophclip.training.chance import generator
from ophclip.training.minimal_pairs import MinimalPairs
from ophclip.training.ranks import Ranks, launched_ranks, lost_ranks_told, wanted_ranks

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "LOCAL_RANK": "1"}
SRUN = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_NTASKS": "4"}


def test_launchers_say_which_rank_this_is() -> None:
    assert launched_ranks(TORCHRUN) == Ranks(rank=5, of_machine=4, machines=2, launched=True)
    assert launched_ranks({**SRUN, **TORCHRUN}) == launched_ranks(TORCHRUN)
    assert launched_ranks(SRUN) == Ranks(rank=3, of_machine=2, machines=2, launched=True)
    assert launched_ranks({}) is None
    # A batch script of SLURM that starts the run without srun, whatever it reserved.
    assert launched_ranks({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "LOCAL_RANK": "0"}) is None


def test_a_launcher_wins_over_the_default_and_is_not_contradicted() -> None:
    started = Ranks(rank=5, of_machine=4, machines=2, launched=True)
    assert wanted_ranks(TrainerConfig(devices=3), 3, None) == Ranks(of_machine=3)
    for options in (TrainerConfig(), TrainerConfig(devices=0, nodes=2), TrainerConfig(devices=4, nodes=2)):
        assert wanted_ranks(options, 8, started) == started
    for options in (TrainerConfig(devices=2), TrainerConfig(devices=4), TrainerConfig(devices=2, nodes=2)):
        with pytest.raises(ValueError, match=r"^trainer.devices and trainer.nodes: . and . given, but 4 and 2 were st"):
            wanted_ranks(options, 8, started)
    with pytest.raises(ValueError, match=r"^trainer.nodes: 2 given, but nothing says which machine this is; start"):
        wanted_ranks(TrainerConfig(nodes=2), 1, None)


@given(total=st.integers(0, 40), ranks=st.integers(1, 9))
def test_parts_follow_each_other_and_differ_by_one_at_most(total: int, ranks: int) -> None:
    parts = [Share(rank=rank, ranks=ranks).part(total) for rank in range(ranks)]
    assert [place for part in parts for place in range(total)[part.rows]] == list(range(total))
    assert max(part.count for part in parts) - min(part.count for part in parts) <= 1


GONE = "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:33697. This is typically caused by a"
LATE = (
    "[gloo/unbound_buffer.cc:78] Timed out waiting 3000ms for recv operation",
    "wait timeout after 3000ms, keys: /0",
)


def _raises(said: str, ranks: Ranks) -> None:
    with lost_ranks_told(TrainerConfig(timeout_minutes=0.05), ranks):
        raise RuntimeError(said)


def test_what_collectives_say_of_other_ranks_becomes_one_line_and_what_is_no_collective_stays() -> None:
    first, started = Ranks(of_machine=2), Ranks(rank=1, of_machine=2)
    for ranks in (first, started, replace(first, launched=True)):
        with pytest.raises(
            ValueError, match=r"^another rank of the run ended, and it or its launcher says why; the last"
        ):
            _raises(GONE, ranks)
    with pytest.raises(SystemExit, match="2"):
        _raises(GONE, replace(started, launched=True))
    for said in LATE:
        with pytest.raises(
            ValueError, match=r"^trainer.timeout_minutes: another rank kept this one waiting for 0.05; "
        ):
            _raises(said, replace(started, launched=True))
    for said, ranks in (("mat1 and mat2 cannot be multiplied", first), (GONE, Ranks())):
        with pytest.raises(RuntimeError, match=re.escape(said)):
            _raises(said, ranks)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"timeout_minutes": 0.0}, r"^trainer.timeout_minutes: must be positive"),
        ({"strategy": RankStrategy.FSDP, "micro_batch": 2}, r"^trainer.micro_batch: fsdp wants all ranks to compute"),
        ({"strategy": RankStrategy.FSDP, "compile": True}, r"^trainer.compile: not offered with trainer.strategy=fsdp"),
    ],
)
def test_options_that_ranks_cannot_keep_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        TrainerConfig(**wrong)


def test_a_checksum_knows_every_bit_and_the_order() -> None:
    one, other = torch.tensor(1.5), torch.arange(6).view(2, 3)
    assert checksum([one, other]) == checksum([one.clone(), other.clone()])
    assert checksum([one, other.T]) != checksum([one, other])
    assert (
        len({checksum(both) for both in ([one, other], [other, one], [torch.nextafter(one, other[0, 0]), other])}) == 3
    )


PARTS = [Share(rank=rank, ranks=3).part(8) for rank in range(3)]


def test_pictures_are_augmented_as_among_all() -> None:
    augment = Augment(config=AugmentConfig(), visual=VisualConfig(name="tiny", image_size_px=48))
    frames = torch.randint(0, 255, (8, 2, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = augment(frames, generator(0, 1, "view"))
    parts = [augment(frames[part.rows], generator(0, 1, "view"), part) for part in PARTS]
    torch.testing.assert_close(torch.cat(parts), whole)


def test_retrieved_videos_are_drawn_as_among_all() -> None:
    chance = torch.Generator().manual_seed(0)
    scores, bank, visual = (torch.rand(*shape, generator=chance) for shape in ((8, 4), (8, 4, 5), (8, 5)))
    fixed = {"min_score": 0.3, "visual_weight": 1.0}
    whole = draw_retrieved(scores, bank, visual, generator=generator(0, 1, "draw"), **fixed)
    parts = [
        draw_retrieved(
            *(one[part.rows] for one in (scores, bank, visual)), generator=generator(0, 1, "draw"), part=part, **fixed
        )
        for part in PARTS
    ]
    assert torch.cat(parts).equal(whole)
    assert len(set(whole.tolist())) > 1


def test_silent_videos_show_the_frames_that_they_show_among_all(tmp_path: Path) -> None:
    model = ModelConfig(
        name="tiny", visual=VisualConfig(name="tiny", image_size_px=32), text=TextConfig(name="tiny", context_length=16)
    )
    data = DataConfig(root=str(write_corpus(tmp_path, silent=3)), video_frames=2, workers=0)
    corpus = CorpusDataModule(data, model, seed=1)
    ids = ["silent0", "silent1", "silent2"]
    whole = corpus.load_videos(ids, (4,))
    parts: list[VideoBatch] = [corpus.load_videos(ids[:2], (4,)), corpus.load_videos(ids[2:], (4,), first_slot=2)]
    assert np.array_equal(torch.cat([part.frames_btchw for part in parts]), whole.frames_btchw)


def test_counterparts_are_drawn_as_among_all() -> None:
    pairs = MinimalPairs(build_tokenizer(TextConfig(name="tiny", context_length=32)), 3)
    texts = ["insert the anterior flap", "the dye is injected on the left"] * 4
    for step in range(4):
        whole = pairs.draw(texts, step)
        halves = [pairs.draw(texts[first : first + 4], step, first) for first in (0, 4)]
        assert torch.cat([half.tokens.ids_bl for half in halves]).equal(whole.tokens.ids_bl)
