"""Two processes that train together get the batches that one process gets, each its half, in the same order."""

from __future__ import annotations

import socket
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_corpus import write_corpus
from torch import distributed, multiprocessing

from ophclip.config import DataConfig
from ophclip.data.batch import Batch
from ophclip.data.module import CorpusDataModule
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig

MODEL = ModelConfig(
    name="tiny",
    embed_dim=32,
    visual=VisualConfig(name="tiny", image_size_px=32),
    text=TextConfig(name="tiny", context_length=16),
)
STEPS = 8
CLIPS = (3, 2, 4, 1, 5)


def _module(root: Path) -> CorpusDataModule:
    data = DataConfig(root=str(root), clip_batch=6, video_batch=4, clip_frames=2, video_frames=3, workers=0)
    return CorpusDataModule(data, MODEL, seed=1)


def _batches(root: Path) -> list[Batch]:
    return list(islice(_module(root).train_dataloader(), STEPS))


def _one_rank(rank: int, port: int, root: str, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    mine = [(batch.keys, batch.frames_btchw) for batch in _batches(Path(root))]
    # Every step of both ranks meets in a gather of equal sizes, as the loss does it.
    for _, frames_btchw in mine:
        sums = frames_btchw.sum(dim=(1, 2, 3, 4))
        distributed.all_gather([torch.empty_like(sums) for _ in range(2)], sums)
    torch.save(mine, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_share_the_batches_of_one(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", clips=CLIPS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_one_rank, (port, str(corpus), str(tmp_path)), nprocs=2)
    halves = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for whole, (keys, frames), (other_keys, other_frames) in zip(_batches(corpus), *halves, strict=True):
        assert len(keys) == len(other_keys) == len(whole) // 2
        assert not set(keys) & set(other_keys)
        places = [whole.keys.index(key) for key in (*keys, *other_keys)]
        assert places == sorted(places)
        assert torch.equal(torch.cat([frames, other_frames]), whole.frames_btchw[places])


def test_what_is_left_out_is_said_and_too_many_ranks_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    module = _module(write_corpus(tmp_path, clips=CLIPS))
    module.trainer = SimpleNamespace(global_rank=0, world_size=2)  # type: ignore[assignment]
    module.train_dataloader()
    assert [record.getMessage() for record in caplog.records if "left out of each pass" in record.message] == [
        "clip batches do not divide among 2 devices: 3 of 15 samples are left out of each pass, at random",
        "video batches do not divide among 2 devices: 1 of 5 samples are left out of each pass, at random",
    ]
    module.trainer = SimpleNamespace(global_rank=1, world_size=3)  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"^data\.video_batch: batches of 2 video samples are too few for 3 devices"):
        module.train_dataloader()
