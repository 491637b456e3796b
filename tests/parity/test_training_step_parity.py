"""The training step against the recipe written out: what is a positive of what, what is written back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

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
from ophclip.losses.retrieval import drawn_table
from ophclip.objectives import RetrievalMode
from ophclip.training.chance import generator
from ophclip.training.export import new_model
from ophclip.training.module import StepResult, TrainingModule
from ophclip.training.procedures import Procedures

TITLES = ("red surgery", "blue surgery", "red surgery", "green surgery")


def _corpus(root: Path, videos: int = 8) -> Path:
    """Four narrated videos, then silent ones with the same titles."""
    chance = torch.Generator().manual_seed(0)
    pictures = [
        tuple(
            encode_jpeg(torch.randint(0, 255, (80, 80, 3), generator=chance, dtype=torch.uint8).numpy()) for _ in "ab"
        )
        for _ in range(8)
    ]
    with ShardWriter(root) as writer:
        for number, jpegs in enumerate(pictures[:videos]):
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
                        text=TITLES[number % 4] if level is Level.VIDEO else f"{TITLES[number % 4]} is injected",
                        frame_seconds=(0.0, 1.0),
                        jpegs=jpegs,
                    )
                )
    return root


def _module(root: Path, *more: str) -> TrainingModule:
    options = [
        "model=tiny",
        f"data.root={_corpus(root)}",
        "data.clip_batch=4",
        "data.video_batch=4",
        "data.clip_frames=2",
        "data.video_frames=2",
        "data.workers=0",
        "retrieval.top_k=2",
        "retrieval.min_score=0.999",
        *more,
    ]
    config = compose("train", options, TrainConfig)
    torch.manual_seed(0)
    return TrainingModule(new_model(config), CorpusDataModule(config.data, config.model, 0), config)


@pytest.fixture
def module(tmp_path: Path) -> TrainingModule:
    return _module(tmp_path)


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
    assert ages == {name: 3 if name in drawn.loaded.batch.keys else 4 for name in ages}
    # Equal titles have equal vectors, so the gate at 0.999 passes silent videos of the same title alone.
    assert float(result.reports["retrieved_share"]) == 1.0
    for u, row in enumerate(drawn_table(drawn.place_u, drawn.place_a).tolist()):
        assert all(batch.texts[b] == drawn.loaded.batch.texts[u] for b, is_drawn in enumerate(row) if is_drawn)
    visual, title = _encoded(module, batch, "narrated videos")
    silent, own = _encoded(module, drawn.loaded.batch, "silent videos")
    scale = module.model.logit_scale
    contrastive = _loop_loss(visual, title, scale, _same_titles(batch.texts, batch.texts))
    narrated = _loop_loss(silent, title, scale, _same_titles(drawn.loaded.batch.texts, batch.texts))
    own_title = _loop_loss(silent, own, scale, _same_titles(drawn.loaded.batch.texts, drawn.loaded.batch.texts))
    torch.testing.assert_close(result.loss, contrastive + narrated + own_title, rtol=1e-4, atol=1e-4)
    row = module.silent.bank.ids.index(drawn.loaded.batch.keys[0])
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


def _refreshed(root: Path, *more: str) -> TrainingModule:
    module = _module(root, "retrieval.warmup_steps=2", *more)
    assert module.silent.keep_fresh(module.model, 1) == {}
    assert module.silent.keep_fresh(module.model, 2) == {"bank_age_steps": 0.0, "bank_version": 1}
    with torch.no_grad():
        for weights in module.model.parameters():
            weights.add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)), alpha=0.02)
    return module


def test_a_shadow_is_filled_step_by_step_and_then_swapped(tmp_path: Path) -> None:
    module = _refreshed(tmp_path, "retrieval.refresh=shadow", "retrieval.refresh_rows=3")
    silent, before = module.silent, _bank_vectors(module)
    assert silent.keep_fresh(module.model, 4) == {"bank_age_steps": 2.0, "bank_version": 1}
    assert all(one.equal(other) for one, other in zip(before, _bank_vectors(module), strict=True))
    # What a step encoded itself is newer than what was staged before it.
    written = torch.eye(128)[:1]
    silent.write_back(["silent0"], written, written, 5)
    told = silent.keep_fresh(module.model, 6)
    assert told.keys() == {"bank_age_steps", "bank_version", "bank_overlap"}
    assert (told["bank_version"], told["bank_age_steps"]) == (2, (1 + 2 + 2 + 0) / 4)
    assert 0 <= told["bank_overlap"] <= 1
    fresh = _refreshed_bank(module)
    for now, wanted in zip(_bank_vectors(module), fresh, strict=True):
        assert now[0].equal(written[0])
        torch.testing.assert_close(now[1:], wanted[1:], rtol=0, atol=1e-3)
    assert silent.keep_fresh(module.model, 500)["bank_version"] == 2, "no full refresh comes in between"


def test_the_oldest_rows_roll_within_their_budget(tmp_path: Path) -> None:
    module = _refreshed(tmp_path, "retrieval.refresh=rolling", "retrieval.refresh_rows=3")
    silent = module.silent
    silent.write_back(["silent0"], torch.eye(128)[:1], torch.eye(128)[:1], 3)
    assert silent.keep_fresh(module.model, 4) == {"bank_age_steps": 1 / 4, "bank_version": 1}
    assert silent.bank.ages(4).tolist() == [1, 0, 0, 0]
    silent.keep_fresh(module.model, 5)
    assert silent.bank.ages(5).tolist() == [0, 0, 0, 1]
    for now, wanted in zip(_bank_vectors(module), _refreshed_bank(module), strict=True):
        torch.testing.assert_close(now, wanted, rtol=0, atol=1e-3)


def test_rows_that_roll_are_compared_with_what_they_were(tmp_path: Path) -> None:
    module = _refreshed(tmp_path, "retrieval.refresh=rolling", "retrieval.refresh_rows=4")
    assert 0 <= module.silent.keep_fresh(module.model, 4)["bank_overlap"] <= 1
    assert module.silent.keep_fresh(module.model, 5)["bank_overlap"] == 1.0, "nothing was learned in between"


def _refreshed_bank(module: TrainingModule) -> tuple[Tensor, Tensor]:
    """What the bank holds after everything is encoded at once."""
    state = module.silent.bank.state_dict()
    module.silent.refresh(module.model, 9)
    found = _bank_vectors(module)
    module.silent.bank.load_state_dict(state)
    return found


@pytest.mark.parametrize("mode", ["live", "bank"])
def test_what_is_retrieved_is_right_if_both_titles_name_one_procedure(tmp_path: Path, mode: str) -> None:
    module = _module(tmp_path, f"retrieval.mode={mode}", "retrieval.top_k=1")
    titles = {
        "narrated0": "Phaco with IOL",
        "silent0": "Cataract surgery by phacoemulsification",
        "narrated1": "Trabeculectomy",
        "silent1": "Phacoemulsification",
        "narrated2": "Live surgery",
        "narrated3": "trabeculectomy for glaucoma",
        "silent3": "Trabeculectomy",
    }
    module.silent._procedures = Procedures(SimpleNamespace(text=titles.__getitem__))
    _, result = _all_narrated(module, 5)
    # Red draws the first red one, so that 2 and 0 draw the same; of the four pairs one says nothing, one is wrong.
    assert float(result.reports["retrieval_precision"]) == pytest.approx(2 / 3)
    assert float(result.reports["retrieval_similarity"]) == pytest.approx(1.0, abs=1e-3)
    module.silent._procedures = Procedures(SimpleNamespace(text=lambda _video_id: "Live surgery"))
    assert "retrieval_precision" not in _all_narrated(module, 5)[1].reports


def _all_narrated(module: TrainingModule, step: int) -> tuple[VideoBatch, StepResult]:
    """A video step over all narrated videos at `step`, the bank freshly filled before it."""
    batch = _corpus_of(module).load_videos(["narrated0", "narrated1", "narrated2", "narrated3"])
    module.current = step
    if len(module.silent.bank):
        module.silent.refresh(module.model, step - 1)
    return batch, module.video_step(batch)


def _bank_vectors(module: TrainingModule) -> tuple[Tensor, Tensor]:
    state = module.silent.bank.state_dict()
    return state["title_nd"].float(), state["visual_nd"].float()


def _fit_loss(rows: Tensor, bank: Tensor, scale: Tensor, hits: list[list[int]]) -> Tensor:
    """Equal titles fit equally well, so that each row's target is uniform over its hits."""
    losses = []
    for row, mine in zip(rows, hits, strict=True):
        logits = scale * F.normalize(row, dim=-1) @ bank.T
        losses.append((logits.exp().sum().log() - logits[mine]).mean())
    return torch.stack(losses).mean()


