"""Whole runs on a painted corpus: they repeat bit by bit, survive being killed, and refuse to be mixed."""

from __future__ import annotations

import copy
import csv
import json
import os
import signal
import struct
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from filming import film, steady
from painted_corpus import write_corpus

import ophclip
from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.models.bundle import load_bundle
from ophclip.progress import Progress
from ophclip.training.callbacks import MEASURED
from ophclip.training.checkpoints import read_checkpoint
from ophclip.training.export import initial_model
from ophclip.training.run import TrainResult, train

SMALL = (
    "model=tiny",
    "data.clip_batch=6",
    "data.video_batch=6",
    "data.clip_frames=2",
    "data.video_frames=2",
    "data.levels={clip: 2, video: 1}",
    "data.workers=0",
    "retrieval.warmup_steps=1",
    "retrieval.refresh_every=4",
    "retrieval.min_score=-1",
    "optim.learning_rate=1e-3",
    "optim.warmup_steps=2",
    "trainer.device=cpu",
    "trainer.threads=1",
    "trainer.log_every=1",
    "trainer.checkpoint_every=4",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def _config(corpus: Path, out: Path, *more: str) -> TrainConfig:
    return compose("train", [*SMALL, f"data.root={corpus}", f"out={out}", "trainer.steps=6", *more], TrainConfig)


def _rows(result: TrainResult) -> list[dict[str, str]]:
    with result.metrics.open() as stream:
        return [{name: value for name, value in row.items() if name not in MEASURED} for row in csv.DictReader(stream)]


def _weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return ophclip.load_bundle(result.bundle).model.state_dict()


def _same(one: TrainResult, other: TrainResult) -> None:
    assert _rows(one) == _rows(other)
    for (name, left), (_, right) in zip(_weights(one).items(), _weights(other).items(), strict=True):
        assert torch.equal(left, right), name


def test_a_run_repeats_whatever_the_loader_and_leaves_its_surroundings_alone(corpus: Path, tmp_path: Path) -> None:
    config = _config(corpus, tmp_path / "a")
    before, chance, threads = copy.deepcopy(config), torch.random.get_rng_state(), torch.get_num_threads()
    told: list[tuple[int, int]] = []
    first = train(config, lambda done, total, _: told.append((done, total)))
    assert config == before
    assert torch.random.get_rng_state().equal(chance)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert told == [(step, 6) for step in range(1, 7)]
    torch.manual_seed(99)
    _same(first, train(_config(corpus, tmp_path / "b", "data.workers=2")))
    rows = _rows(first)
    assert [row["level"] for row in rows] == ["clip", "clip", "video"] * 2
    assert all(row["retrieved_share"] == "1.0" and row["retrieval"] for row in rows if row["level"] == "video")
    assert {path.name for path in first.out.iterdir()} == {
        "bundle",
        "checkpoints",
        "config.yaml",
        "metrics.csv",
        "run.json",
        "tensorboard",
        "training.json",
    }
    record = load_bundle(first.bundle).training
    assert record is not None
    assert record.corpus == ShardReader(corpus).fingerprint
    assert {"narrated00", "silent00"} <= set(record.videos)
    assert "untitled" not in record.videos, "a video without text is not drawn"
    assert record.options["seed"] == config.seed


def test_a_finished_run_is_left_and_another_is_refused(corpus: Path, tmp_path: Path) -> None:
    config = _config(corpus, tmp_path / "out", "trainer.steps=1", "retrieval.mode=none")
    result = train(config)
    touched = {path: path.stat().st_mtime_ns for path in result.out.rglob("*")}
    again = _config(corpus, tmp_path / "out", "trainer.steps=1", "retrieval.mode=none", "trainer.log_every=3")
    assert train(again) == result
    assert {path: path.stat().st_mtime_ns for path in result.out.rglob("*")} == touched
    with pytest.raises(ValueError, match=r"^optim.learning_rate: 0.5 given, but the run in .* with 0.001; give an"):
        train(_config(corpus, tmp_path / "out", "trainer.steps=1", "retrieval.mode=none", "optim.learning_rate=0.5"))
    other = write_corpus(tmp_path / "other", narrated=3, seed=5)
    with pytest.raises(ValueError, match=r"^data.root: not the corpus that the run in .* was begun with"):
        train(_config(other, tmp_path / "out", "trainer.steps=1", "retrieval.mode=none"))
    with pytest.raises(ValueError, match=r"^data.root: .*is no folder; make a corpus with"):
        train(_config(tmp_path / "nowhere", tmp_path / "out2"))
    with pytest.raises(ValueError, match=r"^model\.visual\.weights: nowhere\.pt is neither a local folder nor in"):
        train(_config(corpus, tmp_path / "out2", "model.visual.weights=nowhere.pt"))
    assert not (tmp_path / "out2").exists(), "the mended option would be refused there"
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"^out: .* cannot be written \(Not a directory\); give another folder"):
        train(_config(corpus, tmp_path / "file" / "out"))


