"""Several ranks train one model: as one would, through endings, and from the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from painted_corpus import write_corpus
from test_training import SMALL, _config, _rows, _weights

from ophclip.config import DataConfig, TrainConfig
from ophclip.data.module import CorpusDataModule
from ophclip.model_options import ModelConfig
from ophclip.training.checkpoints import read_checkpoint
from ophclip.training.run import TrainResult

pytestmark = pytest.mark.slow
COUNTED = ("step", "level", "bank_version", "retrieved_share", "retrieval_precision", "truncated_share")
"""Columns that are the same to the last bit however many ranks there are."""


class Runner:
    """Runs in processes of their own (training_runner.py)."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self._process = process
        self._said = said

    @property
    def said(self) -> str:
        """What all runs said on standard error."""
        return self._said.read_text()

    def __call__(
        self,
        options: list[str],
        ranks: int,
        notes: Path | None = None,
        meanwhile: Callable[[list[int]], None] | None = None,
        *,
        launcher: str = "torchrun",
        harm: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Exit codes of the ranks; `meanwhile` is given their processes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job: dict[str, Any] = {"options": options, "ranks": ranks, "launcher": launcher}
        if notes is not None:
            notes.mkdir()
            job["notes"] = str(notes)
        if harm is not None:
            job["harm"] = harm
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        processes = json.loads(self._process.stdout.readline())
        if meanwhile is not None:
            meanwhile(processes)
        codes: list[int] = json.loads(self._process.stdout.readline())
        return codes


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Runner]:
    said = tmp_path_factory.mktemp("runner") / "said"
    command = [sys.executable, str(Path(__file__).with_name("training_runner.py"))]
    with (
        said.open("w") as stream,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            cwd=repository,
            env=_environment(),
        ) as process,
    ):
        yield Runner(process, said)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), shown="is injected")


@pytest.fixture(scope="module")
def corpus_of_eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight narrated videos, in shards of which the last holds less."""
    root = tmp_path_factory.mktemp("eight")
    return write_corpus(root, narrated=8, shown="is injected", samples_per_shard=9)


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _options(corpus: Path, out: Path, *more: str) -> list[str]:
    return [*SMALL, f"data.root={corpus}", f"out={out}", *more]


def _result(out: Path) -> TrainResult:
    return TrainResult(out=out, bundle=out / "bundle", metrics=out / "metrics.csv", steps=0, seconds=0.0)


def _alike(one: Path, other: Path, within: float = 1e-5) -> None:
    """Two runs whose sums were taken in another order.

    Rows of the bank are rounded to float16, and a gradient that is nothing but rounding (the bias of attention's keys
    has no other) moves its weight all the same: AdamW looks at its sign.
    """
    for left, right in zip(_rows(_result(one)), _rows(_result(other)), strict=True):
        assert {name: left[name] for name in COUNTED} == {name: right[name] for name in COUNTED}
        for name, figure in left.items():
            if name not in COUNTED and figure:
                allowed = 10 * within if name == "gradient_norm" else within
                assert float(right[name]) == pytest.approx(float(figure), rel=allowed, abs=allowed), (
                    left["step"],
                    name,
                )
    for (name, left), (_, right) in zip(_weights(_result(one)).items(), _weights(_result(other)).items(), strict=True):
        assert float((left - right).float().abs().mean()) < 1e-4, name


def _notes(folder: Path, rank: int) -> Mapping[str, Any]:
    noted: Mapping[str, Any] = torch.load(folder / f"{rank}.pt", weights_only=True)
    return noted


def _known_alike(whole: Mapping[str, Any], ranks: Sequence[Mapping[str, Any]]) -> None:
    """Ranks drew together what one did, in its order, and know the same: each other's to the last bit."""
    steps = zip(*(rank["keys"] for rank in ranks), strict=True)
    assert [tuple(key for mine in step for key in mine) for step in steps] == whole["keys"]
    assert int(whole["bank"]["counters"][0]) > 0, "the bank was filled"
    for kept, rounding in (("filled", 2**-11), ("bank", 2e-3)):
        for name, values in whole[kept].items():
            assert all(rank[kept][name].equal(ranks[0][kept][name]) for rank in ranks), name
            torch.testing.assert_close(ranks[0][kept][name], values, rtol=0, atol=rounding)


