"""What is done beside the steps: rows of `metrics.csv`, checkpoints, progress."""

# ruff: noqa: ARG002 -- Lightning names the arguments of its hooks
from __future__ import annotations

import csv
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from ophclip.data.sampler import level_at
from ophclip.losses.gather import wait_for_all
from ophclip.progress import Progress
from ophclip.training.alike import see_that_ranks_are_alike
from ophclip.training.checkpoints import Checkpoint, write_checkpoint
from ophclip.training.module import TrainingModule
from ophclip.training.sharding import parts, whole

COLUMNS = (
    "step",
    "level",
    "loss",
    "contrastive",
    "views",
    "retrieval",
    "own_title",
    "retrieved_share",
    "truncated_share",
    "minimal_pair_accuracy",
    "retrieval_similarity",
    "retrieval_precision",
    "bank_version",
    "bank_age_steps",
    "bank_overlap",
    "accuracy",
    "f1",
    "mean_average_precision",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "median_rank",
    "gradient_norm",
    "logit_scale",
    "learning_rate",
    "seconds",
    "samples_per_second",
    "data_wait_share",
    "memory_mb",
)
_COUNTED = frozenset({"bank_version"})
MEASURED = COLUMNS[-4:]
"""What depends on the machine: all other columns repeat bit by bit."""


class Recorder(Callback):
    """Keeps the reports of steps, writes a row per level every `log_every` steps, and tells the progress.

    A row holds the means since that level's last row, of the bank's version the last one; a column that had nothing to
    report stays empty. Reports stay on the device until their row is due, so that a step never waits for them.
    """

    def __init__(self, path: Path, resumed: Checkpoint | None, progress: Progress | None) -> None:
        self._path = path
        self._progress = progress
        self._seconds_before = resumed.seconds if resumed else 0.0
        self._pending: dict[str, list[Mapping[str, Tensor | float]]] = {}
        for level, reports in (resumed.pending if resumed else {}).items():
            self._pending[level] = list(reports)
        self._began = time.perf_counter()
        self._last = ""
        self._pace = _Pace()
        self.losses: dict[str, float] = {}
        _keep_rows(path, resumed.step if resumed else 0)

    @property
    def seconds(self) -> float:
        """Time of this run so far, over all its sittings."""
        return self._seconds_before + time.perf_counter() - self._began

    def pending(self) -> dict[str, list[dict[str, float]]]:
        """Reports that stand in no row yet, as plain numbers."""
        return {level: [_plain(report) for report in reports] for level, reports in self._pending.items()}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The clock starts with the first step of this sitting."""
        self._began = time.perf_counter()
        self.clock_on()

    def clock_on(self) -> None:
        """From now on the loader is waited for."""
        self._pace.step_ended()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The time since the last step was spent waiting for data."""
        self._pace.batch_came(len(batch) * trainer.world_size)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take up the reports of the step; write rows when they are due."""
        module = _ours(pl_module)
        done, total = module.current + 1, module.config.trainer.steps
        level = level_at(module.levels, module.current)[0].value
        norm = {} if module.gradient_norm is None else {"gradient_norm": module.gradient_norm}
        self._pending.setdefault(level, []).append({**outputs["reports"], **norm})
        if done % module.config.trainer.log_every == 0 or done == total:
            self._write_rows(done, module, trainer)
        if self._progress is not None:
            self._progress(done, total, self._last or "first steps")
        self.clock_on()

    def _write_rows(self, done: int, module: TrainingModule, trainer: Trainer) -> None:
        rates = {
            "logit_scale": float(module.model.logit_scale.detach()),
            "learning_rate": max(group["lr"] for group in trainer.optimizers[0].param_groups),
            "seconds": round(self.seconds, 3),
            **self._pace.figures(),
        }
        rows = []
        for level in sorted(self._pending):
            means = _means([_plain(report) for report in self._pending[level]])
            self.losses[level] = means["loss"]
            rows.append({"step": done, "level": level, **means, **rates})
        self._pending.clear()
        for row in rows:
            self.write_row(trainer, row)
        self._last = ", ".join(f"{level} loss {loss:.3f}" for level, loss in sorted(self.losses.items()))

    def write_row(self, trainer: Trainer, row: Mapping[str, Any]) -> None:
        """Append a row to the table and hand it to the loggers; it has a step, a level, and columns of the table."""
        _append_rows(self._path, [row])
        figures = {f"{row['level']}/{name}": value for name, value in row.items() if name not in ("step", "level")}
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=row["step"])


class _Pace:
    """How fast steps go, and how much of the time they wait for data, since the last row."""

    def __init__(self) -> None:
        self._began = self._ended = time.perf_counter()
        self._waited = 0.0
        self._samples = 0

    def step_ended(self) -> None:
        self._ended = time.perf_counter()

    def batch_came(self, samples: int) -> None:
        self._waited += time.perf_counter() - self._ended
        self._samples += samples

    def figures(self) -> dict[str, float]:
        """The columns of a row; counting begins anew."""
        now = time.perf_counter()
        spent = max(now - self._began, 1e-9)
        found = {
            "samples_per_second": round(self._samples / spent, 2),
            "data_wait_share": round(min(1.0, self._waited / spent), 4),
            "memory_mb": round(_peak_memory_mb(), 1),
        }
        self._began, self._waited, self._samples = now, 0.0, 0
        return found


def _peak_memory_mb() -> float:
    """Of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Restoring(Callback):
    """Gives the optimiser back its moments."""

    def __init__(self, resumed: Checkpoint | None) -> None:
        self._resumed = resumed

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After Lightning has put the model on its device."""
        if self._resumed is not None:
            (optimizer,) = trainer.optimizers
            optimizer.load_state_dict(parts(self._resumed.optimizer, optimizer))


class Ending(Callback):
    """Ends all of several ranks after the same step when any of them is told to; the last of the callbacks.

    Lightning's own handler speaks to the other ranks from within the signal, whatever they are doing. One rank alone
    keeps it.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From now on SIGTERM only takes note; Lightning puts back what was there before."""
        if trainer.world_size > 1 and current_thread() is main_thread():
            signal.signal(signal.SIGTERM, lambda *_: setattr(pl_module, "asked_to_end", True))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End if the ranks agreed to in this step."""
        module = _ours(pl_module)
        if module.ending and module.current + 1 < module.config.trainer.steps:
            raise SIGTERMException

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """No launcher sees a rank end before the first has written its checkpoint."""
        if isinstance(exception, SIGTERMException):
            wait_for_all()


