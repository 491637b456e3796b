"""The training step against the recipe written out: what is a positive of what, what is written back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ingest.records import Level, Sample
from ingest.shards import ShardWriter, encode_jpeg
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.data.batch import ClipBatch, VideoBatch
from ophclip.data.module import CorpusDataModule
from ophclip.models.dual_encoder import build_model
from ophclip.training.chance import generator
from ophclip.training.module import TrainingModule

TITLES = ("red surgery", "blue surgery", "red surgery", "green surgery")


def _corpus(root: Path) -> Path:
    chance = torch.Generator().manual_seed(0)
    pictures = [
        tuple(
            encode_jpeg(torch.randint(0, 255, (80, 80, 3), generator=chance, dtype=torch.uint8).numpy()) for _ in "ab"
        )
        for _ in range(8)
    ]
    with ShardWriter(root) as writer:
        for number, jpegs in enumerate(pictures):
            narrated = number < 4
            name = f"{'narrated' if narrated else 'silent'}{number % 4}"
            for level in (Level.CLIP, Level.VIDEO) if narrated else (Level.VIDEO,):
                writer.add(
                    Sample(
                        key=name if level is Level.VIDEO else f"{name}-0",
                        level=level,
                        video_id=name,
                        narrated=narrated,
                        start_seconds=0.0,
                        end_seconds=2.0,
                        text=TITLES[number % 4] if level is Level.VIDEO else f"{TITLES[number % 4]} is seen",
                        frame_seconds=(0.0, 1.0),
                        jpegs=jpegs,
                    )
                )
    return root


@pytest.fixture
def module(tmp_path: Path) -> TrainingModule:
    options = [
        "model=tiny",
        f"data.root={_corpus(tmp_path)}",
        "data.clip_batch=4",
        "data.video_batch=4",
        "data.clip_frames=2",
        "data.video_frames=2",
        "data.workers=0",
        "retrieval.top_k=2",
        "retrieval.min_score=0.999",
    ]
    config = compose("train", options, TrainConfig)
    torch.manual_seed(0)
    return TrainingModule(build_model(config.model), CorpusDataModule(config.data, config.model, 0), config)


def _loop_loss(visual: Tensor, text: Tensor, scale: Tensor, positives: list[tuple[int, int]]) -> Tensor:
    logits = scale * F.normalize(visual, dim=-1) @ F.normalize(text, dim=-1).T
    directions = []
    for table, pairs in ((logits, positives), (logits.T, [(j, i) for i, j in positives])):
        rows = []
        for row in sorted({i for i, _ in pairs}):
            log_probability = table[row] - table[row].exp().sum().log()
            rows.append(-torch.stack([log_probability[j] for i, j in pairs if i == row]).mean())
        directions.append(torch.stack(rows).mean())
    return (directions[0] + directions[1]) / 2


def _encoded(module: TrainingModule, batch: ClipBatch | VideoBatch, purpose: str) -> tuple[Tensor, Tensor]:
    frames = module.augment(batch.frames_btchw, generator(0, module.current, purpose))
    return module.model.encode_video(frames), module.model.encode_text(batch.tokens)


def _same_titles(left: tuple[str, ...], right: tuple[str, ...]) -> list[tuple[int, int]]:
    return [(i, j) for i, one in enumerate(left) for j, other in enumerate(right) if one == other]


def test_clip_step(module: TrainingModule) -> None:
    corpus_batches = iter(_corpus_of(module).train_dataloader())
    batch = next(corpus_batches)
    assert isinstance(batch, ClipBatch)
    module.current = 3
    result = module.clip_step(batch)
    first, text = _encoded(module, batch, "first view")
    second, _ = _encoded(module, batch, "second view")
    pairs = _same_titles(batch.texts, batch.texts)
    scale = module.model.logit_scale
    contrastive = (_loop_loss(first, text, scale, pairs) + _loop_loss(second, text, scale, pairs)) / 2
    assert module.head is not None
    torch.testing.assert_close(result.reports["contrastive"], contrastive.detach(), rtol=1e-4, atol=1e-5)
    expected = contrastive + module.config.loss.self_supervision_weight * module.head(first, second)
    torch.testing.assert_close(result.loss, expected, rtol=1e-4, atol=1e-4)


def test_video_step_with_live_retrieval(module: TrainingModule) -> None:
    batch = _corpus_of(module).load_videos(["narrated0", "narrated1", "narrated2", "narrated3"])
    module.current = 5
    module.silent.refresh(module.model, 4)
    drawn = module.silent.retrieve(*_units(module, batch), module.current)
    assert drawn is not None
    result = module.video_step(batch)
    ages = dict(zip(module.silent.bank.ids, module.silent.bank.ages(8).tolist(), strict=True))
    assert ages == {name: 3 if name in drawn.batch.keys else 4 for name in ages}
    # Equal titles have equal vectors, so the gate at 0.999 passes silent videos of the same title alone.
    assert float(result.reports["retrieved_share"]) == 1.0
    for u, row in enumerate(drawn.drawn_ub.tolist()):
        assert all(batch.texts[b] == drawn.batch.texts[u] for b, is_drawn in enumerate(row) if is_drawn)
    visual, title = _encoded(module, batch, "narrated videos")
    silent, own = _encoded(module, drawn.batch, "silent videos")
    scale = module.model.logit_scale
    contrastive = _loop_loss(visual, title, scale, _same_titles(batch.texts, batch.texts))
    narrated = _loop_loss(silent, title, scale, _same_titles(drawn.batch.texts, batch.texts))
    own_title = _loop_loss(silent, own, scale, _same_titles(drawn.batch.texts, drawn.batch.texts))
    torch.testing.assert_close(result.loss, contrastive + narrated + own_title, rtol=1e-4, atol=1e-4)
    row = module.silent.bank.ids.index(drawn.batch.keys[0])
    kept = module.silent.bank.state_dict()["visual_nd"][row].float()
    torch.testing.assert_close(kept, F.normalize(silent[0], dim=-1).detach(), rtol=0, atol=2e-3)


def test_retrieval_waits_for_the_warm_up_and_refreshes_on_time(module: TrainingModule) -> None:
    module.config.retrieval.warmup_steps = 4
    module.config.retrieval.refresh_every = 10
    assert not module.silent.refresh_is_due(3)
    assert module.silent.retrieve(torch.eye(128)[:2], torch.eye(128)[:2], 3) is None
    assert module.silent.refresh_is_due(4)
    module.silent.refresh(module.model, 4)
    assert module.model.training
    assert [module.silent.refresh_is_due(step) for step in (5, 13, 14)] == [False, False, True]


def _corpus_of(module: TrainingModule) -> CorpusDataModule:
    return CorpusDataModule(module.config.data, module.config.model, 0)


def _units(module: TrainingModule, batch: VideoBatch) -> tuple[Tensor, Tensor]:
    visual, title = _encoded(module, batch, "narrated videos")
    return F.normalize(title, dim=-1), F.normalize(visual, dim=-1)
