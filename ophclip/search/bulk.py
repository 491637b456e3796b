"""Videos encoded by whoever is there for it, and joined in one order: the index is the same whoever did what.

INDEX/staging/manifest.sqlite   what is to be encoded and who is at it; `manifest.address` where that lies in a database
INDEX/staging/parts/            what was encoded and is not in the catalogue yet
INDEX/staging/slurm/            scripts and logs of job arrays
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.batches import Batch, Beat, Moment, Told, on_disk
from ingest.config import WorkConfig
from ingest.database import is_address
from ingest.engines.work import DRIVER, let_others_end, work_off
from ingest.entries import Outcome, Stage, State, VideoRow
from ingest.manifest import Manifest
from ingest.place import choose_place
from ingest.pool import Tell, run_here, run_pool
from ingest.shift import Crew
from ophclip.config import IndexConfig
from ophclip.progress import Progress
from ophclip.search.add import enter
from ophclip.search.catalogue import Catalogue
from ophclip.search.parts import read_part, write_part
from ophclip.search.sources import SourceVideo

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded

STAGING = "staging"
_PARTS = "parts"
_BYTES_A_WORKER = 32_000_000
"""A second process saves nothing on less: it takes seconds to begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One video to be encoded."""

    video_id: str
    source: SourceVideo
    size_bytes: int
    staged: Path
    """Where its part is put; the name holds what the part depends on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What became of one video; empty if its part is there."""

    video_id: str
    refusal: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """The work of an index, as shifts have it done: videos become parts."""

    bundle: Path | Loaded
    """A folder, where the work is done by other processes."""
    weights_sha256: str
    config: IndexConfig
    name: str = "index"

    @property
    def recipe(self) -> str:
        """Of everything that a part depends on but the video."""
        options = asdict(self.config)
        for one in fields(WorkConfig):
            del options[one.name]
        return _digest(self.weights_sha256, options)

    @property
    def threads(self) -> int:
        """CPUs of a worker."""
        return self.config.threads

    def build(self) -> Callable[[Batch[Task], Tell], Sequence[Result]]:
        """Load the bundle, on the GPU that is there for this worker if there is one.

        Raises:
            ValueError: it cannot be loaded.
        """
        from ophclip.evaluation.embedding import default_device
        from ophclip.models.bundle import load_bundle

        loaded = load_bundle(self.bundle, device=default_device()) if isinstance(self.bundle, Path) else self.bundle
        return partial(_encoded, loaded, self.config)

    def entry(self, row: VideoRow, _told: Told[Task], result: Result) -> tuple[VideoRow, Outcome | None]:
        """Done, or why it cannot be."""
        state, stage = (State.REJECTED, Stage.DECODE) if result.refusal else (State.DONE, Stage.COMPLETE)
        return replace(row, state=state, stage=stage, reason=result.refusal), None


def _encoded(loaded: Loaded, config: IndexConfig, batch: Batch[Task], tell: Tell) -> tuple[Result, ...]:
    with _threads(config.threads):
        return tuple(_staged(task, loaded, config, tell) for task in batch.tasks)


def _staged(task: Task, loaded: Loaded, config: IndexConfig, tell: Tell) -> Result:
    from ophclip.search.encode import encode_video

    beat = Beat(tell, Moment(video_ids=(task.video_id,), stage=Stage.DECODE))
    try:
        part = encode_video(task.source, loaded, config, beat)
    except (OSError, ValueError) as error:
        return Result(video_id=task.video_id, refusal=str(error))
    with on_disk(task.staged.parent):
        write_part(task.staged, part)
    return Result(video_id=task.video_id)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Sums are taken in another order on another number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Joining:
    """Puts parts into the catalogue in the order of the tasks, each as soon as all before it are done."""

    def __init__(self, catalogue: Catalogue, ledger: Manifest, tasks: Sequence[Task], config: IndexConfig) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._left = list(reversed(tasks))
        self._config = config
        self.added = 0
        self.refused: list[tuple[Path, str]] = []

    def join(self) -> None:
        """Join what is there."""
        while self._left:
            task = self._left[-1]
            row = self._ledger.video(task.video_id)
            if row.state is State.PENDING:
                return
            if row.state is State.DONE:
                part = read_part(task.staged)
                enter(self._catalogue, task.source, part, self._catalogue.path.parent, self._config)
                task.staged.unlink(missing_ok=True)
                self.added += 1
            else:
                self.refused.append((task.source.path, row.reason))
            self._left.pop()


def encode_into(
    catalogue: Catalogue, sources: Sequence[SourceVideo], encoding: Encoding, report: Progress
) -> tuple[int, list[tuple[Path, str]]]:
    """Have videos encoded and put them into the catalogue, with what an earlier run staged of them.

    Returns how many were put in, and files that could not be encoded with the reason. Whoever calls it holds the index.

    Raises:
        ValueError: an engine that is not there, a bundle that cannot be loaded, a disk that is full.
    """
    config, staging = encoding.config, (catalogue.path.parent / STAGING).absolute()
    if not sources and not staging.exists():
        return 0, []
    (staging / _PARTS).mkdir(parents=True, exist_ok=True)
    place = choose_place(staging, config.manifest, variable="")
    with Manifest(place) as ledger:
        ledger.release(DRIVER)  # of a run that was killed
        told = _shared_out(ledger, sources, encoding.recipe, staging / _PARTS)
        tasks = [one.task for one in told.values()]
        joining = _Joining(catalogue, ledger, tasks, config)

        def joined(done: int, total: int, message: str) -> None:
            joining.join()
            report(done, total, message)

        if told:
            crew = _crew(encoding, tasks)
            work_off(told, ledger, staging, config, crew, on_ray=partial(_on_ray, encoding), report=joined)
        if config.slurm.dry_run:
            return 0, []
        joining.join()
        let_others_end(ledger, report)
        if is_address(place):
            ledger.remove([row.video_id for row in ledger.videos()])
    shutil.rmtree(staging)
    return joining.added, joining.refused


def drop_staged(folder: Path) -> None:
    """Forget what an unfinished run staged beside the index in `folder`, which the caller holds."""
    staging = folder / STAGING
    if not staging.exists():
        return
    place = choose_place(staging, "", variable="")
    if is_address(place):
        with Manifest(place) as ledger:
            ledger.remove([row.video_id for row in ledger.videos()])
    shutil.rmtree(staging)


def _shared_out(ledger: Manifest, sources: Sequence[SourceVideo], recipe: str, parts: Path) -> Mapping[str, Told[Task]]:
    """Enter every video as a batch of its own, in order, but those of which an earlier run staged a part."""
    known = {row.video_id: row for row in ledger.videos()}
    last = max((row.batch for row in known.values()), default=0)
    told: dict[str, Told[Task]] = {}
    new: list[VideoRow] = []
    for number, source in enumerate(sources, last + 1):
        row = VideoRow(
            video_id=source.video_id,
            path=str(source.path.absolute()),
            source_relative=source.video_id,
            sha256=source.sha256,
            stamp=_digest(source.sha256, sorted({(clip.start_seconds, clip.end_seconds) for clip in source.clips})),
            recipe=recipe,
            batch=number,
        )
        task = Task(
            video_id=source.video_id,
            source=replace(source, path=source.path.absolute()),
            size_bytes=source.path.stat().st_size if source.path.is_file() else 0,
            staged=parts / f"{_digest(row.video_id, row.recipe, row.stamp)}.npz",
        )
        told[source.video_id] = Told(task)
        if not _stands(known.get(source.video_id), row, task):
            new.append(row)
    ledger.put(new)
    return told


def _stands(held: VideoRow | None, row: VideoRow, task: Task) -> bool:
    """Whether what is known of a video is worth keeping: somebody may be at it, or has done it."""
    if held is None or (held.recipe, held.stamp) != (row.recipe, row.stamp):
        return False
    return held.state is State.PENDING or (held.state is State.DONE and task.staged.is_file())


def _crew(encoding: Encoding, tasks: Sequence[Task]) -> Crew[Task, Result]:
    """Those of this machine: this process, or several, each with a GPU where there are any."""
    config = encoding.config
    most = config.workers or max(1, sum(task.size_bytes for task in tasks) // _BYTES_A_WORKER)
    if most == 1:
        return Crew(engine=run_here, workers=1, trade=encoding)
    gpus = _gpus()
    workers = config.workers or min(most, len(gpus) or max(1, (os.cpu_count() or 1) // config.threads))
    return Crew(engine=partial(run_pool, gpus=gpus) if workers > 1 else run_here, workers=workers, trade=encoding)


def _gpus() -> list[str]:
    """As CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(number) for number in range(count)])[:count]


@contextmanager
def _on_ray(encoding: Encoding) -> Iterator[Crew[Task, Result]]:
    from ingest.engines.ray import joined, resources, run_ray

    config = encoding.config
    with joined(config.ray.address):
        found = resources()
        gpus = found.get("GPU", 0.0)
        share = config.ray.gpus_per_worker if gpus else 0.0
        room = found.get("CPU", 1.0) / config.threads
        room = min(room, gpus / share) if share else room
        engine = partial(run_ray, config.threads, share)
        yield Crew(engine=engine, workers=config.workers or max(1, int(room)), trade=encoding)


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