@pytest.mark.parametrize("mode", ["silent_pairs", "none"])
def test_controls_train_too(corpus: Path, tmp_path: Path, mode: str) -> None:
    result = train(_config(corpus, tmp_path, f"retrieval.mode={mode}", "loss.self_supervision=none", "trainer.steps=3"))
    last = _rows(result)[-1]
    assert bool(last["own_title"]) == (mode == "silent_pairs")
    assert not last["retrieval"]


def test_a_closed_gate_adds_nothing(corpus: Path, tmp_path: Path) -> None:
    steps = "trainer.steps=3"
    plain = train(_config(corpus, tmp_path / "plain", "retrieval.mode=none", steps))
    for mode in ("live", "bank", "fuse"):
        chosen = ("retrieval.min_score=2", f"retrieval.mode={mode}", steps)
        gated = train(_config(corpus, tmp_path / mode, *chosen))
        assert _rows(gated)[-1]["retrieved_share"] == "0.0"
        assert [row["loss"] for row in _rows(gated)] == [row["loss"] for row in _rows(plain)]
        for (name, left), (_, right) in zip(_weights(gated).items(), _weights(plain).items(), strict=True):
            assert torch.equal(left, right), (mode, name)


VISUAL = ("loss.contrastive=none", "retrieval.mode=none", "data.levels={clip: 0, video: 1}")


def test_a_first_stage_teaches_the_visual_tower_and_the_second_begins_with_it(corpus: Path, tmp_path: Path) -> None:
    config = _config(corpus, tmp_path / "first", *VISUAL, "trainer.steps=3")
    first, untrained = train(config), initial_model(config).state_dict()
    assert all(row["views"] and not row["contrastive"] for row in _rows(first))
    learned = {name for name, one in _weights(first).items() if not torch.equal(one, untrained[name])}
    assert learned
    assert all(name.startswith("visual.") for name in learned)
    second = _config(corpus, tmp_path / "second", f"model.visual.weights={first.bundle}", "trainer.steps=1")
    begun = initial_model(second).state_dict()
    for name, one in _weights(first).items():
        assert torch.equal(begun[name], one) == (name.startswith("visual.") or torch.equal(one, untrained[name])), name
    seen = load_bundle(train(second).bundle).training
    assert seen is not None
    assert "untitled" in seen.videos, "what the first stage saw counts as seen"


