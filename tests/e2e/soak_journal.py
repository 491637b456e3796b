"""What the soak writes down while it runs: a line an event, counts, failures, memory; safe to use from many threads."""

from __future__ import annotations

import csv
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from test_ingest_memory import memory_mb

T = TypeVar("T")
SAMPLE_SECONDS = 10.0


class Journal:
    """Events with the seconds since the clock started, in OUT/soak.log and on standard error."""

    def __init__(self, out: Path) -> None:
        self._file = (out / "soak.log").open("x", encoding="utf-8")
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def start_clock(self) -> None:
        """From now on seconds count."""
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the clock started."""
        return time.monotonic() - self._began

    def say(self, who: str, what: str) -> None:
        """Write an event."""
        line = f"{self.seconds:8.1f} {who:8} {what}"
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def count(self, what: str, number: int = 1) -> None:
        """Count an event."""
        with self._lock:
            self.counts[what] += number

    def require(self, held: object, who: str, what: str) -> None:
        """Note a failure unless `held`; the soak goes on, so that all are known at its end."""
        if not held:
            with self._lock:
                self.failures.append(f"{who}: {what}")
            self.say(who, f"FAILURE: {what}")

    def attempt(self, who: str, work: Callable[[], T], otherwise: T) -> T:
        """Do something; what it raises is a failure, and `otherwise` comes of it."""
        try:
            return work()
        except Exception as error:  # noqa: BLE001 told at the end, with all others
            self.require(False, who, repr(error))
            return otherwise

    def close(self) -> None:
        """Close the log."""
        self._file.close()


class Memory:
    """Resident memory of processes with their children, every ten seconds or at its peak, into OUT/memory.csv."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self._path, self._journal = out / "memory.csv", journal
        self._lock = threading.Lock()
        self._path.write_text("seconds,process,rss_mb\n")
        self._watched: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.points: dict[str, list[tuple[float, float]]] = {}
        """Name -> (seconds, MB)."""

    def watch(self, name: str, process: int) -> None:
        """From now on look at a process."""
        self._watched[name] = process

    def leave(self, name: str) -> None:
        """It is about to end, or has ended."""
        self._watched.pop(name, None)

    def note(self, name: str, megabytes: float) -> None:
        """Keep the peak of a process that has ended."""
        with self._lock:
            self.points.setdefault(name, []).append((self._journal.seconds, megabytes))
            with self._path.open("a", newline="") as file:
                csv.writer(file).writerow([f"{self._journal.seconds:.1f}", name, f"{megabytes:.1f}"])

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            for name, process in list(self._watched.items()):
                megabytes = memory_mb(process)
                if megabytes and name in self._watched:
                    self.note(name, megabytes)


def warmed(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """The last three quarters."""
    return points[len(points) // 4 :]


def growth(points: Sequence[tuple[float, float]]) -> float:
    """By what share of their median the values grow from the first point to the last: the median slope over all pairs
    (Theil and Sen) times the way between."""
    if len(points) < 4:
        return 0.0
    at, values = (np.array(column, float) for column in zip(*points, strict=True))
    first, second = np.triu_indices(len(at), k=1)
    slope = np.median((values[second] - values[first]) / (at[second] - at[first]))
    return float(slope * (at[-1] - at[0]) / np.median(values))


def quarters(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Median of the first and of the last quarter, in MB."""
    quarter = max(1, len(points) // 4)
    values = [value for _, value in points]
    return float(np.median(values[:quarter])), float(np.median(values[-quarter:]))


def repeated(journal: Journal, every_seconds: float, until_seconds: float, work: Callable[[int], None]) -> None:
    """Call `work` with 0, 1, ... every so many seconds; one that takes longer is followed by the next at once."""
    number = 0
    while (number + 1) * every_seconds < until_seconds:
        time.sleep(max(0.0, (number + 1) * every_seconds - journal.seconds))
        if journal.seconds >= until_seconds:
            return
        work(number)
        number += 1