class Checkpointing(Callback):
    """Writes checkpoints on time, at the end, and when asked to terminate. All ranks come together for one, see that
    they hold the same weights, and put together what is sharded; the one with a recorder writes.
    """

    def __init__(self, folder: Path, recorder: Recorder | None) -> None:
        self._folder = folder
        self._recorder = recorder

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write when it is time."""
        module = _ours(pl_module)
        done = module.current + 1
        if done % module.config.trainer.checkpoint_every == 0 or done == module.config.trainer.steps:
            self._write(trainer, module)
            if self._recorder is not None:
                self._recorder.clock_on()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lightning ends the step that SIGTERM interrupted and then raises: the state is that of a whole step."""
        if isinstance(exception, SIGTERMException) and trainer.optimizers:
            self._write(trainer, _ours(pl_module))

    def _write(self, trainer: Trainer, module: TrainingModule) -> None:
        done = module.current + 1
        if trainer.world_size > 1:
            see_that_ranks_are_alike(module.held_whole(), done)
        weights, optimizer = whole(module.state_dict()), whole(trainer.optimizers[0].state_dict())
        if self._recorder is None:
            return
        write_checkpoint(
            self._folder,
            Checkpoint(
                step=done,
                seconds=self._recorder.seconds,
                module=weights,
                optimizer=optimizer,
                bank=module.silent.bank.state_dict(),
                pending=self._recorder.pending(),
            ),
        )


def read_losses(path: Path, steps: int | None = None) -> dict[str, float]:
    """The last loss of each level in `metrics.csv`, of the first `steps` if given."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if steps is None or int(row["step"]) <= steps]
    return {row["level"]: float(row["loss"]) for row in rows if row["loss"]}


def _ours(module: LightningModule) -> TrainingModule:
    if not isinstance(module, TrainingModule):
        raise TypeError(f"expected a TrainingModule, found {type(module).__name__}")
    return module


def _plain(report: Mapping[str, Tensor | float]) -> dict[str, float]:
    return {name: float(value) for name, value in report.items()}


def _means(reports: list[dict[str, float]]) -> dict[str, float]:
    means = {}
    for name in COLUMNS:
        values = [report[name] for report in reports if name in report]
        if values:
            means[name] = int(values[-1]) if name in _COUNTED else sum(values) / len(values)
    return means


def _append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("a", encoding="utf-8", newline="") as stream:
        csv.DictWriter(stream, COLUMNS, restval="").writerows(rows)


def _keep_rows(path: Path, step: int) -> None:
    """Begin the table anew, or with the rows up to `step`: later ones belong to steps that will be done again."""
    kept: list[dict[str, str]] = []
    if path.is_file() and step > 0:
        with path.open(encoding="utf-8", newline="") as stream:
            kept = [row for row in csv.DictReader(stream) if int(row["step"]) <= step]
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(kept)
    draft.replace(path)