@pytest.mark.parametrize(
    ("launcher", "chosen"),
    [
        ("torchrun", ("retrieval.refresh=rolling", "retrieval.refresh_rows=3", "loss.minimal_pairs=1")),
        (
            "torchrun",
            (
                "retrieval.refresh=shadow",
                "retrieval.refresh_rows=3",
                "retrieval.mode=both",
                "loss.contrastive=siglip",
                "loss.self_supervision=simclr",
            ),
        ),
        ("torchrun", ("retrieval.mode=fuse", "retrieval.key=mean", "optim.ema_decay=0.5", "trainer.micro_batch=2")),
        ("srun", ("retrieval.mode=bank", "loss.self_supervision=none", "retrieval.min_score=0.9")),
        ("srun", ("data.silent_share=0.2", "retrieval.top_k=1")),
    ],
    ids=[
        "live, rolling, minimal pairs",
        "both, shadow, SigLIP, SimCLR",
        "fuse, average, parts",
        "bank",
        "one silent video for both",
    ],
)
def test_two_ranks_train_as_one(
    runner: Runner, corpus: Path, tmp_path: Path, launcher: str, chosen: tuple[str, ...]
) -> None:
    steps = ("trainer.steps=9", *chosen)
    for ranks in (1, 2):
        options, notes = _options(corpus, tmp_path / str(ranks), *steps), tmp_path / f"notes{ranks}"
        assert runner(options, ranks, notes, launcher=launcher) == [0] * ranks, runner.said
    # Frozen rows stand in the loss itself, as they were rounded.
    _alike(tmp_path / "1", tmp_path / "2", within=1e-4 if "retrieval.mode=bank" in chosen else 1e-5)
    _known_alike(_notes(tmp_path / "notes1", 0), [_notes(tmp_path / "notes2", rank) for rank in (0, 1)])


def test_four_ranks_train_as_one_though_one_of_them_is_slow(
    runner: Runner, corpus_of_eight: Path, tmp_path: Path
) -> None:
    more = ("trainer.steps=9", "data.clip_batch=8", "data.video_batch=8", "retrieval.refresh=rolling")
    slow = {"what": "slow", "rank": 2, "step": 0, "seconds": 0.3}
    for ranks, harm in ((1, None), (4, slow)):
        options, notes = _options(corpus_of_eight, tmp_path / str(ranks), *more), tmp_path / f"notes{ranks}"
        assert runner(options, ranks, notes, harm=harm) == [0] * ranks, runner.said
    _alike(tmp_path / "1", tmp_path / "4")
    _known_alike(_notes(tmp_path / "notes1", 0), [_notes(tmp_path / "notes4", rank) for rank in range(4)])


def test_after_a_hundred_steps_ranks_are_the_same_and_fewer_go_on_in_the_same_order(
    runner: Runner, corpus_of_eight: Path, tmp_path: Path
) -> None:
    """Batches of 4, 5 and 6 samples: what does not divide among the ranks is left out of a step, nothing else."""
    out, total = tmp_path / "out", 108
    # Most of the tiny model is its table of tokens.
    more = (f"trainer.steps={total}", "trainer.checkpoint_every=50", "model.text.frozen_blocks=1")
    options = _options(corpus_of_eight, out, *more)
    for ranks, until in ((4, 100), (2, 104)):
        kill = _ending(out, ranks - 1, until)
        assert runner(options, ranks, tmp_path / f"notes{ranks}", kill) == [143] * ranks, runner.said
    assert runner(options, 1, tmp_path / "notes1") == [0]
    plan = CorpusDataModule(*_drawn(_config(corpus_of_eight, out))).plan
    step = 0
    for ranks in (4, 2, 1):
        sitting = [_notes(tmp_path / f"notes{ranks}", rank) for rank in range(ranks)]
        assert len({rank["weights"] for rank in sitting}) == 1
        for together in zip(*(rank["keys"] for rank in sitting), strict=True):
            drawn = [request.key for request in plan.batch_at(step)]
            trained = [key for mine in together for key in mine]
            assert len(trained) == len(drawn) // ranks * ranks
            assert trained == [key for key in drawn if key in set(trained)]
            step += 1
    assert step == total
    assert [int(row["step"]) for row in _rows(_result(out))] == list(range(1, total + 1))


def _drawn(config: TrainConfig) -> tuple[DataConfig, ModelConfig, int]:
    return config.data, config.model, config.seed


def _ending(out: Path, rank: int, after: int) -> Callable[[list[int]], None]:
    """Tell a rank to end once so many steps stand in the table."""
    return lambda processes: _when_rows(out / "metrics.csv", after, lambda: os.kill(processes[rank], signal.SIGTERM))


def _when_rows(metrics: Path, count: int, do: Callable[[], None]) -> None:
    _when(lambda: metrics.is_file() and metrics.read_text().count("\n") > count, do)


