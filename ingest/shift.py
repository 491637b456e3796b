"""A shift: one worker, or one engine of many, takes batches from the manifest and enters what became of them.

Whoever takes part holds a lease on a batch while it is done, so that shifts on many machines share the work of one
corpus: a batch whose worker is gone is taken over, and a worker that comes too late enters nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic

from ingest.batches import Batch, Moment, P, R, Told, Trade
from ingest.config import WorkConfig
from ingest.entries import Stage, State, VideoRow
from ingest.manifest import Lease, Manifest
from ingest.pool import Crash, Engine, Note

Progress = Callable[[int, int, str], None]

_LONGER_THAN_STALLED_SECONDS = 60.0
"""So much longer than a silent worker is waited for a lease holds."""
_FEWEST_FAILURES = 10
"""So many videos may fail in any shift: of three, one that fails says nothing of the others."""
_MOST_LOSSES = 3
"""So many workers may vanish over a batch before its videos are to blame: machines fail and jobs are ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew(Generic[P, R]):
    """Who does the batches of a shift, and what is done with them."""

    engine: Engine
    workers: int
    trade: Trade[P, R]


@dataclass(frozen=True, slots=True)
class _Blame:
    """How a worker ended, and the videos and the stage it was at."""

    reason: str
    suspects: tuple[str, ...] = ()
    """Empty if that is not known."""
    stage: Stage | None = None


