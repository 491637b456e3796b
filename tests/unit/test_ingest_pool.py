"""A task that takes its process down costs that task alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from ingest.pool import Crash, HaltError, Note, Tell, run_here, run_pool


def build(offset: int) -> Callable[[int, Tell], tuple[int, int, str]]:
    def work(task: int, tell: Tell) -> tuple[int, int, str]:
        if task == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        if task == 5:
            raise OSError("disk\nfull")
        return task + offset, os.getpid(), os.environ["OMP_NUM_THREADS"]

    return work


def build_not() -> Callable[[int, Tell], int]:
    raise ValueError("asr.model: nowhere to be found")


def build_death() -> Callable[[int, Tell], int]:
    os._exit(3)


def test_each_task_has_its_own_fate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = dict(run_pool(partial(build, 10), list(range(8)), workers=2, tasks_per_worker=2, threads=3))
    assert found.pop(3) == Crash("was ended by SIGSEGV")
    assert found.pop(5) == Crash("broke on it: OSError: disk full")
    assert {task: answer[0] for task, answer in found.items()} == {task: task + 10 for task in (0, 1, 2, 4, 6, 7)}
    assert {answer[2] for answer in found.values()} == {"3"}
    assert len({answer[1] for answer in found.values()}) >= 3, "a worn process is replaced"
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_no_tasks_no_processes() -> None:
    assert list(run_pool(build_death, [], workers=2, tasks_per_worker=1)) == []


def test_what_cannot_be_built_is_said_once() -> None:
    with pytest.raises(ValueError, match="nowhere to be found"):
        list(run_pool(build_not, [1, 2, 3], workers=2, tasks_per_worker=1))


def test_a_process_that_never_comes_up_is_no_endless_wait() -> None:
    with pytest.raises(RuntimeError, match="ended with code 3 before it was ready"):
        list(run_pool(build_death, [1], workers=1, tasks_per_worker=1))


def build_talker() -> Callable[[int, Tell], int]:
    def work(task: int, tell: Tell) -> int:
        tell(f"began {task}")
        while task == 1:
            time.sleep(0.05)
        return task

    return work


def test_a_task_that_stands_still_is_ended_and_its_last_words_are_known() -> None:
    news = list(run_pool(build_talker, [0, 1, 2], workers=1, tasks_per_worker=9, stall_seconds=1.0))
    assert news == [
        (0, Note("began 0")),
        (0, 0),
        (1, Note("began 1")),
        (1, Crash("stood still for 1 s")),
        (2, Note("began 2")),
        (2, 2),
    ]


def build_full() -> Callable[[int, Tell], int]:
    def work(task: int, tell: Tell) -> int:
        raise HaltError("the disk is full")

    return work


def test_a_fault_that_would_meet_all_ends_the_run() -> None:
    with pytest.raises(ValueError, match="the disk is full"):
        list(run_pool(build_full, [1, 2, 3], workers=2, tasks_per_worker=1))


def build_seer() -> Callable[[int, Tell], str]:
    def work(task: int, tell: Tell) -> str:
        if task == 0:
            os._exit(1)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    return work


def test_each_process_sees_a_gpu_of_its_own_and_who_replaces_it_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    seen = dict(run_pool(build_seer, range(6), workers=2, tasks_per_worker=2, gpus=("5", "7")))
    assert seen.pop(0) == Crash("ended with code 1")
    assert {*seen.values()} == {"5", "7"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


def build_here() -> Callable[[int, Tell], int]:
    def work(task: int, tell: Tell) -> int:
        tell(f"began {task}")
        if task == 2:
            raise HaltError("the disk is full")
        return task

    return work


def test_in_this_process_notes_come_with_the_answer_and_nothing_is_built_for_no_task() -> None:
    assert list(run_here(build_not, [])) == []
    news = run_here(build_here, [0, 1, 2])
    assert [next(news) for _ in range(4)] == [(0, Note("began 0")), (0, 0), (1, Note("began 1")), (1, 1)]
    with pytest.raises(ValueError, match="the disk is full"):
        next(news)