def _when(ready: Callable[[], bool], do: Callable[[], None]) -> None:
    deadline = time.monotonic() + 120
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.02)
    do()


@pytest.mark.parametrize("told", [0, 1])
def test_a_run_goes_on_with_other_numbers_of_ranks_after_any_of_them_was_told_to_end(
    runner: Runner, corpus: Path, tmp_path: Path, told: int
) -> None:
    more = ("trainer.steps=30", "retrieval.refresh=shadow", "retrieval.refresh_rows=4")
    assert runner(_options(corpus, tmp_path / "whole", *more), 1) == [0]
    options = _options(corpus, tmp_path / "parts", *more)
    assert runner(options, 1, meanwhile=_ending(tmp_path / "parts", 0, 5)) == [143]
    assert runner(options, 2, meanwhile=_ending(tmp_path / "parts", told, 14)) == [143, 143], runner.said
    assert runner(options, 1) == [0]
    _alike(tmp_path / "whole", tmp_path / "parts", within=1e-3)


def test_a_loss_that_is_no_number_ends_all_ranks_with_one_line_and_the_keys_of_all(
    runner: Runner, corpus: Path, tmp_path: Path
) -> None:
    wild = ("optim.learning_rate=1e30", "optim.clip_gradient_norm=0", "retrieval.mode=none", "trainer.steps=6")
    before = len(runner.said)
    assert runner(_options(corpus, tmp_path, *wild), 2) == [2, 2]
    (said,) = _told(runner, before)
    assert "is not finite: its sample keys stand in" in said
    assert len(json.loads((tmp_path / "nonfinite.json").read_text())["keys"]) == 6


def test_a_rank_whose_weights_went_apart_is_named_and_no_checkpoint_is_written(
    runner: Runner, corpus: Path, tmp_path: Path
) -> None:
    before = len(runner.said)
    harm = {"what": "weights", "rank": 1, "step": 1}
    assert runner(_options(corpus, tmp_path, "trainer.steps=6"), 2, harm=harm) == [2, 2]
    (said,) = _told(runner, before)
    assert said.startswith("ophclip: after step 4 rank 1 held other weights than rank 0; the last checkpoint is whole")
    assert not list((tmp_path / "checkpoints").glob("*"))


def test_a_rank_that_stands_still_ends_the_run_by_the_timeout_and_one_that_is_killed_at_once(
    runner: Runner, corpus: Path, tmp_path: Path
) -> None:
    options = _options(corpus, tmp_path, "trainer.steps=9")
    waiting = [*options, "trainer.timeout_minutes=0.2"]

    def kill_when(ready: Callable[[], bool]) -> Callable[[list[int]], None]:
        return lambda processes: _when(ready, lambda: os.kill(processes[1], signal.SIGKILL))

    before = len(runner.said)
    still = {"what": "slow", "rank": 1, "step": 2, "seconds": 600}
    assert runner(waiting, 2, meanwhile=kill_when(lambda: bool(_told(runner, before))), harm=still) == [2, -9]
    (said,) = _told(runner, before)
    assert said.startswith("ophclip: trainer.timeout_minutes: another rank kept this one waiting for 0.2; see what")
    before = len(runner.said)
    metrics = tmp_path / "metrics.csv"
    assert runner(options, 2, meanwhile=kill_when(lambda: metrics.read_text().count("\n") > 5)) == [2, -9]
    (said,) = _told(runner, before)
    assert said.startswith("ophclip: another rank of the run ended, and it or its launcher says why; the last checkp")
    assert runner(options, 1) == [0]


def _told(runner: Runner, before: int) -> list[str]:
    """What ranks told a user since so much was said."""
    return [line for line in runner.said[before:].splitlines() if line.startswith("ophclip: ")]


