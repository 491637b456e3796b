"""A pool of processes in which a task that takes its process down costs that task alone.

`concurrent.futures` gives up the whole pool when one process dies, and cannot say whose task killed it. Here each
process has one task at a time and its own pipe, so that the blame is exact; a dead process is replaced.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_SPAWN = multiprocessing.get_context("spawn")
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Crash:
    """A task that ended without a result, and why."""

    reason: str


def run_pool(
    build: Callable[[], Callable[[T], R]],
    tasks: Sequence[T],
    *,
    workers: int,
    tasks_per_worker: int,
    threads: int = 1,
) -> Iterator[tuple[T, R | Crash]]:
    """Run every task in one of `workers` processes and yield each with its result as it is done.

    `build` is called once in every process and returns what does the work; both travel by pickle. Numerical libraries
    in the processes are held to `threads`. A process is replaced after `tasks_per_worker` tasks.
    Raises ValueError if `build` raises it, and RuntimeError if a process dies before it is ready.
    """
    waiting = iter(tasks)
    crew: list[_Worker[T, R]] = []
    try:
        crew += [_Worker(build, threads) for _ in range(min(workers, len(tasks)))]
        while crew:
            crew = list(_keep_busy(crew, waiting, lambda: _Worker(build, threads), tasks_per_worker))
            for worker in _news(crew):
                finished = worker.take()
                if finished is not None:
                    yield finished
    finally:
        for worker in crew:
            worker.kill()


def _keep_busy(
    crew: Iterable[_Worker[T, R]], waiting: Iterator[T], hire: Callable[[], _Worker[T, R]], tasks_per_worker: int
) -> Iterator[_Worker[T, R]]:
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
            fit = hire()
        fit.give(task)
        yield fit


def _news(crew: Sequence[_Worker[T, R]]) -> list[_Worker[T, R]]:
    if not crew:
        return []
    ready = set(wait([worker.connection for worker in crew]))
    return [worker for worker in crew if worker.connection in ready]


class _Worker(Generic[T, R]):
    """One process as the parent sees it. It is told to start at once and may be given a task before it is ready."""

    def __init__(self, build: Callable[[], Callable[[T], R]], threads: int) -> None:
        self.connection, far_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(far_end, build), daemon=True)
        with _pinned(threads):
            self._process.start()
        far_end.close()
        self._ready = False
        self._task: T | None = None
        self.served = 0
        self.alive = True

    @property
    def busy(self) -> bool:
        return self._task is not None

    def give(self, task: T) -> None:
        self._task = task
        with suppress(BrokenPipeError):  # it died meanwhile: `take` finds the closed pipe
            self.connection.send(task)

    def take(self) -> tuple[T, R | Crash] | None:
        """Read one message: the finished task with its result, or nothing if the process only came up."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError):
            kind, value = "dead", self._obituary()
        if kind == "ready":
            self._ready = True
            return None
        if kind == "unfit":
            raise ValueError(value)
        if not self._ready:
            raise RuntimeError(f"a worker process {value} before it was ready: run with workers=1 to see more")
        return self._finish(kind, value)

    def _finish(self, kind: str, value: Any) -> tuple[T, R | Crash] | None:
        task, self._task = self._task, None
        self.served += 1
        if task is None:
            return None
        return task, value if kind == "done" else Crash(str(value))

    def _obituary(self) -> str:
        self.alive = False
        self._process.join(_STOP_SECONDS)
        code = self._process.exitcode
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
def _pinned(threads: int) -> Iterator[None]:
    """Numerical libraries read these once, when a process imports them."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, build: Callable[[], Callable[[Any], Any]]) -> None:
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
            answer = ("done", work(task))
        except Exception as error:  # noqa: BLE001 whatever it is, the other videos must not suffer for it
            answer = ("broken", f"broke on it: {type(error).__name__}: {' '.join(str(error).split())}")
        try:
            connection.send(answer)
        except BrokenPipeError:
            return
