"""Shifts share the batches of one manifest: each is done, entered once, and blamed on whoever earned it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ingest.batches import Batch, Moment, Told
from ingest.config import IngestConfig
from ingest.manifest import Manifest, Stage, State, VideoRow
from ingest.pool import Crash, Note
from ingest.records import Metadata
from ingest.register import recipe_of
from ingest.shift import Crew, Shift
from ingest.sources import SourceFile
from ingest.stage import Result
from ingest.trade import Ingesting
from ingest.viewed import Task

CONFIG = IngestConfig()
RECIPE = recipe_of(CONFIG)
NOW = "2026-01-01T00:00:00+00:00"


def told(video_id: str) -> Told:
    file = SourceFile(location=f"/x/{video_id}.mp4", relative=f"{video_id}.mp4", stamp="1:2", size_bytes=9)
    return Told(Task(video_id=video_id, file=file, metadata=Metadata(), transcripts=(), staged=Path("s.tar")), "", "")


def entered(manifest: Manifest, batches: dict[str, int]) -> dict[str, Told]:
    """Videos that are pending, each in its batch."""
    manifest.put(
        VideoRow(video_id=name, path="", source_relative=name, sha256="", stamp="1:2", recipe=RECIPE, batch=number)
        for name, number in batches.items()
    )
    return {name: told(name) for name in batches}


def shift(manifest: Manifest, engine: Any, worker: str = "a") -> Shift:
    crew = Crew(engine=engine, workers=2, trade=Ingesting(CONFIG, Path("corpus")))
    return Shift(manifest, CONFIG, crew=crew, worker=worker, report=lambda *_: None)


def moment(batch: Batch, stage: Stage) -> Note:
    return Note(Moment(video_ids=tuple(task.video_id for task in batch.tasks), stage=stage))


def answer(batch: Batch, note: str) -> tuple[Result, ...]:
    return tuple(Result(video_id=task.video_id, state=State.REJECTED, notes=(note,)) for task in batch.tasks)


def quick(note: str, _build: object, tasks: Iterable[Batch], **_: object) -> Iterator[tuple[Batch, Any]]:
    """An engine without work."""
    for batch in tasks:
        yield batch, moment(batch, Stage.DECODE)
        yield batch, answer(batch, note)


def interrupted(between: Callable[[Batch], None], _build: object, tasks: Iterable[Batch], **_: object) -> Any:
    """An engine in whose first batch something else happens between its note and its answer."""
    for number, batch in enumerate(tasks):
        yield batch, moment(batch, Stage.DECODE)
        if number == 0:
            between(batch)
        yield batch, answer(batch, "slow")


def test_what_one_is_at_another_leaves_and_does_the_rest(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest, Manifest(manifest_place) as second:
        work = entered(manifest, {"v": 1, "w": 1, "x": 2, "y": 3})
        helper = shift(second, partial(quick, "helper"), "b")
        shift(manifest, partial(interrupted, lambda _batch: helper.work(work))).work(work)
        rows = {row.video_id: (row.reason, row.attempts) for row in manifest.videos()}
    assert rows == {"v": ("slow", 1), "w": ("slow", 1), "x": ("helper", 1), "y": ("helper", 1)}


def test_who_is_late_enters_nothing(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest, Manifest(manifest_place) as second:
        work = entered(manifest, {"v": 1, "w": 2})

        def overtaken(_batch: Batch) -> None:
            second.release("a")  # as if it had said nothing for too long
            shift(second, partial(quick, "helper"), "b").work(work)

        shift(manifest, partial(interrupted, overtaken)).work(work)
        assert [(row.reason, row.attempts) for row in manifest.videos()] == [("helper", 1), ("helper", 1)]
        assert manifest.leased() == set()


def test_a_video_that_takes_processes_down_is_found_and_harms_no_other(manifest_place: Path | str) -> None:
    def crashing(_build: object, tasks: Iterable[Batch], **_: object) -> Iterator[tuple[Batch, Any]]:
        for batch in tasks:
            yield batch, moment(batch, Stage.TRANSCRIBE)
            bad = any(task.video_id == "w" for task in batch.tasks)
            yield batch, Crash("was ended by SIGSEGV") if bad else answer(batch, "fine")

    with Manifest(manifest_place) as manifest:
        work = entered(manifest, {"u": 1, "v": 2, "w": 2, "x": 2})
        shift(manifest, crashing).work(work)
        rows = {row.video_id: (row.state, row.reason, row.batch) for row in manifest.videos()}
    fine = (State.REJECTED, "fine")
    assert rows == {
        "u": (*fine, 1),
        "v": (*fine, 3),
        "w": (State.FAILED, "the worker was ended by SIGSEGV at the stage transcribe", 4),
        "x": (*fine, 5),
    }


@pytest.mark.parametrize("losses", [2, 3])
def test_over_what_three_workers_vanished_a_fourth_does_not_try(manifest_place: Path | str, losses: int) -> None:
    with Manifest(manifest_place) as manifest:
        work = entered(manifest, {"v": 1, "w": 1})
        for number in range(losses):
            lease = manifest.claim([1], f"lost {number}", -1.0, RECIPE)
            assert lease is not None
            assert lease.losses == number
            manifest.enter_stage(["w"], Stage.WRITE, NOW, lease)
        shift(manifest, partial(quick, "fine")).work(work)
        rows = {row.video_id: (row.state, row.reason) for row in manifest.videos()}
    fine = (State.REJECTED, "fine")
    lost = (State.FAILED, "the worker was lost 3 times at the stage write")
    assert rows == {"v": fine, "w": lost if losses == 3 else fine}


def test_a_shift_that_breaks_off_gives_up_its_leases(manifest_place: Path | str) -> None:
    def halting(_build: object, tasks: Iterable[Batch], **_: object) -> Iterator[tuple[Batch, Any]]:
        for batch in tasks:
            yield batch, moment(batch, Stage.DECODE)
            raise ValueError("the disk is full")

    with Manifest(manifest_place) as manifest:
        work = entered(manifest, {"v": 1, "w": 2})
        with pytest.raises(ValueError, match="the disk is full"):
            shift(manifest, halting).work(work)
        assert manifest.leased() == set()
        shift(manifest, partial(quick, "fine"), "b").work(work)
        assert {row.reason for row in manifest.videos()} == {"fine"}
