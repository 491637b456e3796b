"""What an engine costs beside a bare loop over processes: `python -m benchmarks.engines`.

Work: a worker's whole stage for silent videos, one to a batch: decoding, sampling, scene cuts, fingerprints, screen,
JPEGs, staged samples. Product: the local pool, and Ray with two worker actors. Peer: `multiprocessing.Pool` over the
same stage, without notes, blame or limits. Videos a second, from when every process is ready to the last answer, two
processes each. Asserted inside: the staged samples of all of them are the same bytes.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ingest import SIZES, enlarge
from benchmarks.pairs import tell, told_ratios
from ingest.batches import Batch
from ingest.config import IngestConfig, OverlayConfig
from ingest.engines.ray import joined, run_ray
from ingest.manifest import State
from ingest.pool import Crash, Engine, Note, Tell, run_pool
from ingest.records import Metadata
from ingest.shards import sha256_of
from ingest.sources.folder import local_file
from ingest.stage import BatchStage
from ingest.viewed import Task
from ophclip.simulate import SimulateConfig, simulate

WORKERS = 2
VIDEOS = 16
CONFIG = IngestConfig(workers=WORKERS, overlays=OverlayConfig(enabled=False))
Answer = tuple[str, int, float, float, str]
"""Id, process, when its work began and ended, checksum of the samples."""


class Deaf:
    """Stands where a recogniser would: the videos are silent."""

    def hear(self, windows: object, languages: object = ()) -> list[Any]:
        """Nothing is ever heard."""
        raise AssertionError((windows, languages))

    def languages(self, windows: object) -> tuple[str, ...]:
        """As little."""
        raise AssertionError(windows)


class TimedStage:
    """The stage of a worker; its first video waits until all processes are ready."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stage = BatchStage(CONFIG, folder, Deaf())
        self._begun = False

    def __call__(self, batch: Batch, tell: Tell) -> Answer:
        """Do one video."""
        if not self._begun:
            self._begun = True
            (self._folder / f"ready-{os.getpid()}").touch()
            while len([*self._folder.glob("ready-*")]) < WORKERS:
                time.sleep(0.01)
        began = time.monotonic()
        (result,) = self._stage(batch, tell)
        assert result.state is State.DONE, result.notes
        (task,) = batch.tasks
        return task.video_id, os.getpid(), began, time.monotonic(), sha256_of(task.staged)


def batches(video: Path, folder: Path) -> list[Batch]:
    """One video under many names."""
    return [
        Batch(
            number=number,
            tasks=(
                Task(
                    video_id=f"v{number:02}",
                    file=local_file(video, f"v{number:02}.mp4"),
                    metadata=Metadata(title="Phacoemulsification", license="CC0-1.0"),
                    transcripts=(),
                    staged=folder / f"v{number:02}.tar",
                ),
            ),
        )
        for number in range(VIDEOS)
    ]


def by_engine(engine: Engine, build: Callable[[], TimedStage], work: Iterable[Batch]) -> list[Answer]:
    """The answers of an engine of ours."""
    answers: list[Answer] = []
    news = engine(build, work, workers=WORKERS, tasks_per_worker=VIDEOS, stall_seconds=CONFIG.stall_seconds)
    for _batch, outcome in news:
        assert not isinstance(outcome, Crash), outcome
        if not isinstance(outcome, Note):
            answers.append(outcome)
    return answers


_stage: TimedStage


def _begin(folder: Path) -> None:
    global _stage  # noqa: PLW0603 how multiprocessing keeps what a process built
    _stage = TimedStage(folder)


def _do(batch: Batch) -> Answer:
    return _stage(batch, lambda _moment: None)


def by_bare_loop(folder: Path, work: list[Batch]) -> list[Answer]:
    """The answers of a pool of the standard library."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(WORKERS, initializer=_begin, initargs=(folder,)) as pool:
        return list(pool.imap_unordered(_do, work, chunksize=1))


def videos_per_second(answers: Callable[[Path, list[Batch]], list[Answer]], video: Path, seen: set[str]) -> float:
    """Of one run in a folder of its own, from when all processes were ready."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = answers(folder, batches(video, folder))
        ended = time.monotonic()
    assert len(found) == VIDEOS
    first = {pid: min(began for _id, one, began, _end, _sum in found if one == pid) for _id, pid, *_ in found}
    assert len(first) == WORKERS
    seen.add(str(sorted((name, checksum) for name, _pid, _began, _end, checksum in found)))
    assert len(seen) == 1, "the same samples from all"
    assert ended >= max(end for *_rest, end, _sum in found)
    return VIDEOS / (max(end for *_rest, end, _sum in found) - max(first.values()))


def main() -> None:
    """Make one operation and have it done by each."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: every process runs on one thread"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(SimulateConfig(out=str(folder / "world"), narrated=0, silent=1, held_out=0))
        (source,) = (folder / "world" / "videos").rglob("*.mp4")
        video = enlarge(source, folder / "video.mp4", SIZES["360p"])
        seen: set[str] = set()
        peer = partial(videos_per_second, by_bare_loop, video, seen)

        def by(engine: Engine) -> Callable[[Path, list[Batch]], list[Answer]]:
            return lambda place, work: by_engine(engine, partial(TimedStage, place), work)

        local = partial(videos_per_second, by(run_pool), video, seen)
        tell("engines: local pool over a bare loop, videos a second", told_ratios(local, peer), least=0.95)
        with joined(""):
            ray = partial(videos_per_second, by(partial(run_ray, 1, 0.0)), video, seen)
            tell("engines: Ray over a bare loop, videos a second", told_ratios(ray, peer), least=0.85)


if __name__ == "__main__":
    main()
