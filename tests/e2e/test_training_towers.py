"""Runs with everything that towers can be told, and what their cards say of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from painted_corpus import write_corpus

import ophclip
from ingest.records import Level
from ingest.shards import ShardReader, ShardWriter
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.models.bundle import load_bundle
from ophclip.models.embed import pool_spans
from ophclip.training.export import export_bundle
from ophclip.training.run import TrainResult, train

OPTIONS = (
    "model=tiny",
    "model.pooling=temporal_transformer",
    "model.visual.patch_dropout=0.5",
    "model.visual.gradient_checkpointing=true",
    "optim.layer_decay=0.7",
    "optim.learning_rate=1e-3",
    "optim.warmup_steps=1",
    "data.clip_batch=4",
    "data.video_batch=4",
    "data.clip_frames=2",
    "data.video_frames=3",
    "data.levels={clip: 1, video: 1}",
    "data.workers=0",
    "retrieval.min_score=-1",
    "trainer.steps=2",
    "trainer.device=cpu",
    "trainer.threads=1",
    "trainer.log_every=1",
    "trainer.checkpoint_every=1",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The painted corpus under two licences, some videos under none."""
    plain = ShardReader(write_corpus(tmp_path_factory.mktemp("plain"), narrated=4, silent=3))
    root = tmp_path_factory.mktemp("private-place")
    with ShardWriter(root / "shards") as writer:
        for level in Level:
            for entry in plain.entries(level):
                licence = {"0": "CC BY", "1": "CC0 | public", "2": "CC BY"}.get(entry.video_id[-1], "")
                writer.add(dataclasses.replace(plain.read(entry.key), license=licence))
    return root


def run(corpus: Path, out: Path, *more: str) -> TrainResult:
    return train(compose("train", [*OPTIONS, f"data.root={corpus}", f"out={out}", *more], TrainConfig))


@pytest.fixture(scope="module")
def result(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return run(corpus, tmp_path_factory.mktemp("run") / "out")


def test_patches_left_out_follow_from_the_seed(corpus: Path, result: TrainResult, tmp_path: Path) -> None:
    torch.manual_seed(99)
    again = run(corpus, tmp_path)
    left, right = (ophclip.load(one.bundle)[0].state_dict() for one in (result, again))
    assert all(torch.equal(left[name], right[name]) for name in left)


def test_half_precision_with_a_fused_optimiser_clips(corpus: Path, tmp_path: Path) -> None:
    clipped = run(corpus, tmp_path, "trainer.precision=bf16", "trainer.steps=1", "optim.clip_gradient_norm=1e-6")
    assert clipped.steps == 1


def test_the_pooling_learned_and_travels(result: TrainResult) -> None:
    model = load_bundle(result.bundle).model
    vectors_td = torch.nn.functional.normalize(torch.randn(4, 128), dim=1)
    pooled, turned = (pool_spans(model, one.numpy(), [(0, 4)])[0] for one in (vectors_td, vectors_td.flip(0)))
    mean = torch.nn.functional.normalize(vectors_td.mean(dim=0), dim=0).numpy()
    assert not np.allclose(pooled, mean, atol=1e-4)
    assert not np.allclose(pooled, turned, atol=1e-5)


def test_the_card_is_filled_from_the_run(corpus: Path, result: TrainResult, tmp_path: Path) -> None:
    card = (result.bundle / "README.md").read_text()
    fingerprint = ShardReader(corpus).fingerprint
    rows = [
        f"| corpus | {fingerprint} |",
        "| videos | 4 narrated, 4 silent |",
        "| clips | 16 |",
        "| licences of the videos | CC BY: 4; CC0 / public: 2; none given: 2 |",
        "| steps | 2 of 2 |",
        "| pooling over frames | temporal_transformer |",
        "| began with | visual: random weights; text: random weights |",
    ]
    assert [row for row in rows if row not in card] == []
    assert "| loss, clip level | " in card
    assert "| written | 20" in card
    assert "layer_decay: 0.7" in card
    assert all(f"## {heading}\n" in card for heading in ("Use", "Intended use", "Limits", "Options of the training"))
    for file in result.bundle.iterdir():
        assert b"private-place" not in file.read_bytes()
    export_bundle(result.out, tmp_path / "exported")
    exported = (tmp_path / "exported" / "README.md").read_text()
    assert [row for row in rows if row not in exported] == []
    assert load_bundle(tmp_path / "exported").weights_sha256 == load_bundle(result.bundle).weights_sha256


def test_the_card_of_a_run_under_way_says_how_far_it_is(corpus: Path, result: TrainResult, tmp_path: Path) -> None:
    from ophclip.training.checkpoints import newest_checkpoint, write_checkpoint

    newest = newest_checkpoint(result.out / "checkpoints")
    assert newest is not None
    other = tmp_path / "out"
    (other / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "run.json", "metrics.csv"):
        (other / name).write_bytes((result.out / name).read_bytes())
    write_checkpoint(other / "checkpoints", dataclasses.replace(newest, step=1))
    card = (export_bundle(other, tmp_path / "bundle") / "README.md").read_text()
    rows = [line.split(",") for line in result.metrics.read_text().splitlines()[1:]]
    losses = {row[1]: f"{float(row[2]):.4f}" for row in rows if int(row[0]) <= 1}
    assert "| steps | 1 of 2 |" in card
    assert all(f"| loss, {level} level | {loss} |" in card for level, loss in losses.items())