HITS = [[number for number, title in enumerate(TITLES) if title == wanted] for wanted in TITLES]
"""Rows of the bank whose title is that of each narrated video."""


@pytest.mark.parametrize("side", ["visual", "title", "both"])
def test_video_step_with_frozen_targets(tmp_path: Path, side: str) -> None:
    module = _module(tmp_path, "retrieval.mode=bank", f"retrieval.side={side}", "retrieval.weight=0.5")
    batch, result = _all_narrated(module, 5)
    visual, title = _encoded(module, batch, "narrated videos")
    bank_title, bank_visual = _bank_vectors(module)
    scale = module.model.logit_scale
    sides = {
        "visual": _fit_loss(visual, bank_title, scale, HITS),
        "title": _fit_loss(title, bank_visual, scale, HITS),
    }
    added = (sides["visual"] + sides["title"]) / 2 if side == "both" else sides[side]
    contrastive = _loop_loss(visual, title, scale, _same_titles(batch.texts, batch.texts))
    torch.testing.assert_close(result.loss, contrastive + 0.5 * added, rtol=1e-4, atol=1e-4)
    assert float(result.reports["retrieved_share"]) == 1.0
    assert module.silent.bank.ages(5).tolist() == [1] * 4


def test_video_step_with_fusion_begins_as_the_contrast_and_opens(tmp_path: Path) -> None:
    module = _module(tmp_path, "retrieval.mode=fuse")
    batch, result = _all_narrated(module, 5)
    torch.testing.assert_close(result.loss, 2 * result.reports["contrastive"])
    result.loss.backward()
    assert module.fusion is not None
    assert float(module.fusion.gate.grad.abs()) > 0
    with torch.no_grad():
        module.fusion.gate.fill_(0.7)
    opened = module.video_step(batch)
    visual, title = _encoded(module, batch, "narrated videos")
    bank = torch.cat(_bank_vectors(module))
    fused = []
    for row, mine in zip(visual, HITS, strict=True):
        seen = bank[[*mine, *(len(TITLES) + number for number in mine)]]
        query = module.fusion.query(F.normalize(row, dim=-1))
        logits = torch.stack([query @ key for key in module.fusion.key(seen)]) * visual.shape[1] ** 0.5
        weights = logits.exp() / logits.exp().sum()
        found = sum(weight * value for weight, value in zip(weights, module.fusion.value(seen), strict=True))
        fused.append(row + torch.tensor(0.7).tanh() * found)
    pairs, scale = _same_titles(batch.texts, batch.texts), module.model.logit_scale
    expected = _loop_loss(visual, title, scale, pairs) + _loop_loss(torch.stack(fused), title, scale, pairs)
    torch.testing.assert_close(opened.loss, expected, rtol=1e-4, atol=1e-4)


