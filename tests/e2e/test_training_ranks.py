"""Several ranks train one model: as one would, through endings, and from the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from painted_corpus import write_corpus
from test_training import SMALL, _config, _rows, _weights

from ophclip.training.run import TrainResult, train

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
    ) -> list[int]:
        """Exit codes of the ranks; `meanwhile` is given their processes."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"options": options, "ranks": ranks, **({} if notes is None else {"notes": str(notes)})}
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


@pytest.mark.parametrize(
    "chosen",
    [
        ("retrieval.refresh=rolling", "retrieval.refresh_rows=3", "loss.minimal_pairs=1"),
        (
            "retrieval.refresh=shadow",
            "retrieval.refresh_rows=3",
            "retrieval.mode=both",
            "loss.contrastive=siglip",
            "loss.self_supervision=simclr",
        ),
        ("retrieval.mode=fuse", "retrieval.key=mean", "optim.ema_decay=0.5", "trainer.micro_batch=2"),
        ("retrieval.mode=bank", "loss.self_supervision=none", "retrieval.min_score=0.9"),
        ("data.silent_share=0.2", "retrieval.top_k=1"),
    ],
    ids=[
        "live, rolling, minimal pairs",
        "both, shadow, SigLIP, SimCLR",
        "fuse, average, parts",
        "bank",
        "one silent video for both",
    ],
)
def test_two_ranks_train_as_one(runner: Runner, corpus: Path, tmp_path: Path, chosen: tuple[str, ...]) -> None:
    steps = ("trainer.steps=9", *chosen)
    for ranks in (1, 2):
        (tmp_path / f"notes{ranks}").mkdir()
        options = _options(corpus, tmp_path / str(ranks), *steps)
        assert runner(options, ranks, tmp_path / f"notes{ranks}") == [0] * ranks, runner.said
    # Frozen rows stand in the loss itself, as they were rounded.
    _alike(tmp_path / "1", tmp_path / "2", within=1e-4 if "retrieval.mode=bank" in chosen else 1e-5)
    whole, first, second = _notes(tmp_path / "notes1", 0), *(_notes(tmp_path / "notes2", rank) for rank in (0, 1))
    assert [(*one, *other) for one, other in zip(first["keys"], second["keys"], strict=True)] == whole["keys"]
    for name, values in first["bank"].items():
        assert values.equal(second["bank"][name]), name
        torch.testing.assert_close(values, whole["bank"][name], rtol=0, atol=2e-3)
    assert int(first["bank"]["counters"][0]) > 0, "the bank was filled"


def _when_rows(metrics: Path, count: int, do: Callable[[], None]) -> None:
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and metrics.read_text().count("\n") > count) and time.monotonic() < deadline:
        time.sleep(0.02)
    do()


@pytest.mark.parametrize("told", [0, 1])
def test_a_run_goes_on_with_other_numbers_of_ranks_after_any_of_them_was_told_to_end(
    runner: Runner, corpus: Path, tmp_path: Path, told: int
) -> None:
    more = ("trainer.steps=30", "retrieval.refresh=shadow", "retrieval.refresh_rows=4")
    assert runner(_options(corpus, tmp_path / "whole", *more), 1) == [0]
    options, metrics = _options(corpus, tmp_path / "parts", *more), tmp_path / "parts" / "metrics.csv"

    def end(rank: int, after: int) -> Callable[[list[int]], None]:
        return lambda processes: _when_rows(metrics, after, lambda: os.kill(processes[rank], signal.SIGTERM))

    assert runner(options, 1, meanwhile=end(0, 5)) == [143]
    assert runner(options, 2, meanwhile=end(told, 14)) == [143, 143], runner.said
    assert runner(options, 1) == [0]
    _alike(tmp_path / "whole", tmp_path / "parts", within=1e-3)


def test_a_loss_that_is_no_number_ends_all_ranks_with_one_line_and_the_keys_of_all(
    runner: Runner, corpus: Path, tmp_path: Path
) -> None:
    wild = ("optim.learning_rate=1e30", "optim.clip_gradient_norm=0", "retrieval.mode=none", "trainer.steps=6")
    before = len(runner.said)
    assert runner(_options(corpus, tmp_path, *wild), 2) == [2, 2]
    said = [line for line in runner.said[before:].splitlines() if line.startswith("ophclip: ")]
    assert len(said) == 1
    assert "is not finite: its sample keys stand in" in said[0]
    assert len(json.loads((tmp_path / "nonfinite.json").read_text())["keys"]) == 6


def test_the_command_starts_the_other_rank_and_ends_when_that_is_killed(
    corpus: Path, tmp_path: Path, repository: Path
) -> None:
    options = _options(corpus, tmp_path / "out", "trainer.steps=8", "trainer.devices=2", "data.workers=1")
    command = [sys.executable, "-m", "ophclip.train", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=repository, env=_environment()
    ) as process:
        _when_rows(tmp_path / "out" / "metrics.csv", 4, lambda: os.kill(_child(process.pid), signal.SIGKILL))
        _, said = process.communicate(timeout=600)
    assert process.returncode == 2, said
    (told,) = [line for line in said.splitlines() if line.startswith("ophclip: ")]
    assert told.startswith("ophclip: rank 1 of the run ended with status -9; the last checkpoint is whole, run the")
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, env=_environment(), check=False)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out' / 'bundle'}\n"), done.stderr
    # A loader of the killed rank may tell how it lost its parent; the command itself tells one line.
    own = "\n".join(line for line in said.splitlines() if not line.startswith("[rank1]: "))
    assert "Traceback" not in own + done.stderr
    train(_config(corpus, tmp_path / "alone", "trainer.steps=8"))
    _alike(tmp_path / "alone", tmp_path / "out", within=1e-4)


def _child(process: int) -> int:
    """The process that runs another rank, among the children of a run."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return next(int(one) for one in children if b"ophclip.training.rank" in Path(f"/proc/{one}/cmdline").read_bytes())
