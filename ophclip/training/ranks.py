"""How many processes train together, which of them this one is, and how one process starts the others. Torch-free.

torchrun and SLURM's `srun` start all of them and say so in the environment. Otherwise the first starts the others of
its machine (rank.py): never the user's own script again, which may be a demo or a notebook.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from ophclip.config import TrainConfig, TrainerConfig
from ophclip.training.run_folder import plain

TERMINATED = 128 + 15
"""Exit status of a run that SIGTERM ended."""
_ADDRESS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")
_GRACE_SECONDS = 20.0
_GO_ON = "the last checkpoint is whole, run the same command again to go on from it"
_GONE = ("connection closed by peer", "connection reset by peer", "broken pipe")
_LATE = ("timed out", "timeout")
"""What torch's collectives over gloo say, in lower case, of a rank that is gone and of one that does not come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """The processes of a run, each with a device of its own, and the place of this one among them."""

    rank: int = 0
    of_machine: int = 1
    machines: int = 1
    launched: bool = False
    """Whether a launcher started all of them."""

    @property
    def total(self) -> int:
        """Number of processes."""
        return self.of_machine * self.machines

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0


def launched_ranks(environment: Mapping[str, str] = os.environ) -> Ranks | None:
    """What torchrun or srun says of this process; None if it was started alone."""
    if "TORCHELASTIC_RUN_ID" in environment:
        return _ranks(environment, "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        rank, total = (int(environment[name]) for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"))
        machines = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
        return Ranks(rank=rank, of_machine=total // machines, machines=machines, launched=True)
    return None


def _ranks(environment: Mapping[str, str], rank: str, total: str, of_machine: str) -> Ranks:
    here = int(environment[of_machine])
    return Ranks(rank=int(environment[rank]), of_machine=here, machines=int(environment[total]) // here, launched=True)


def wanted_ranks(options: TrainerConfig, devices: int, launched: Ranks | None) -> Ranks:
    """The processes of a run.

    Args:
        options: what the user asked for; one device on one machine, the default, leaves it to a launcher.
        devices: the same with 0 replaced by what the machine has.
        launched: what a launcher said.

    Raises:
        ValueError: the two contradict each other, or several machines without a launcher.
    """
    if launched is None:
        if options.nodes > 1:
            told = f"trainer.nodes: {options.nodes} given, but nothing says which machine this is"
            raise ValueError(f"{told}; start the run with torchrun or srun on each of them")
        return Ranks(of_machine=devices)
    asked, started = (options.devices, options.nodes), (launched.of_machine, launched.machines)
    if options.devices and asked not in ((1, 1), started):
        told = f"trainer.devices and trainer.nodes: {asked[0]} and {asked[1]} given, but {started[0]} and {started[1]}"
        raise ValueError(f"{told} were started; give the same numbers, or leave them out")
    return launched


class OtherRanks:
    """The other processes of a run on this machine, started by the first of them, which ends them when it ends."""

    def __init__(self, config: TrainConfig, ranks: Ranks) -> None:
        self._over = Event()
        self._processes = [self._start(config, ranks, rank) for rank in range(1, ranks.total)]
        Thread(target=self._end_with_them, daemon=True).start()

    def why(self, patience_seconds: float = 5.0) -> str | None:
        """What the first that failed said, if one fails within the time."""
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline:
            if self._failed():
                return self._told()
            time.sleep(0.05)
        return None

    def end(self) -> None:
        """End those that have not ended."""
        self._over.set()
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def wait(self) -> None:
        """Wait until all have ended by themselves."""
        for process in self._processes:
            process.wait()

    def _start(self, config: TrainConfig, ranks: Ranks, rank: int) -> subprocess.Popen[str]:
        environment = {**os.environ, "LOCAL_RANK": str(rank), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-m", "ophclip.training.rank"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            # Signals of a terminal or a scheduler go to the first alone, which tells the others.
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"config": plain(config), "rank": rank, "ranks": ranks.total}) + "\n")
        process.stdin.flush()
        return process

    def _failed(self) -> list[int]:
        """Places of the processes that ended otherwise than as they should."""
        ended = [process.poll() for process in self._processes]
        return [place for place, status in enumerate(ended) if status not in (None, 0, TERMINATED)]

    def _told(self) -> str:
        place = self._failed()[0]
        process = self._processes[place]
        said = process.stdout.read().strip() if process.stdout is not None else ""
        ended = f"rank {place + 1} of the run ended with status {process.returncode}"
        return said or f"{ended}; {_GO_ON}"

    def _end_with_them(self) -> None:
        """End this process too if another fails and nothing comes of it: on GPUs the rest would wait for hours."""
        while any(process.poll() is None for process in self._processes) and not self._failed():
            time.sleep(1.0)
        if self._failed() and not self._over.wait(_GRACE_SECONDS):
            print(f"ophclip: {self._told()}", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(2)


@contextmanager
def together(config: TrainConfig, ranks: Ranks) -> Iterator[None]:
    """All ranks of a run for the time of it; those that no launcher started are started.

    Raises:
        ValueError: what another rank told before it failed.
    """
    if ranks.total == 1 or ranks.launched or not ranks.is_first:
        yield
        return
    before = {name: os.environ.get(name) for name in _ADDRESS}
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(_free_port()), NODE_RANK="0", LOCAL_RANK="0")
    others = OtherRanks(config, ranks)
    try:
        yield
        others.wait()
    except RuntimeError as error:
        told = others.why()
        if told is not None:
            raise ValueError(told) from error
        raise
    finally:
        others.end()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def lost_ranks_told(options: TrainerConfig, ranks: Ranks) -> Iterator[None]:
    """Turn what a collective raises into one line for the user. Where a launcher started all ranks, the first alone
    tells of one that ended; each tells that it waited too long.

    Raises:
        ValueError: another rank ended, or kept this one waiting for longer than `trainer.timeout_minutes`.
    """
    try:
        yield
    except RuntimeError as error:
        said = str(error).lower()
        gone, late = (any(words in said for words in known) for known in (_GONE, _LATE))
        if ranks.total == 1 or not (gone or late):
            raise
        if not gone:
            told = f"trainer.timeout_minutes: another rank kept this one waiting for {options.timeout_minutes:g}"
            raise ValueError(f"{told}; see what holds it up, or give more; {_GO_ON}") from error
        if ranks.launched and not ranks.is_first:
            raise SystemExit(2) from error
        raise ValueError(f"another rank of the run ended, and it or its launcher says why; {_GO_ON}") from error


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
