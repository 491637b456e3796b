"""What becomes of tasks on a Ray of its own, as lines of JSON: `python ray_runner.py`."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from ingest.engines.ray import joined, run_ray
from ingest.pool import Crash, HaltError, Note, Tell


def build() -> Callable[[int, Tell], Any]:
    """Work of which some kills, breaks and stands still."""

    def work(task: int, tell: Tell) -> Any:
        tell(f"began {task}")
        if task == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 5:
            raise OSError("disk\nfull")
        while task == 6:
            time.sleep(0.05)
        return [task + 10, os.getpid(), os.environ["OMP_NUM_THREADS"]]

    return work


def build_not() -> Callable[[int, Tell], Any]:
    """No work at all."""
    raise ValueError("asr.model: nowhere to be found")


def build_full() -> Callable[[int, Tell], Any]:
    """Work that meets a full disk."""

    def work(task: int, tell: Tell) -> Any:
        raise HaltError("the disk is full")

    return work


def main() -> None:
    """Print every piece of news, then what the two others end with."""
    with joined(""):
        options: dict[str, Any] = {"workers": 2, "tasks_per_worker": 3, "threads": 3, "stall_seconds": 2.0}
        for task, news in run_ray(1, 0.0, build, range(8), **options):
            kind = type(news).__name__
            value = news.value if isinstance(news, Note) else news.reason if isinstance(news, Crash) else news
            print(json.dumps([task, kind, value]), flush=True)  # noqa: T201
        for other in (build_not, build_full):
            try:
                list(run_ray(1, 0.0, other, [1, 2, 3], **options))
            except ValueError as error:
                print(json.dumps(["ended", str(error)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