def test_without_silent_videos_every_mode_is_the_contrast_alone(tmp_path: Path) -> None:
    _corpus(tmp_path / "narrated", videos=4)
    for mode in RetrievalMode:
        module = _module(tmp_path / str(mode), f"retrieval.mode={mode}", f"data.root={tmp_path / 'narrated'}")
        _, result = _all_narrated(module, 5)
        assert result.loss.detach().equal(result.reports["contrastive"])


def test_video_step_with_both_is_live_and_pairs(tmp_path: Path) -> None:
    parts = {}
    for mode in ("live", "silent_pairs", "both"):
        module = _module(tmp_path / mode, f"retrieval.mode={mode}")
        _, result = _all_narrated(module, 5)
        parts[mode] = result.loss.detach() - result.reports["contrastive"]
    torch.testing.assert_close(parts["both"], parts["live"] + parts["silent_pairs"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["live", "bank", "fuse"])
def test_shuffled_retrieval_brings_another_video_and_always_the_same(tmp_path: Path, mode: str) -> None:
    module = _module(tmp_path, f"retrieval.mode={mode}", "retrieval.shuffled=true", "retrieval.own_title=false")
    batch, _ = _all_narrated(module, 5)
    title, visual = _units(module, batch)
    if mode == "live":
        drawn = [module.silent.retrieve(title, visual, step) for step in (5, 6)]
        assert all(one is not None for one in drawn)
        for one in drawn:
            brought = [
                one.loaded.batch.texts[u]
                for u, row in enumerate((one.place_u[:, None] == one.place_a).tolist())
                if row[3]
            ]
            assert brought
            assert "green surgery" not in brought
        return
    tables = [module.silent.table(title) for _ in range(2)]
    bank_title, _ = _bank_vectors(module)
    assert not tables[0].title_nd.equal(bank_title)
    assert tables[0].title_nd.equal(tables[1].title_nd)
    assert sorted(map(tuple, tables[0].title_nd.tolist())) == sorted(map(tuple, bank_title.tolist()))
    torch.testing.assert_close(tables[0].scores_bn, title @ bank_title.T, rtol=1e-4, atol=1e-4)


def test_the_key_may_be_pictures_or_both(tmp_path: Path) -> None:
    for key in ("visual", "mean"):
        options = ("retrieval.mode=bank", f"retrieval.key={key}", "retrieval.min_score=-1")
        module = _module(tmp_path / key, *options)
        batch, result = _all_narrated(module, 5)
        title, _ = _units(module, batch)
        bank_title, bank_visual = _bank_vectors(module)
        keys = bank_visual if key == "visual" else (bank_title + bank_visual) / 2
        table = module.silent.table(title)
        # Two are asked for by each of four titles, so that not every row need be there.
        found = {tuple(row.tolist()) for row in (title @ keys.T).topk(2).indices}
        rows = sorted({number for pair in found for number in pair})
        torch.testing.assert_close(table.scores_bn, (title @ keys.T)[:, rows], rtol=0, atol=2e-3)
        assert float(result.reports["retrieval"]) > 0


def test_frame_step_sees_frames_one_by_one_and_teaches_the_visual_tower_alone(tmp_path: Path) -> None:
    module = _module(tmp_path, "loss.contrastive=none", "retrieval.mode=none", "loss.self_supervision=simclr")
    batch = _corpus_of(module).load_videos(["narrated0", "silent1", "narrated2"])
    module.current = 7
    result = module.frame_step(batch)
    frames = torch.stack([frame for video in batch.frames_btchw for frame in video])[:, None]
    views = []
    for purpose in ("first view", "second view"):
        pictures = module.augment(frames, generator(0, 7, purpose))
        vectors = torch.cat([module.model.encode_frames(one, normalise=True) for one in pictures])
        views.append(vectors)
    assert module.head is not None
    projected = [F.normalize(module.head.projector(one), dim=-1) for one in views]  # type: ignore[operator]
    losses = []
    for one, other in (projected, projected[::-1]):
        for n, row in enumerate(one):
            # Frames of one video are no negatives of each other.
            others = [m for m in range(len(one)) if m // 2 != n // 2]
            logits = 10 * torch.stack([row @ other[n], *(row @ side[m] for side in (one, other) for m in others)])
            losses.append(-logits.log_softmax(dim=0)[0])
    torch.testing.assert_close(result.loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-4)
    result.loss.backward()
    taught = {name.partition(".")[0] for name, one in module.model.named_parameters() if one.grad is not None}
    assert taught == {"visual"}


def test_clip_step_by_sigmoids_with_simclr(tmp_path: Path) -> None:
    module = _module(tmp_path, "loss.contrastive=siglip", "loss.self_supervision=simclr")
    batch = next(iter(_corpus_of(module).train_dataloader()))
    assert isinstance(batch, ClipBatch)
    result = module.clip_step(batch)
    first, text = _encoded(module, batch, "first view")
    second, _ = _encoded(module, batch, "second view")
    assert float(module.model.logit_scale.detach()) == pytest.approx(10)
    assert float(module.model.logit_bias.detach()) == -10
    losses = []
    for view in (first, second):
        logits = 10 * F.normalize(view, dim=-1) @ F.normalize(text, dim=-1).T - 10
        total = 0.0
        for i, one in enumerate(batch.texts):
            for j, other in enumerate(batch.texts):
                total = total - (logits[i, j] if one == other else -logits[i, j]).sigmoid().log()
        losses.append(total / len(batch))
    torch.testing.assert_close(result.reports["contrastive"], (sum(losses) / 2).detach(), rtol=1e-4, atol=1e-4)
    agreement = module.head(first, second, batch.video_index_b)
    torch.testing.assert_close(result.loss, sum(losses) / 2 + agreement, rtol=1e-4, atol=1e-4)


def test_clip_step_with_minimal_pairs(tmp_path: Path) -> None:
    module = _module(tmp_path, "loss.minimal_pairs=2", "loss.self_supervision=none")
    corpus = _corpus_of(module)
    batch = next(iter(corpus.train_dataloader()))
    assert isinstance(batch, ClipBatch)
    result = module.clip_step(batch)
    visual, text = _encoded(module, batch, "first view")
    counter = module.model.encode_text(corpus.tokenizer([one.replace("injected", "aspirated") for one in batch.texts]))
    visual, text, counter = (F.normalize(one, dim=-1) for one in (visual, text, counter))
    scale, rows = module.model.logit_scale, []
    for i, own in enumerate(batch.texts):
        total = (scale * visual[i] @ text.T).exp().sum() + 2 * (scale * visual[i] @ counter[i]).exp()
        mine = [j for j, other in enumerate(batch.texts) if own == other]
        rows.append(torch.stack([total.log() - scale * visual[i] @ text[j] for j in mine]).mean())
    back = _one_direction(text, visual, scale, batch.texts)
    torch.testing.assert_close(result.loss, (torch.stack(rows).mean() + back) / 2, rtol=1e-4, atol=1e-4)
    nearer = [bool(visual[i] @ text[i] > visual[i] @ counter[i]) for i in range(len(batch))]
    assert float(result.reports["minimal_pair_accuracy"]) == pytest.approx(sum(nearer) / len(nearer))


def _one_direction(rows: Tensor, columns: Tensor, scale: Tensor, words: tuple[str, ...]) -> Tensor:
    losses = []
    for i, own in enumerate(words):
        logits = scale * rows[i] @ columns.T
        losses.append((logits.exp().sum().log() - logits[[j for j, other in enumerate(words) if own == other]]).mean())
    return torch.stack(losses).mean()


def _corpus_of(module: TrainingModule) -> CorpusDataModule:
    return CorpusDataModule(module.config.data, module.config.model, 0)


def _units(module: TrainingModule, batch: VideoBatch) -> tuple[Tensor, Tensor]:
    visual, title = _encoded(module, batch, "narrated videos")
    return F.normalize(title, dim=-1), F.normalize(visual, dim=-1)
