"""Training as a process of its own that is killed on time and started again, and what its own records say of that."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from soak_journal import Journal, Memory

from ophclip.training.callbacks import MEASURED
from ophclip.training.checkpoints import read_checkpoint
from ophclip.training.ranks import TERMINATED

OPTIONS = (
    *("+exp=demo", "model=tiny", "data.workers=0", "data.clip_batch=16", "data.clip_frames=4"),
    *("retrieval.refresh_every=100", "trainer.log_every=1", "trainer.threads=1", "trainer.device=cpu"),
    "trainer.loggers=[]",
)
CHECKPOINTS_A_LIFE = 16
"""A checkpoint costs some 0.3 s here, what is done again after a kill half the way between two of them: with a kill
every 300 s the sum of both is least at some 13 s."""
STEPS_A_SECOND = 2.5
"""About, beside everything else."""
STEPS = 100_000
"""More than an hour has room for; the rate's schedule goes by it."""
_LOOK_SECONDS = 0.5


def command(corpus: Path, out: Path, *, steps: int = STEPS, checkpoint_every: int = 500) -> list[str]:
    """What is typed to begin the run or to go on with it."""
    given = [f"data.root='{corpus}'", f"out='{out}'"]
    sizes = [f"trainer.steps={steps}", f"trainer.checkpoint_every={checkpoint_every}"]
    return [sys.executable, "-m", "ophclip.train", *OPTIONS, *given, *sizes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """One process from start to end."""

    wall_seconds: float
    done_seconds: float
    """Of all steps it did, by its own clock."""
    kept_seconds: float
    """Of the steps that its last checkpoint holds; those after it are done again by the next one."""
    checkpoint_seconds: float
    """By how much steps after a checkpoint took longer than others of their level, in all."""
    steps_done: int
    steps_kept: int

    @property
    def useful_seconds(self) -> float:
        """Of steps that stayed, without the waiting for checkpoints."""
        return self.kept_seconds - self.checkpoint_seconds


class Training:
    """The lives of one run, and all rows that they wrote."""

    def __init__(self, corpus: Path, out: Path, journal: Journal, memory: Memory, *, kill_every_seconds: float) -> None:
        self._corpus, self._out, self._journal, self._memory = corpus, out, journal, memory
        self._kill_every = kill_every_seconds
        self._checkpoint_every = max(4, round(STEPS_A_SECOND * kill_every_seconds / CHECKPOINTS_A_LIFE))
        self._run = out / "run"
        self.lives: list[Life] = []
        self.lost_rows: dict[int, list[dict[str, str]]] = {}
        """Rows of steps that a kill took back, as they stood."""
        self.kept_checkpoint = out / "kept.pt"
        """A copy of one that was written after kills."""

    def go_on_until(self, end_seconds: float, keep_after_kills: int) -> None:
        """Start, kill and start again; at the end it is told to terminate."""
        kill_at = self._kill_every
        while self._journal.seconds < end_seconds:
            last = kill_at >= end_seconds - _LOOK_SECONDS
            self._live(end_seconds if last else kill_at, last=last, keep=len(self.lives) >= keep_after_kills)
            kill_at += self._kill_every

    def _live(self, until_seconds: float, *, last: bool, keep: bool) -> None:
        began, resumed, before = time.monotonic(), newest(self._run), _table(self._run)
        name = f"training {len(self.lives) + 1}"
        with (self._out / "training.txt").open("ab") as said:
            asked = command(self._corpus, self._run, checkpoint_every=self._checkpoint_every)
            process = subprocess.Popen(asked, stdout=said, stderr=said)
            self._journal.say("training", f"started, from step {resumed}")
            self._memory.watch(name, process.pid)
            while process.poll() is None and self._journal.seconds < until_seconds:
                time.sleep(_LOOK_SECONDS)
                if keep:
                    self._keep(resumed)
            self._memory.leave(name)
            died = process.poll()
            self._journal.require(died is None, "training", f"ended by itself with status {died}, see training.txt")
            process.send_signal(signal.SIGTERM if last else signal.SIGKILL)
            status = process.wait()
        if last and _table(self._run) != before:
            self._journal.require(status == TERMINATED, "training", f"told to end, it ended with status {status}")
        self._note(time.monotonic() - began, resumed, stepped=_table(self._run) != before)

    def _keep(self, resumed: int) -> None:
        """Copy the first checkpoint that this life writes."""
        step = newest(self._run)
        if step > resumed and not self.kept_checkpoint.exists():
            try:
                os.link(checkpoint_path(self._run, step), self.kept_checkpoint)
            except FileNotFoundError:  # the next one took its place
                return
            self._journal.say("training", f"kept a copy of the checkpoint of step {step}")

    def _note(self, wall_seconds: float, resumed: int, *, stepped: bool) -> None:
        rows = {int(row["step"]): row for row in read_rows(self._run)}
        kept, done = newest(self._run), max(rows, default=0) if stepped else resumed
        began = float(rows[resumed]["seconds"]) if resumed else 0.0
        at = {step: float(row["seconds"]) - began for step, row in rows.items() if step >= resumed} | {0: 0.0}
        life = Life(
            wall_seconds=wall_seconds,
            done_seconds=at[max(done, resumed)],
            kept_seconds=at[kept],
            checkpoint_seconds=_checkpoint_seconds(rows, range(resumed + 2, kept + 1), self._checkpoint_every),
            steps_done=max(0, done - resumed),
            steps_kept=kept - resumed,
        )
        self.lives.append(life)
        for step in range(kept + 1, done + 1):
            self.lost_rows.setdefault(step, []).append(rows[step])
        self._journal.say(
            "training",
            f"ended after {wall_seconds:.0f} s: steps {resumed + 1} to {done} done, {kept} in the checkpoint; "
            f"{life.useful_seconds:.1f} s useful, {life.checkpoint_seconds:.1f} s checkpoints, "
            f"{life.done_seconds - life.kept_seconds:.1f} s to be done again, "
            f"{wall_seconds - life.done_seconds:.1f} s to start and of an unfinished step",
        )

    @property
    def goodput(self) -> float:
        """Seconds of steps that stayed, of all seconds that a process of training lived."""
        return sum(life.useful_seconds for life in self.lives) / sum(life.wall_seconds for life in self.lives)

    def require_whole(self) -> int:
        """See that every step stands there once, as it stood each time it was done; returns how many there are."""
        rows = read_rows(self._run)
        steps = [int(row["step"]) for row in rows]
        require = self._journal.require
        require(steps == list(range(1, len(steps) + 1)), "training", "a step is missing in metrics.csv or there twice")
        require(newest(self._run) == len(steps), "training", f"{len(steps)} rows, checkpoint of {newest(self._run)}")
        final = {int(row["step"]): _lasting(row) for row in rows}
        other = [step for step, lost in self.lost_rows.items() if any(_lasting(row) != final.get(step) for row in lost)]
        require(not other, "training", f"steps that were done again came out otherwise: {other[:5]}")
        self._journal.count("steps done again and compared", len(self.lost_rows))
        return len(steps)

    def require_as_undisturbed(self) -> int:
        """Train anew without kills up to the kept checkpoint, and compare losses and all tensors; returns its step."""
        require = self._journal.require
        require(self.kept_checkpoint.exists(), "training", "no checkpoint was written after a kill")
        if not self.kept_checkpoint.exists():
            return 0
        killed = read_checkpoint(self.kept_checkpoint)
        again = self._out / "undisturbed"
        self._journal.say("training", f"trains anew without kills up to step {killed.step}")
        with (self._out / "undisturbed.txt").open("wb") as said:
            asked = command(self._corpus, again, checkpoint_every=killed.step)
            process = subprocess.Popen(asked, stdout=said, stderr=said)
            while process.poll() is None and newest(again) < killed.step:
                time.sleep(_LOOK_SECONDS)
            process.kill()
            process.wait()
        whole = read_checkpoint(checkpoint_path(again, killed.step))
        for part in ("module", "optimizer", "bank", "pending"):
            same = _same(getattr(killed, part), getattr(whole, part))
            require(same, "training", f"{part} at step {killed.step} is not that of a run without kills")
        one, two = (list(map(_lasting, read_rows(run)))[: killed.step] for run in (self._run, again))
        require(one == two, "training", f"the figures up to step {killed.step} are not those of a run without kills")
        return killed.step


def _table(run: Path) -> int:
    """Which file `metrics.csv` is now: a process makes it anew before its first step."""
    path = run / "metrics.csv"
    return path.stat().st_ino if path.is_file() else 0


def newest(run: Path) -> int:
    """The step of the newest checkpoint, 0 without one."""
    return max((int(path.stem.removeprefix("step-")) for path in run.glob("checkpoints/step-*.pt")), default=0)


def checkpoint_path(run: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return run / "checkpoints" / f"step-{step:08d}.pt"


def read_rows(run: Path) -> list[dict[str, str]]:
    """The rows of `metrics.csv`; one that a kill cut short is left out."""
    path = run / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["memory_mb"]]


def _lasting(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in MEASURED}


def _checkpoint_seconds(rows: dict[int, dict[str, str]], steps: range, every: int) -> float:
    """By how much the steps after a checkpoint took longer than the others of their level: it is written after the row
    of its step, and so its time is in the next one."""
    after: dict[str, list[float]] = {}
    others: dict[str, list[float]] = {}
    for step in steps:
        seconds = float(rows[step]["seconds"]) - float(rows[step - 1]["seconds"])
        spent = others if (step - 1) % every else after
        spent.setdefault(rows[step]["level"], []).append(seconds)
    usual = {level: float(np.median(found)) for level, found in others.items()}
    return sum(max(0.0, sum(found) - len(found) * usual.get(level, 0.0)) for level, found in after.items())


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
