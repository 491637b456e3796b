"""A pool of processes in which a task that takes its process down costs that task alone.

`concurrent.futures` gives up the whole pool when one process dies, and cannot say whose task killed it. Here each
process has one task at a time and its own pipe, so that the blame is exact; a dead process is replaced.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_SPAWN = multiprocessing.get_context("spawn")
_STOP_SECONDS = 10.0
_LOOK_SECONDS = 5.0
"""Between two looks at who stands still."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A task that ended without a result, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """What a task says of itself while it runs; it also shows that it still moves."""

    value: Any


class HaltError(Exception):
    """Raised by a task for a fault that is not its own and would meet every other one: it ends the whole run."""


Tell = Callable[[Any], None]


class Engine(Protocol):
    """Whatever runs tasks as `run_pool` does, here or elsewhere."""

    def __call__(
        self,
        build: Callable[[], Callable[[T, Tell], R]],
        tasks: Iterable[T],
        *,
        workers: int,
        tasks_per_worker: int,
        threads: int = 1,
        stall_seconds: float = math.inf,
    ) -> Iterator[tuple[T, R | Crash | Note]]:
        """As `run_pool`."""
        ...


def run_pool(
    build: Callable[[], Callable[[T, Tell], R]],
    tasks: Iterable[T],
    *,
    workers: int,
    tasks_per_worker: int,
    threads: int = 1,
    stall_seconds: float = math.inf,
    gpus: Sequence[str] = (),
) -> Iterator[tuple[T, R | Crash | Note]]:
    """Run every task in one of `workers` processes and yield each with its notes, and its result as it is done.

    A task is asked for when a process is free for it. `build` is called once in every process and returns what does the
    work, which takes a task and a function that sends notes; both travel by pickle. Numerical libraries in the
    processes are held to `threads`; each sees one of the `gpus`, where any are given. A process is replaced after
    `tasks_per_worker` tasks, and ended when its task has sent nothing for `stall_seconds`.
    Raises ValueError if `build` raises it or a task raises `HaltError`, and RuntimeError if a process dies before it is
    ready.
    """
    waiting = iter(tasks)
    crew: list[Worker[T, R]] = []
    try:
        while True:
            crew = list(_keep_busy(crew, waiting, lambda gpu: Worker(build, threads, gpu), tasks_per_worker))
            while len(crew) < workers and (task := next(waiting, None)) is not None:
                crew.append(Worker(build, threads, _idlest(gpus, crew)))
                crew[-1].give(task)
            if not crew:
                return
            for worker in _news(crew, stall_seconds):
                news = worker.take()
                if news is not None:
                    yield news
    finally:
        for worker in crew:
            worker.kill()


def run_here(
    build: Callable[[], Callable[[T, Tell], R]], tasks: Iterable[T], **_options: float
) -> Iterator[tuple[T, R | Crash | Note]]:
    """As `run_pool`, one task after the other in this process: what a task raises, or dies of, ends the run.

    Notes come when a task is done.
    """
    work: Callable[[T, Tell], R] | None = None
    for task in tasks:
        work = work or build()
        notes: list[Note] = []

        def keep(value: Any, notes: list[Note] = notes) -> None:
            notes.append(Note(value))

        try:
            answer = work(task, keep)
        except HaltError as error:
            raise ValueError(str(error)) from error
        yield from ((task, note) for note in notes)
        yield task, answer


def _idlest(gpus: Sequence[str], crew: Sequence[Worker[T, R]]) -> str:
    return min(gpus, key=[worker.gpu for worker in crew].count, default="")


def _keep_busy(
    crew: Iterable[Worker[T, R]], waiting: Iterator[T], hire: Callable[[str], Worker[T, R]], tasks_per_worker: int
) -> Iterator[Worker[T, R]]:
    """Give every free worker a task; those without one go home, dead and worn ones are replaced for a task."""
    for worker in crew:
        if worker.busy:
            yield worker
            continue
        task = next(waiting, None)
        if task is None:
            worker.dismiss()
            continue
        fit = worker
        if not worker.alive or worker.served >= tasks_per_worker:
            worker.dismiss()
            fit = hire(worker.gpu)
        fit.give(task)
        yield fit


def _news(crew: Sequence[Worker[T, R]], stall_seconds: float) -> list[Worker[T, R]]:
    """Those that have something to say; one that has stood still for too long is ended, which is news as well."""
    if not crew:
        return []
    ready = set(wait([worker.connection for worker in crew], _LOOK_SECONDS))
    for worker in crew:
        if worker.connection not in ready and worker.quiet_seconds > stall_seconds:
            worker.stop(f"stood still for {stall_seconds:.0f} s")
            ready.add(worker.connection)
    return [worker for worker in crew if worker.connection in ready]


class Worker(Generic[T, R]):
    """One process as the parent sees it. It is told to start at once and may be given a task before it is ready.

    `build` and `threads` are as `run_pool` takes them; it sees the one `gpu`, or what this process sees if it is empty.
    """

    def __init__(self, build: Callable[[], Callable[[T, Tell], R]], threads: int, gpu: str = "") -> None:
        self.gpu = gpu
        self.connection, far_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(far_end, build), daemon=True)
        with _surroundings(threads, gpu):
            self._process.start()
        far_end.close()
        self.ready = False
        self._stopped = ""
        self._heard_at = time.monotonic()
        self._task: T | None = None
        self.served = 0
        self.alive = True

    @property
    def busy(self) -> bool:
        """Whether it has a task."""
        return self._task is not None

    @property
    def quiet_seconds(self) -> float:
        """Since the last message of a task that runs."""
        return time.monotonic() - self._heard_at if self.ready and self.busy else 0.0

    def give(self, task: T) -> None:
        """Send it its next task."""
        self._task = task
        self._heard_at = time.monotonic()
        with suppress(BrokenPipeError):  # it died meanwhile: `take` finds the closed pipe
            self.connection.send(task)

    def stop(self, why: str) -> None:
        """End a process that does not move any more; `take` then tells why."""
        self._stopped = why
        self._process.kill()

    def take(self) -> tuple[T, R | Crash | Note] | None:
        """Read one message: a task with its note or result, or nothing if the process only came up."""
        self._heard_at = time.monotonic()
        try:
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError):
            kind, value = "dead", self._obituary()
        if kind == "ready":
            self.ready = True
            return None
        if kind in ("unfit", "halt"):
            raise ValueError(value)
        if not self.ready:
            raise RuntimeError(f"a worker process {value} before it was ready: run with workers=1 to see more")
        return self._finish(kind, value)

    def _finish(self, kind: str, value: Any) -> tuple[T, R | Crash | Note] | None:
        if kind == "note":
            return None if self._task is None else (self._task, Note(value))
        task, self._task = self._task, None
        self.served += 1
        if task is None:
            return None
        return task, value if kind == "done" else Crash(str(value))

    def _obituary(self) -> str:
        self.alive = False
        self._process.join(_STOP_SECONDS)
        code = self._process.exitcode
        if self._stopped:
            return self._stopped
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with code {code}"

    def dismiss(self) -> None:
        """Let an idle process end."""
        if self.alive:
            self.connection.close()
            self._process.join(_STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the process now."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()
        self._process.close()


@contextmanager
def _surroundings(threads: int, gpu: str) -> Iterator[None]:
    """Numerical libraries read these once, when a process imports them."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    given = dict.fromkeys(names, str(threads)) | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def answer_to(work: Callable[[T, Tell], R], task: T, tell: Tell) -> tuple[str, Any]:
    """What a process answers to a task: `done` with its result, or `halt` or `broken` with the reason."""
    try:
        return "done", work(task, tell)
    except HaltError as error:
        return "halt", str(error)
    except BrokenPipeError:
        raise  # nobody listens any more
    except Exception as error:  # noqa: BLE001 whatever it is, the other videos must not suffer for it
        return "broken", f"broke on it: {type(error).__name__}: {' '.join(str(error).split())}"


def _serve(connection: Connection, build: Callable[[], Callable[[Any, Tell], Any]]) -> None:
    """The life of one process: build, then a task at a time until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work = build()
    except ValueError as error:
        connection.send(("unfit", str(error)))
        return
    connection.send(("ready", None))
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            connection.send(answer_to(work, task, lambda value: connection.send(("note", value))))
        except BrokenPipeError:
            return
