"""SLURM job arrays through submitit. Each element takes batches from the manifest, does them and enters what became of
them; so the process that submitted them may end, and the next run of the same command joins what they did.

An element runs its batches in processes of the local pool: a video that takes one down is blamed as it is there. The
tasks lie in a folder `slurm`, beside submitit's own files, pickled like those: who may write there may run anything.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import DelayedSubmission
from submitit.slurm.slurm import SlurmExecutor

from ingest import atomic
from ingest.batches import P, R, Told, Trade
from ingest.config import WorkConfig
from ingest.database import is_address, plain_address
from ingest.manifest import Manifest, State
from ingest.place import manifest_place
from ingest.pool import run_pool
from ingest.shift import Crew, Progress, Shift

FOLDER, SCRIPT = "slurm", "submission.sh"
_TASKS, _LOGS = "tasks.pickle", "logs"
_POLL_SECONDS = 1.0
_FRUITLESS_ROUNDS = 3
_MINUTES_OF_AN_HOUR = 60
_VALUE_ERROR = "ValueError: "


def run_array(
    told: Mapping[str, Told[P]],
    manifest: Manifest,
    folder: Path,
    config: WorkConfig,
    trade: Trade[P, R],
    *,
    report: Progress,
) -> None:
    """Submit an array, wait until it ended, and again while that gets further; or only write what would be submitted.

    Raises ValueError in one line if something is left that no element could do.
    """
    element = Element(folder.absolute(), config, trade)
    place = element.folder / FOLDER
    batches = {row.batch for row in manifest.videos() if row.video_id in told}
    size = min(config.slurm.array_size, len(batches))
    if config.slurm.dry_run:
        atomic.write_text(place / SCRIPT, _script(place, element, size))
        return
    if config.slurm.cluster == "slurm" and not is_address(element.place):
        raise ValueError(
            "engine: slurm writes the manifest from many machines, and SQLite is for one: begin anew with "
            "manifest=postgresql+pg8000://USER@HOST/DATABASE"
        )
    atomic.write_bytes(place / _TASKS, pickle.dumps(dict(told)))
    _rounds(element, size, manifest, told, report)
    (place / _TASKS).unlink()  # an element that begins later finds nothing to do


class Element:
    """What submitit runs as one element of the array, and puts into the queue again when its time is over."""

    def __init__(self, folder: Path, config: WorkConfig, trade: Trade[Any, Any]) -> None:
        place = manifest_place(folder)
        self.folder = folder
        self.place = place
        """Without a password, which the environment holds."""
        self.config = replace(config, manifest=plain_address(place) if isinstance(place, str) else "")
        self.trade = trade

    def __call__(self) -> None:
        """Take batches until none is left that nobody else holds."""
        tasks = self.folder / FOLDER / _TASKS
        if not tasks.is_file():
            return
        told: dict[str, Told[Any]] = pickle.loads(tasks.read_bytes())  # noqa: S301 this program's own, see above
        job = submitit.JobEnvironment()
        with Manifest(self.place) as manifest:
            Shift(
                manifest,
                self.config,
                crew=Crew(engine=run_pool, workers=self.workers, trade=self.trade),
                worker=f"{job.cluster} {job.job_id}",
                report=_log,
            ).work(told)

    @property
    def workers(self) -> int:
        """Processes of one element."""
        slurm = self.config.slurm
        fitting = 1 if slurm.gpus else max(1, slurm.cpus // self.trade.threads)
        return self.config.workers or fitting

    def checkpoint(self) -> DelayedSubmission:
        """The same again, under the same name: it takes its own leases up at once."""
        return DelayedSubmission(self)


def _rounds(element: Element, size: int, manifest: Manifest, told: Mapping[str, Told[P]], report: Progress) -> None:
    fruitless = 0
    left = _left(manifest, told)
    while left:
        jobs = _submit(element, size)
        while not all(job.done() for job in jobs):
            at_work = sum(not job.done() for job in jobs)
            report(len(told) - _left(manifest, told), len(told), f"{at_work} of {size} elements of the array at work")
            time.sleep(_POLL_SECONDS)
        reason = next(filter(None, map(_complaint, jobs)), "")
        while (now := _left(manifest, told)) and manifest.leased() and not reason:
            report(len(told) - now, len(told), "waiting for the leases of elements that were lost")
            time.sleep(_POLL_SECONDS)
        fruitless += now == left
        left = now
        if left and (reason or fruitless >= _FRUITLESS_ROUNDS):
            logs = element.folder / FOLDER / _LOGS
            raise ValueError(reason or f"{left} of {len(told)} videos are left when the array has ended: see {logs}")
    report(len(told), len(told), "the array has ended")


def _left(manifest: Manifest, told: Mapping[str, Told[P]]) -> int:
    return sum(row.state is State.PENDING and row.video_id in told for row in manifest.videos())


def _submit(element: Element, size: int) -> Sequence[submitit.Job[None]]:
    options = element.config.slurm
    executor = submitit.AutoExecutor(
        element.folder / FOLDER / _LOGS, cluster=options.cluster, slurm_max_num_timeout=options.requeues
    )
    shared, own = _parameters(element)
    executor.update_parameters(**shared, **{f"slurm_{name}": value for name, value in own.items()})
    with executor.batch():
        jobs = [executor.submit(element) for _ in range(size)]
    return jobs


def _script(folder: Path, element: Element, size: int) -> str:
    """What would be given to `sbatch`."""
    executor = _Unsubmitted(folder / _LOGS, max_num_timeout=element.config.slurm.requeues)
    shared, own = _parameters(element)
    executor.update_parameters(**executor._convert_parameters(shared), **own)
    if size > 1:
        executor.parameters["map_count"] = size
    return executor._make_submission_file_text(executor._submitit_command_str, "")


class _Unsubmitted(SlurmExecutor):
    """Writes scripts on a machine without SLURM."""

    @classmethod
    def affinity(cls) -> int:
        return 1


def _parameters(element: Element) -> tuple[dict[str, Any], dict[str, Any]]:
    """What submitit asks of every cluster, and what of SLURM alone."""
    options = element.config.slurm
    shared: dict[str, Any] = {
        "name": f"ophclip-{element.trade.name}",
        "timeout_min": round(options.hours * _MINUTES_OF_AN_HOUR),
        "cpus_per_task": options.cpus,
        "gpus_per_node": options.gpus,
        "mem_gb": options.memory_gb,
    }
    own: dict[str, Any] = {
        name: value
        for name, value in (("partition", options.partition), ("account", options.account), ("setup", options.setup))
        if value
    }
    return shared, own | {"array_parallelism": options.array_size}


def _complaint(job: submitit.Job[None]) -> str:
    """What an element says that gave up: one line, empty if it did not or was lost."""
    error = job.exception()
    said = str(error).strip().splitlines()[-1:] if error is not None else []
    return said[0].removeprefix(_VALUE_ERROR) if said and said[0].startswith(_VALUE_ERROR) else ""


def _log(done: int, total: int, message: str) -> None:
    print(f"{done}/{total} {message}", flush=True)  # noqa: T201 into the job's log