class Shift(Generic[P, R]):
    """Works on what is pending and nobody else holds."""

    def __init__(
        self,
        manifest: Manifest,
        config: WorkConfig,
        *,
        crew: Crew[P, R],
        worker: str,
        report: Progress,
    ) -> None:
        """`worker` is the name on its leases: of all that take part at one time each has its own."""
        self._manifest = manifest
        self._config = config
        self._crew = crew
        self._worker = worker
        self._report = report
        self._recipe = crew.trade.recipe
        self._leases: dict[int, Lease] = {}
        self._taken = 0
        self._total = 0
        self._finished = 0
        self._failed = 0
        self._last_failure = ""

    def work(self, told: Mapping[str, Told[P]]) -> None:
        """Do what is pending of `told` until nothing is left that can be had.

        Where a video takes a process down, the others of its batch are done again without it. Raises ValueError in one
        line where more have failed in this shift than `error_budget` allows.
        """
        self._total = len(told)
        self._report(self._finished, self._total, "loading the model")
        try:
            while batches := self._open(told):
                if not self._pass(batches, told):
                    return
        finally:
            self._manifest.release(self._worker)

    def _pass(self, batches: Sequence[tuple[int, int]], told: Mapping[str, Told[P]]) -> bool:
        """Do the batches that can be had once; whether there was one."""
        most = max(videos for _number, videos in batches)
        at: dict[int, Moment] = {}
        before = self._taken
        news = self._crew.engine(
            self._crew.trade.build,
            self._claimed([number for number, _videos in batches], told),
            workers=min(self._crew.workers, len(batches)),
            tasks_per_worker=max(1, self._config.videos_per_worker // most),
            threads=self._crew.trade.threads,
            stall_seconds=self._config.stall_seconds,
        )
        for batch, outcome in news:
            lease = self._leases[batch.number]
            if isinstance(outcome, Note):
                at[batch.number] = outcome.value
                self._note(lease, outcome.value)
            elif isinstance(outcome, Crash):
                moment = at.get(batch.number)
                known = (moment.video_ids, moment.stage) if moment else ()
                self._count(self._blamed(lease, _Blame(outcome.reason, *known), told))
            else:
                self._count(self._entered(lease, outcome, told))
            self._stay_within_budget()
        return self._taken > before

    def _stay_within_budget(self) -> None:
        allowed = max(_FEWEST_FAILURES, int(self._config.error_budget * self._total))
        if self._failed > allowed:
            raise ValueError(
                f"{self._failed} of {self._finished} videos have failed, error_budget allows {allowed} of "
                f"{self._total}; the last one: {self._last_failure}: what is done is kept; mend the cause and run it "
                "again with retry=failed, or raise error_budget"
            )

    def _open(self, told: Mapping[str, Told[P]]) -> list[tuple[int, int]]:
        """Batches with something pending, and their numbers of videos; those of long videos first, so that no worker
        is left alone with one at the end."""
        rows = [row for row in self._manifest.videos() if row.video_id in told]
        waiting = [row for row in rows if row.state is State.PENDING and row.recipe == self._recipe]
        self._finished = max(self._finished, self._total - len(waiting))
        sizes: dict[int, list[int]] = {}
        for row in waiting:
            sizes.setdefault(row.batch, []).append(told[row.video_id].task.size_bytes)
        return [(number, len(sizes[number])) for number in sorted(sizes, key=lambda one: (-sum(sizes[one]), one))]

    def _claimed(self, numbers: list[int], told: Mapping[str, Told[P]]) -> Iterator[Batch[P]]:
        """One batch after the other, each leased when it is asked for."""
        seconds = self._config.stall_seconds + _LONGER_THAN_STALLED_SECONDS
        while numbers and (lease := self._manifest.claim(numbers, self._worker, seconds, self._recipe)):
            del numbers[: numbers.index(lease.batch) + 1]
            self._taken += 1
            if lease.losses >= _MOST_LOSSES:
                stage = next((row.stage for row in lease.rows if row.video_id in lease.suspects), None)
                reason = f"was lost {lease.losses} times"
                self._count(self._blamed(lease, _Blame(reason, lease.suspects, stage), told))
                continue
            self._leases[lease.batch] = lease
            tasks = tuple(told[row.video_id].task for row in lease.rows if row.video_id in told)
            yield Batch(number=lease.batch, tasks=tasks)

    def _note(self, lease: Lease, moment: Moment) -> None:
        self._manifest.enter_stage(moment.video_ids, moment.stage, _now(), lease)
        names = ", ".join(moment.video_ids[:2]) + (" ..." if len(moment.video_ids) > 2 else "")
        self._report(self._finished, self._total, f"{moment.stage.value} {names}")

    def _count(self, finished: Sequence[str]) -> None:
        for video_id in finished:
            self._finished += 1
            self._report(self._finished, self._total, video_id)

    def _entered(self, lease: Lease, results: Sequence[R], told: Mapping[str, Told[P]]) -> list[str]:
        """Enter what became of a batch: the videos that need no more work, none where the lease was lost."""
        rows = {row.video_id: row for row in lease.rows}
        enter = self._crew.trade.entry
        entries = [enter(_attempted(rows[one.video_id]), told[one.video_id], one) for one in results]
        if not self._manifest.finish_all(entries, lease):
            return []
        for row, _outcome in entries:
            self._fail(row)
        return [one.video_id for one in results]

    def _fail(self, row: VideoRow) -> None:
        """Count a row that was entered, if it is of a video that failed."""
        if row.state is State.FAILED:
            self._failed += 1
            self._last_failure = f"{row.video_id} {row.reason}"

    def _blamed(self, lease: Lease, blame: _Blame, told: Mapping[str, Told[P]]) -> list[str]:
        """One video takes the blame if it is known which; else each of them is tried alone."""
        rows = {row.video_id: row for row in lease.rows if row.video_id in told}
        suspects = [one for one in blame.suspects if one in rows] or list(rows)
        if len(suspects) == 1:
            row = _attempted(rows[suspects[0]])
            doing = f" at the stage {blame.stage.value}" if blame.stage else ""
            reason = f"the worker {blame.reason}{doing}"
            failed = replace(row, state=State.FAILED, stage=blame.stage or row.stage, reason=reason)
            if not self._manifest.finish(failed, None, lease):
                return []
            self._fail(failed)
            return suspects
        self._manifest.part(lease, suspects)
        return []


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _attempted(row: VideoRow) -> VideoRow:
    return replace(row, attempts=row.attempts + 1, finished_at=_now())