class _PowerCutError(Exception):
    """Ends a run between two steps, as nothing orderly does."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        ("retrieval.mode=bank", "loss.contrastive=siglip"),
        ("retrieval.mode=fuse", "loss.self_supervision=simclr", "retrieval.key=mean"),
        ("retrieval.mode=both", "retrieval.shuffled=true", "loss.minimal_pairs=1"),
        VISUAL,
    ],
    ids=["bank, SigLIP", "fuse, SimCLR", "both, minimal pairs", "pictures alone"],
)
def test_every_mode_goes_on_where_it_was_cut(tmp_path: Path, chosen: tuple[str, ...]) -> None:
    corpus = write_corpus(tmp_path / "corpus", shown="is injected")
    whole = train(_config(corpus, tmp_path / "whole", *chosen))

    def cut(done: int, _total: int, _told: str) -> None:
        if done == 5:
            raise _PowerCutError

    with pytest.raises(_PowerCutError):
        train(_config(corpus, tmp_path / "parts", *chosen), cut)
    _same(whole, train(_config(corpus, tmp_path / "parts", *chosen)))
    if chosen == VISUAL:
        return
    video = [row for row in _rows(whole) if row["level"] == "video"]
    assert all(row["retrieval"] and row["retrieved_share"] == "1.0" for row in video)
    contradicted = {row["level"] for row in _rows(whole) if row["minimal_pair_accuracy"]}
    assert contradicted == ({"clip"} if "loss.minimal_pairs=1" in chosen else set())


@pytest.mark.parametrize(
    "chosen",
    [
        ("retrieval.refresh=shadow", "retrieval.index=hnsw"),
        ("retrieval.refresh=rolling", "retrieval.index=ivf", "retrieval.mode=bank"),
    ],
    ids=["shadow, HNSW", "rolling, IVF"],
)
def test_a_bank_that_is_kept_fresh_bit_by_bit_goes_on_where_it_was_cut(
    corpus: Path, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    levels = "data.levels={clip: 0, video: 1}"
    options = (levels, "trainer.steps=7", "trainer.checkpoint_every=3", "retrieval.refresh_rows=2", *chosen)
    whole = train(_config(corpus, tmp_path / "whole", *options))
    with pytest.raises(RuntimeError, match="the power went"):
        train(_config(corpus, tmp_path / "parts", *options), _power_cut_after(5))
    (half_way,) = (tmp_path / "parts" / "checkpoints").iterdir()
    assert int(read_checkpoint(half_way).bank["staged_n"].sum()) == (2 if "retrieval.refresh=shadow" in chosen else 0)
    parts = train(_config(corpus, tmp_path / "parts", *options))
    _same(whole, parts)
    banks = [read_checkpoint(run.out / "checkpoints" / "step-00000007.pt").bank for run in (whole, parts)]
    assert banks[0].keys() == banks[1].keys() >= {"title.structure"}
    assert all(banks[0][name].equal(banks[1][name]) for name in banks[0])
    swaps = [row["bank_version"] for row in _rows(whole)]
    assert swaps == (["", *"111222"] if "retrieval.refresh=shadow" in chosen else ["", *"111111"])


def test_a_single_video_with_an_odd_clip_trains(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", narrated=1, silent=0, clips_per_video=3)
    result = train(_config(corpus, tmp_path / "out", "trainer.steps=3", "data.max_clips_per_video=2"))
    assert [bool(row["views"]) for row in _rows(result)].count(False) in {1, 2}
    assert {row["level"] for row in _rows(result)} == {"clip"}


@pytest.mark.slow
def test_a_run_that_is_ended_time_and_again_goes_on_as_if_nothing_had_happened(
    corpus: Path, tmp_path: Path, repository: Path
) -> None:
    """Each ending once after each: what SIGTERM saves and what a kill leaves must both be a place to go on from."""
    steps = "trainer.steps=24"
    whole = train(_config(corpus, tmp_path / "whole", steps))
    options = [*SMALL, f"data.root={corpus}", f"out={tmp_path / 'parts'}", steps, "data.workers=1"]
    rows = tmp_path / "parts" / "metrics.csv"
    endings = (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
    status = []
    command = [sys.executable, str(Path(__file__).with_name("training_runner.py"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repository, env=environment
    ) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        for ending, stop_at in zip(endings, (3, 7, 11, 16, 21), strict=True):
            runner.stdin.write(json.dumps({"options": options, "ranks": 1, "launcher": "torchrun"}) + "\n")
            runner.stdin.flush()
            (process,) = json.loads(runner.stdout.readline())
            deadline = time.monotonic() + 120
            while not (rows.is_file() and rows.read_text().count("\n") > stop_at) and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(process, ending)
            status += json.loads(runner.stdout.readline())
    assert status == [143 if ending == signal.SIGTERM else -signal.SIGKILL for ending in endings]
    _same(whole, train(_config(corpus, tmp_path / "parts", steps)))


@pytest.mark.slow
def test_pictures_and_texts_of_a_painted_world_find_each_other(corpus: Path, tmp_path: Path) -> None:
    result = train(_config(corpus, tmp_path, "trainer.steps=120", "optim.warmup_steps=10", "retrieval.min_score=0.5"))
    model, preprocess, tokenizer = ophclip.load(result.bundle)
    from painted_corpus import COLOURS

    pictures = [torch.tensor(colour, dtype=torch.uint8).expand(64, 64, 3).numpy() for colour in COLOURS.values()]
    with torch.no_grad():
        seen = model.encode_image(preprocess(pictures), normalize=True)
        said = model.encode_text(tokenizer([f"{name} surgery" for name in COLOURS]), normalize=True)
    assert int(((said @ seen.T).argmax(dim=1) == torch.arange(len(COLOURS))).sum()) >= 5


def test_parts_of_a_batch_train_as_the_whole_batch_does(corpus: Path, tmp_path: Path) -> None:
    whole = train(_config(corpus, tmp_path / "whole", "trainer.steps=3"))
    parts = train(_config(corpus, tmp_path / "parts", "trainer.steps=3", "trainer.micro_batch=4"))
    for left, right in zip(_rows(whole), _rows(parts), strict=True):
        assert float(left["loss"]) == pytest.approx(float(right["loss"]), abs=2e-4)
        assert float(left["gradient_norm"]) == pytest.approx(float(right["gradient_norm"]), rel=2e-3)


def test_the_average_of_the_weights_is_exported_and_survives_a_stop(corpus: Path, tmp_path: Path) -> None:
    options = ("trainer.steps=4", "trainer.checkpoint_every=2", "optim.ema_decay=0.5", "retrieval.mode=none")
    whole = train(_config(corpus, tmp_path / "whole", *options))
    stopped = _config(corpus, tmp_path / "stopped", *options)
    with pytest.raises(RuntimeError, match="the power went"):
        train(stopped, _power_cut_after(3))
    _same(whole, train(stopped))
    plain = train(_config(corpus, tmp_path / "plain", *options[:2], "retrieval.mode=none"))
    assert [row["loss"] for row in _rows(plain)] == [row["loss"] for row in _rows(whole)]
    assert not torch.equal(_weights(plain)["log_logit_scale"], _weights(whole)["log_logit_scale"])


def _power_cut_after(step: int) -> Progress:
    def report(done: int, _total: int, _message: str) -> None:
        if done == step:
            raise RuntimeError("the power went")

    return report


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_samples(corpus: Path, tmp_path: Path) -> None:
    config = _config(corpus, tmp_path, "optim.learning_rate=1e30", "optim.clip_gradient_norm=0", "retrieval.mode=none")
    with pytest.raises(
        ValueError, match=r"^the loss of step \d+ \((clip|video) level\) is not finite: its sample keys"
    ):
        train(config)
    record = json.loads((tmp_path / "nonfinite.json").read_text())
    assert record["keys"]
    reader = ShardReader(corpus)
    assert set(record["keys"]) <= {entry.key for level in Level for entry in reader.entries(level)}


def test_tensorboard_gets_every_figure_of_the_table(corpus: Path, tmp_path: Path) -> None:
    result = train(_config(corpus, tmp_path, "trainer.steps=3"))
    with result.metrics.open() as stream:
        rows = list(csv.DictReader(stream))
    written = _events(tmp_path / "tensorboard")
    for row in rows:
        for name in ("loss", "gradient_norm", "samples_per_second", "logit_scale"):
            assert written[f"{row['level']}/{name}", int(row["step"])] == pytest.approx(float(row[name]), rel=1e-6)


def _events(folder: Path) -> dict[tuple[str, int], float]:
    """Scalars of the event files: records of length, checksum, protocol buffer, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in folder.glob("events.*"):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            event = Event.FromString(data[place + 12 : place + 12 + length])
            found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
            place += length + 16
    return found


