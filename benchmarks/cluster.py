"""How far ingest of the paper's corpus would scale: `python -m benchmarks.cluster CORPUS [HEARING_SPEED]`.

A simulation of 16 to 128 workers, driven by stage times measured on this machine: seconds of decoding, hearing and
writing for a second of video from the manifest of CORPUS (a finished ingest; a GPU hears HEARING_SPEED times faster),
and in this run the commit of a batch, the packing of shards and the search for repeats (among drawn videos that have
nothing in common), which one driver does alone. Assumed, not measured: videos as long as
the paper's on average (44,290 in 9,363 hours), log-normal as stated below; one worker in twenty at half speed; a worker
lost every 200 hours, whose batch another begins anew when its lease ends. Asserted inside: every batch is committed
once, and a cluster without stragglers, failures and serial parts reaches its ideal within the longest batch.
"""

from __future__ import annotations

import heapq
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.config import DuplicatesConfig, ShardsConfig
from ingest.manifest import MANIFEST_NAME, Manifest, State
from ingest.pack import pack, staged_path
from ingest.pictures.duplicates import near_duplicates
from ingest.pictures.fingerprint import FREQUENCIES, Fingerprint
from ingest.records import Level
from ingest.shards import ShardReader, write_staged

VIDEOS, HOURS, NARRATED = 44_290, 9_363.0, 13_654 / 44_290
SPREAD = 1.0
"""Standard deviation of the logarithm of a video's length."""
BATCH_VIDEOS = 8
REPEATS_AMONG = 200
STRAGGLERS, SLOWNESS = 0.05, 2.0
HOURS_BETWEEN_FAILURES, LEASE_SECONDS = 200.0, 900.0
WORKERS = (1, 16, 32, 64, 128)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What one core of this machine needs."""

    decode: float
    """Seconds for a second of video."""
    hear: float
    """Seconds for a second of narrated video."""
    write: float
    commit_seconds: float
    """For a batch, all writers one after the other."""
    repeats_linear: float
    """Seconds for a video."""
    repeats_square: float
    """Seconds for a pair of videos."""
    pack_seconds: float
    """For a second of video."""


def measure(corpus: Path) -> Rates:
    """The rates of a finished ingest, and of what its driver does alone."""
    with Manifest(corpus / MANIFEST_NAME, read_only=True) as manifest:
        done = [row for row in manifest.videos() if row.state is State.DONE]
        outcomes = [(row, None) for row in done[:BATCH_VIDEOS]]
    seconds = sum(row.duration_seconds for row in done)
    narrated = [row for row in done if row.narrated]
    with tempfile.TemporaryDirectory() as name:
        commit_seconds = _commit(Path(name), outcomes)
        pack_seconds = _pack(corpus, Path(name)) / seconds
    marks = [_unrelated(number) for number in range(REPEATS_AMONG)]
    first, second = _repeats(marks[: REPEATS_AMONG // 2]), _repeats(marks)
    square = max(0.0, (second - 2 * first) / (REPEATS_AMONG**2 / 2))
    return Rates(
        decode=sum(row.decode_seconds for row in done) / seconds,
        hear=sum(row.asr_seconds for row in narrated) / sum(row.duration_seconds for row in narrated),
        write=sum(row.write_seconds for row in done) / seconds,
        commit_seconds=commit_seconds,
        repeats_linear=second / REPEATS_AMONG - square * REPEATS_AMONG,
        repeats_square=square,
        pack_seconds=pack_seconds,
    )


def _commit(folder: Path, outcomes: Sequence[Any]) -> float:
    with Manifest(folder / MANIFEST_NAME) as manifest:
        began = time.perf_counter()
        for _ in range(20):
            manifest.finish_all(outcomes)
        return (time.perf_counter() - began) / 20


def _pack(corpus: Path, folder: Path) -> float:
    """Seconds to pack all samples of a corpus; staging them is not counted."""
    reader = ShardReader(corpus / "shards")
    by_video: dict[str, list[str]] = {}
    for level in Level:
        for entry in reader.entries(level):
            by_video.setdefault(entry.video_id, []).append(entry.key)
    (folder / "staging").mkdir()
    for video_id, keys in by_video.items():
        write_staged(staged_path(folder, video_id), (reader.read(key) for key in keys))
    began = time.perf_counter()
    assert pack(folder, list(by_video), 1000, lambda *_: None)
    return time.perf_counter() - began


def _unrelated(seed: int) -> Fingerprint:
    """A video of average length whose scenes, 40 seconds each, look like no other's."""
    rng = np.random.default_rng(seed)
    shape = (round(HOURS * 3600 / VIDEOS * ShardsConfig().fps), FREQUENCIES, FREQUENCIES)
    scenes = rng.normal(size=(shape[0] // 80 + 1, FREQUENCIES, FREQUENCIES)).repeat(80, axis=0)[: shape[0]]
    spectra = (scenes + rng.normal(scale=0.03, size=shape).cumsum(axis=0)).astype(np.float16)
    return Fingerprint(seconds=np.arange(shape[0]) / ShardsConfig().fps, spectra=spectra)


def _repeats(marks: Sequence[Fingerprint]) -> float:
    began = time.perf_counter()
    assert near_duplicates({str(number): mark for number, mark in enumerate(marks)}, DuplicatesConfig()) == ()
    return time.perf_counter() - began


def batches(rates: Rates, hearing_speed: float, seed: int = 0) -> NDArray[np.float64]:
    """Seconds of work of every batch of the paper's corpus, longest first."""
    rng = np.random.default_rng(seed)
    length = rng.lognormal(0.0, SPREAD, VIDEOS)
    length *= HOURS * 3600 / length.sum()
    narrated = rng.random(VIDEOS) < NARRATED
    work = length * (rates.decode + rates.write + narrated * rates.hear / hearing_speed)
    order = np.argsort(length)
    work = np.pad(work[order], (0, -VIDEOS % BATCH_VIDEOS)).reshape(-1, BATCH_VIDEOS).sum(axis=1)
    return np.sort(work)[::-1]


def run(work: NDArray[np.float64], workers: int, commit_seconds: float, *, faults: bool, seed: int = 1) -> float:
    """Seconds until the last batch is committed."""
    rng = np.random.default_rng(seed)
    slow = rng.random(workers) < STRAGGLERS if faults else np.zeros(workers, bool)
    waiting = [(0.0, batch) for batch in range(len(work))]  # when it may begin: those that were lost, after their lease
    ends: list[tuple[float, int, int, bool]] = []  # second, worker, batch, whether it was lost
    committed, door = 0, 0.0

    def begin(worker: int, now: float) -> None:
        if not waiting:
            return
        ready, batch = heapq.heappop(waiting)
        seconds = work[batch] * (SLOWNESS if slow[worker] else 1.0)
        lost = faults and rng.random() < 1 - np.exp(-seconds / (HOURS_BETWEEN_FAILURES * 3600))
        seconds *= rng.random() if lost else 1.0
        heapq.heappush(ends, (max(now, ready) + seconds, worker, batch, lost))

    for worker in range(workers):
        begin(worker, 0.0)
    idle: list[int] = []
    while ends:
        now, worker, batch, lost = heapq.heappop(ends)
        if lost:
            heapq.heappush(waiting, (now + LEASE_SECONDS, batch))
        else:
            now = door = max(door, now) + commit_seconds
            committed += 1
        idle.append(worker)  # one that was lost has another in its place
        while idle and waiting:
            begin(idle.pop(), now)
    assert committed == len(work)
    return door


def main(corpus: Path, hearing_speed: float) -> None:
    """Print the rates and a line for every number of workers."""
    rates = measure(corpus)
    print(json.dumps({"name": "measured rates", **asdict(rates)}))
    work = batches(rates, hearing_speed)
    serial = rates.repeats_linear * VIDEOS + rates.repeats_square * VIDEOS**2 + rates.pack_seconds * HOURS * 3600
    ideal = run(work, 16, 0.0, faults=False)
    assert work.sum() / 16 <= ideal <= work.sum() / 16 + work[0]
    alone = run(work, 1, rates.commit_seconds, faults=False)
    for workers in WORKERS:
        parallel = run(work, workers, rates.commit_seconds, faults=True)
        told = {
            "workers": workers,
            "hours": (parallel + serial) / 3600,
            "parallel_hours": parallel / 3600,
            "alone_hours": serial / 3600,
            "times_faster": (alone + serial) / (parallel + serial),
            "times_faster_without_what_one_does_alone": alone / parallel,
        }
        print(json.dumps({"name": "ingest of OphVL, simulated", **{k: round(v, 2) for k, v in told.items()}}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