def test_the_first_rank_starts_the_other_and_ends_when_that_is_killed(
    runner: Runner, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = _options(corpus, out, "trainer.steps=8", "trainer.devices=2", "data.workers=1")
    before = len(runner.said)

    def kill(processes: list[int]) -> None:
        _when_rows(out / "metrics.csv", 4, lambda: os.kill(_child(processes[0]), signal.SIGKILL))

    assert runner(options, 1, meanwhile=kill) == [2]
    (told,) = _told(runner, before)
    assert told.startswith("ophclip: rank 1 of the run ended with status -9; the last checkpoint is whole, run the")
    assert runner(options, 1) == [0], runner.said
    # A loader of the killed rank may tell how it lost its parent; the command itself tells one line.
    own = [line for line in runner.said[before:].splitlines() if not line.startswith("[rank1]: ")]
    assert own[-1] == str(out / "bundle")
    assert not any("Traceback" in line for line in own)
    assert runner(_options(corpus, tmp_path / "alone", "trainer.steps=8"), 1) == [0]
    _alike(tmp_path / "alone", out, within=1e-4)


SHARDED = ("trainer.strategy=fsdp", "trainer.checkpoint_every=3")


@pytest.mark.parametrize(
    "chosen",
    [
        (
            "loss.minimal_pairs=1",
            "data.silent_share=0.2",
            "retrieval.top_k=1",
            "retrieval.refresh=rolling",
            "retrieval.refresh_rows=3",
            "optim.ema_decay=0.5",
            "model.visual.gradient_checkpointing=true",
            "validation.every=4",
        ),
        (
            "retrieval.mode=both",
            "retrieval.own_title=false",
            "retrieval.refresh=shadow",
            "retrieval.refresh_rows=3",
            "loss.contrastive=siglip",
            "loss.self_supervision=simclr",
            "model.text.frozen_blocks=1",
            "optim.layer_decay=0.8",
        ),
        ("retrieval.mode=fuse", "retrieval.key=mean"),
    ],
    ids=["one silent video for both, average, validation", "both, shadow, SigLIP, layers", "fuse"],
)
def test_two_ranks_with_parts_of_the_towers_train_as_one(
    runner: Runner, corpus: Path, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    told = f"validation.sets=[{{name: held_out, dataset: titles, root: {corpus}}}]"
    for ranks in (1, 2):
        options = _options(corpus, tmp_path / str(ranks), "trainer.steps=9", *SHARDED, told, *chosen)
        assert runner(options, ranks, tmp_path / f"notes{ranks}") == [0] * ranks, runner.said
    _alike(tmp_path / "1", tmp_path / "2")
    _known_alike(_notes(tmp_path / "notes1", 0), [_notes(tmp_path / "notes2", rank) for rank in (0, 1)])
    one, two = (read_checkpoint(tmp_path / ranks / "checkpoints" / "step-00000009.pt") for ranks in "12")
    assert {name: value.shape for name, value in two.module.items()} == {
        name: value.shape for name, value in one.module.items()
    }
    assert two.optimizer["param_groups"] == one.optimizer["param_groups"]
    for place, moments in one.optimizer["state"].items():
        for name, value in moments.items():
            apart = (two.optimizer["state"][place][name] - value).abs().mean()
            assert float(apart) <= 1e-2 * float(value.abs().mean()) + 1e-6, (place, name)


def test_a_run_goes_on_whole_or_in_parts_with_other_numbers_of_ranks(
    runner: Runner, corpus_of_eight: Path, tmp_path: Path
) -> None:
    more = ("trainer.steps=16", "data.clip_batch=8", "data.video_batch=8", "optim.ema_decay=0.5")
    assert runner(_options(corpus_of_eight, tmp_path / "whole", *more), 1) == [0]
    out = tmp_path / "parts"
    options = _options(corpus_of_eight, out, *more)
    sharded = [*options, *SHARDED]
    assert runner(sharded, 2, meanwhile=_ending(out, 1, 3)) == [143, 143], runner.said
    assert runner(options, 1, meanwhile=_ending(out, 0, 6)) == [143], runner.said
    assert runner(sharded, 4, meanwhile=_ending(out, 2, 9)) == [143] * 4, runner.said
    assert runner(options, 2) == [0, 0], runner.said
    _alike(tmp_path / "whole", out, within=1e-3)


def test_towers_that_cannot_be_sharded_are_refused_in_one_line(runner: Runner, corpus: Path, tmp_path: Path) -> None:
    before = len(runner.said)
    learned = ("trainer.strategy=fsdp", "model.visual.kind=timm", "model.visual.name=resnet10t")
    assert runner(_options(corpus, tmp_path, "trainer.steps=3", *learned), 2) == [2, 2]
    (said,) = set(_told(runner, before))
    assert said.startswith("ophclip: trainer.strategy: fsdp cannot keep one set of statistics for the batch norms of a")


def test_torchrun_starts_the_command(corpus: Path, tmp_path: Path, repository: Path) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "ophclip.train", *_options(corpus, tmp_path / "out", "trainer.steps=3")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, env=_environment(), check=False)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out' / 'bundle'}\n"), done.stderr
    assert len(_rows(_result(tmp_path / "out"))) == 3


def _child(process: int) -> int:
    """The process that runs another rank, among the children of a run."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next(int(one) for one in children if b"ophclip.training.rank" in Path(f"/proc/{one}/cmdline").read_bytes())