@pytest.mark.parametrize("logger", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_named(corpus: Path, tmp_path: Path, logger: str) -> None:
    if find_spec(logger) is not None:
        pytest.skip(f"{logger} is installed here, so its absence cannot be tested")
    with pytest.raises(ValueError, match=rf"^trainer.loggers: {logger} is not installed; pip install {logger}"):
        train(_config(corpus, tmp_path, f"trainer.loggers=[{logger}]"))


def test_validation_is_beside_the_training_and_changes_nothing_of_it(corpus: Path, tmp_path: Path) -> None:
    film(tmp_path / "held_out.mp4", steady(8.0, fps=5.0))
    spans = (
        "video,start_seconds,end_seconds,label",
        "held_out.mp4,0,4,black surgery",
        "held_out.mp4,4,8,white surgery",
    )
    (tmp_path / "labels.csv").write_text("\n".join(spans))
    (tmp_path / "prompts.txt").write_text("black surgery\nwhite surgery\n")
    options = ("trainer.steps=5", "retrieval.mode=none", "optim.ema_decay=0.5")
    plain = train(_config(corpus, tmp_path / "plain", *options))
    dark = f"{{name: dark, dataset: phase-table, root: {tmp_path / 'labels.csv'}, prompts: {tmp_path / 'prompts.txt'}}}"
    asked = [f"validation.sets=[{dark}, {{name: told, dataset: titles, root: {corpus}}}]", "validation.every=2"]
    watched = train(_config(corpus, tmp_path / "watched", *options, *asked))
    rows = _rows(watched)
    scored = [row for row in rows if row["level"] == "dark"]
    assert [row["step"] for row in scored] == ["2", "4", "5"]
    assert all(0 <= float(row["f1"]) <= 1 and 0 <= float(row["accuracy"]) <= 1 for row in scored)
    told = [row for row in rows if row["level"] == "told"]
    assert [row["step"] for row in told] == ["2", "4", "5"]
    assert all(0 <= float(row["recall_at_1"]) <= float(row["recall_at_5"]) <= 1 for row in told)
    assert [row for row in rows if row["level"] in {"clip", "video"}] == _rows(plain)
    for (name, left), (_, right) in zip(_weights(plain).items(), _weights(watched).items(), strict=True):
        assert torch.equal(left, right), name
    missing = asked[0].replace("labels.csv", "lost.csv")
    with pytest.raises(ValueError, match=r"^validation.sets: dark: .*lost.csv"):
        train(_config(corpus, tmp_path / "c", *options, missing))
