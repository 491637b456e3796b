"""Batches of a real corpus folder: the same for any number of workers, and clear words where there is nothing."""

from __future__ import annotations

import logging
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from small_corpus import picture, write_corpus

from ophclip.config import DataConfig, LevelsConfig
from ophclip.data.batch import Batch, ClipBatch, VideoBatch
from ophclip.data.module import CorpusDataModule
from ophclip.data.pictures import decode_square, normalise, square
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig

MODEL = ModelConfig(
    name="tiny",
    embed_dim=32,
    visual=VisualConfig(name="tiny", image_size_px=32),
    text=TextConfig(name="tiny", context_length=16),
)


def data(root: Path, **changes: object) -> DataConfig:
    options: dict[str, object] = {"clip_batch": 4, "video_batch": 3, "clip_frames": 2, "video_frames": 3, "workers": 0}
    return DataConfig(root=str(root), **{**options, **changes})  # type: ignore[arg-type]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


def first(module: CorpusDataModule, count: int) -> list[Batch]:
    return list(islice(module.train_dataloader(), count))


def same(one: Batch, other: Batch) -> bool:
    equal = torch.equal(one.frames_btchw, other.frames_btchw) and torch.equal(one.tokens.ids_bl, other.tokens.ids_bl)
    return equal and one.keys == other.keys and type(one) is type(other)


def test_batches_have_the_promised_shapes(corpus: Path) -> None:
    module = CorpusDataModule(data(corpus, levels=LevelsConfig(clip=1, video=1)), MODEL, seed=0)
    clips, videos = first(module, 2)
    assert isinstance(clips, ClipBatch)
    assert isinstance(videos, VideoBatch)
    assert clips.frames_btchw.shape == (len(clips), 2, 3, 37, 37)
    assert clips.frames_btchw.dtype == torch.uint8
    assert clips.tokens.ids_bl.shape == (len(clips), 16)
    assert videos.frames_btchw.shape == (3, 3, 3, 37, 37)
    assert videos.narrated_b.all()
    assert sorted(videos.keys) == ["narrated0", "narrated1", "narrated2"]
    assert [f"narrated{number}" for number in clips.video_index_b.tolist()] == [key.split("-")[0] for key in clips.keys]


def test_batches_do_not_depend_on_workers_and_start_anywhere(corpus: Path) -> None:
    alone = first(CorpusDataModule(data(corpus), MODEL, seed=3), 8)
    helped = first(CorpusDataModule(data(corpus, workers=2), MODEL, seed=3), 8)
    later = first(CorpusDataModule(data(corpus), MODEL, seed=3, start_step=5), 3)
    assert all(same(*pair) for pair in zip(alone, helped, strict=True))
    assert all(same(*pair) for pair in zip(alone[5:], later, strict=True))
    assert not same(alone[0], first(CorpusDataModule(data(corpus), MODEL, seed=4), 1)[0])


def test_without_texts_every_video_is_drawn_once_a_pass(corpus: Path) -> None:
    levels = LevelsConfig(clip=0, video=1)
    alone = first(CorpusDataModule(data(corpus, levels=levels), MODEL, seed=3, texts=False), 6)
    helped = first(CorpusDataModule(data(corpus, levels=levels, workers=2), MODEL, seed=3, texts=False), 6)
    later = first(CorpusDataModule(data(corpus, levels=levels), MODEL, seed=3, start_step=4, texts=False), 2)
    every = [*(f"narrated{number}" for number in range(3)), *(f"silent{number}" for number in range(3))]
    for one_pass in (alone[:2], alone[2:4], alone[4:]):
        assert sorted(key for batch in one_pass for key in batch.keys) == every, "silent2 has no title"
    assert all(same(*pair) for pair in zip(alone, helped, strict=True))
    assert all(same(*pair) for pair in zip(alone[4:], later, strict=True))


def test_frames_are_drawn_anew_at_each_visit(corpus: Path) -> None:
    module = CorpusDataModule(data(corpus, clip_batch=9, levels=LevelsConfig(clip=1, video=0)), MODEL, seed=0)
    batches = first(module, 12)
    drawn = {batch.frames_btchw[batch.keys.index("narrated0-00000000")].sum().item() for batch in batches}
    assert len(drawn) > 1


def test_videos_are_loaded_by_id(corpus: Path) -> None:
    module = CorpusDataModule(data(corpus), MODEL, seed=0)
    assert module.videos.silent == ("silent0", "silent1")
    batch = module.load_videos(["silent1", "narrated0"])
    assert batch.keys == ("silent1", "narrated0")
    assert batch.narrated_b.tolist() == [False, True]
    assert same(batch, module.load_videos(["silent1", "narrated0"]))
    assert same(module.load_videos(["silent0"], (1, 2)), module.load_videos(["silent0"], (1, 2)))
    with pytest.raises(ValueError, match="holds no video nowhere"):
        module.load_videos(["nowhere"])
    with pytest.raises(ValueError, match=r"silent2 .* has no text"):
        module.load_videos(["silent2"])


def test_nothing_to_train_on_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder; make a corpus"):
        CorpusDataModule(data(tmp_path / "nowhere"), MODEL, seed=0)
    silent = write_corpus(tmp_path / "silent", clips=())
    with pytest.raises(ValueError, match="too few narrated samples to train on") as caught:
        CorpusDataModule(data(silent), MODEL, seed=0)
    assert "\n" not in str(caught.value)


def test_a_level_that_cannot_be_contrasted_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_corpus(tmp_path / "one", clips=(3,))
    with caplog.at_level(logging.WARNING):
        module = CorpusDataModule(data(root), MODEL, seed=0)
    assert (module.levels.clip, module.levels.video) == (3, 0)
    assert "1 video samples are too few" in caplog.text
    assert "3 clip samples; batches are reduced to 3" in caplog.text


def test_pictures_are_squared_about_their_centre() -> None:
    wide = np.zeros((20, 60, 3), dtype=np.uint8)
    wide[:, 20:40] = 200
    assert (square(wide, 20) == 200).all()
    assert square(wide, 7).shape == (7, 7, 3)
    assert square(wide.transpose(1, 0, 2), 33).shape == (33, 33, 3)
    assert decode_square(picture(0, 64, 80), 10).shape == (10, 10, 3)
    with pytest.raises(ValueError, match=r".+"):
        decode_square(b"no picture", 10)


def test_normalise_is_the_usual_formula() -> None:
    frames = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    expected = (frames.float() / 255 - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor(0.25)
    torch.testing.assert_close(normalise(frames, (0.1, 0.2, 0.3), (0.25, 0.25, 0.25)), expected)


def test_loader_processes_end_when_the_parent_says_so_and_not_when_others_do(corpus: Path) -> None:
    batches = iter(CorpusDataModule(data(corpus, workers=1), MODEL, seed=0).train_dataloader())
    keys = next(batches).keys
    (process,) = batches._workers  # type: ignore[attr-defined]
    for _ in range(3):  # a scheduler's SIGTERM goes to every process of a job
        subprocess.run(["kill", "-TERM", str(process.pid)], check=True)
        assert next(batches).keys != keys
    assert process.is_alive()
    process.terminate()
    process.join(20)
    assert process.exitcode == 0, "a parent that ends on an error would wait for ever"
