"""Batches on a Ray cluster: a worker is given one when it is free.

Ray's own repetition is off: what takes a worker down costs its batch, whose videos are then tried alone, as in the
local pool.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayActorError

from ingest.pool import Crash, Note, Tell, answer_to

T = TypeVar("T")
R = TypeVar("R")

_LOOK_SECONDS = 0.2
_STARTS = 3
"""Ray gives itself half a minute to start, which a busy machine may miss the first time."""
_REASON_LETTERS = 200
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def joined(address: str) -> Iterator[None]:
    """The Ray at `address`, or one that is started here if it is empty, for as long as the block runs.

    Raises ValueError in one line if there is none.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # a Ray that is started here tells nobody
    logging.getLogger("ray").setLevel(logging.ERROR)
    given: dict[str, Any] = {"address": address or "local"}
    if not address:
        given.update(include_dashboard=False, num_cpus=os.cpu_count())
    for attempt in range(1 if address else _STARTS):
        try:
            ray.init(**given, log_to_driver=False, configure_logging=False)
            break
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if address or attempt + 1 == _STARTS:
                said = str(error).strip().splitlines()[0]
                told = f"no Ray at {address}" if address else "Ray cannot be started here"
                raise ValueError(f"ray.address: {told} ({said}): give the address of one that runs") from error
    try:
        yield
    finally:
        ray.shutdown()


def resources() -> dict[str, float]:
    """What the cluster has: CPUs, GPUs."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def run_ray(
    cpus: int,
    gpus: float,
    build: Callable[[], Callable[[T, Tell], R]],
    tasks: Iterable[T],
    *,
    workers: int,
    tasks_per_worker: int,
    threads: int = 1,
    stall_seconds: float = math.inf,
) -> Iterator[tuple[T, R | Crash | Note]]:
    """As `run_pool`, by actors of the Ray that was joined, for which `cpus` and a share of a GPU are set aside each."""
    waiting = iter(tasks)
    inbox = _REMOTE_INBOX.remote()
    made = _REMOTE_WORKER.options(num_cpus=cpus, num_gpus=gpus, runtime_env=pinned(threads))
    crew: list[_Hand[T, R]] = []
    try:
        while True:
            crew = [one for one in crew if one.busy or _given(one, waiting, tasks_per_worker)]
            while len(crew) < workers and (task := next(waiting, None)) is not None:
                crew.append(_Hand(partial(made.remote, build, inbox)))
                crew[-1].give(task)
            if not crew:
                return
            yield from _news(crew, inbox, stall_seconds)
    finally:
        for one in crew:
            one.kill()
        ray.kill(inbox)


def _given(hand: _Hand[T, R], waiting: Iterator[T], tasks_per_worker: int) -> bool:
    """Give a free actor a task, a fresh one where it died or is worn; False, and it ends, where there is none."""
    task = next(waiting, None)
    if task is None:
        hand.kill()
        return False
    if not hand.alive or hand.served >= tasks_per_worker:
        hand.begin_anew()
    hand.give(task)
    return True


def _news(crew: Sequence[_Hand[T, R]], inbox: Any, stall_seconds: float) -> Iterator[tuple[T, R | Crash | Note]]:
    by_answer = {one.answer: one for one in crew}
    ready, _ = ray.wait(list(by_answer), num_returns=len(by_answer), timeout=_LOOK_SECONDS)
    by_name = {one.name: one for one in crew}
    for name, value in ray.get(inbox.taken.remote()):  # what was said before the answers that are there
        if name in by_name:
            by_name[name].heard_at = time.monotonic()
            yield by_name[name].task, Note(value)
    for answer in ready:
        yield by_answer[answer].finish()
    for hand in crew:
        if hand.busy and time.monotonic() - hand.heard_at > stall_seconds:
            yield hand.stop(f"stood still for {stall_seconds:.0f} s")


class _Hand(Generic[T, R]):
    """One worker actor as the driver sees it."""

    task: T
    answer: Any
    _names = itertools.count()

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._hire()

    def _hire(self) -> None:
        self.name = next(self._names)
        self._actor = self._make(self.name)
        self._complaint = self._actor.complaint.remote()
        self.alive, self.busy, self.served = True, False, 0

    def begin_anew(self) -> None:
        """A fresh actor in place of this one."""
        self.kill()
        self._hire()

    def give(self, task: T) -> None:
        self.task = task
        self.busy = True
        self.answer = self._actor.work.remote(task)
        self.heard_at = math.inf  # until its first word: it may have to wait for a place, and has to load

    def finish(self) -> tuple[T, R | Crash]:
        """Read the answer, which is there. Raises ValueError where the actor says that the run has to end."""
        self.busy = False
        self.served += 1
        try:
            kind, value = ray.get(self.answer)
        except RayActorError as error:
            self.alive = False
            self._require_begun(error)
            said = " ".join(str(error).split("\t")[0].split())
            return self.task, Crash(f"was lost ({said[:_REASON_LETTERS]})")
        if kind in ("unfit", "halt"):
            raise ValueError(value)
        return self.task, value if kind == "done" else Crash(str(value))

    def stop(self, why: str) -> tuple[T, Crash]:
        """End an actor that does not move any more."""
        self.kill()
        self.busy = self.alive = False
        return self.task, Crash(why)

    def kill(self) -> None:
        """End the actor now."""
        ray.kill(self._actor)

    def _require_begun(self, error: RayActorError) -> None:
        try:
            ray.get(self._complaint)
        except RayActorError:
            raise RuntimeError("a Ray worker died before it was ready: run with engine=local to see more") from error


class Inbox:
    """Where workers put what they say while they work."""

    def __init__(self) -> None:
        self._said: list[tuple[int, Any]] = []

    def put(self, name: int, value: Any) -> None:
        """Keep a word of a worker."""
        self._said.append((name, value))

    def taken(self) -> list[tuple[int, Any]]:
        """All that was said since the last time."""
        said, self._said = self._said, []
        return said


class Worker:
    """An actor that works."""

    def __init__(self, build: Callable[[], Callable[[Any, Tell], Any]], inbox: Any, name: int) -> None:
        self._inbox = inbox
        self._name = name
        self._complaint = ""
        try:
            self._work = build()
        except ValueError as error:
            self._complaint = str(error)

    def complaint(self) -> str:
        """Why it cannot work, empty if it can."""
        return self._complaint

    def work(self, task: Any) -> tuple[str, Any]:
        """As a process of the pool answers."""
        if self._complaint:
            return "unfit", self._complaint
        return answer_to(self._work, task, lambda value: ray.get(self._inbox.put.remote(self._name, value)))


_REMOTE_INBOX: Any = ray.remote(num_cpus=0)(Inbox)
_REMOTE_WORKER: Any = ray.remote(max_restarts=0, max_task_retries=0)(Worker)


def pinned(threads: int) -> dict[str, Any]:
    """Numerical libraries of an actor are held to so many threads."""
    return {"env_vars": dict.fromkeys(_THREADS, str(threads))}
