"""Brings a corpus up to date: what is pending is done by worker processes, entered in the manifest and packed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ingest.card import write_card
from ingest.config import IngestConfig
from ingest.manifest import Manifest, Outcome, Stage, State, VideoRow
from ingest.media.readers import require_reader
from ingest.pack import pack, packed_ids, staged_path
from ingest.pool import Crash, Note, run_pool
from ingest.records import Metadata
from ingest.register import Source, register, with_transcripts
from ingest.repeats import mark_evaluation_videos, refuse_repeats
from ingest.sources import SourceFile
from ingest.speech.transcribe import find_weights
from ingest.stage import Batch, BatchStage, Moment, Result
from ingest.viewed import Task

Progress = Callable[[int, int, str], None]

_FEWEST_FAILURES = 10
"""So many videos may fail in any run: of three, one that fails says nothing of the others."""


def bring_up_to_date(
    files: Sequence[SourceFile],
    manifest: Manifest,
    corpus: Path,
    config: IngestConfig,
    report: Progress,
    *,
    against: Sequence[SourceFile],
) -> int:
    """Do what is new, refuse repeats and what shows an evaluation video of `against`, pack the rest.

    Returns how many files were worked on. Raises ValueError in one line if the recogniser's weights are missing.
    """
    sources = with_transcripts(files, config.transcripts)
    evaluation = mark_evaluation_videos(against, manifest, corpus, config, _workers(config))
    processed, again = 0, True
    while again:
        rows = register(sources, manifest, corpus, config)
        work = [one for one in sources if rows[one.file.relative].state is State.PENDING]
        if work:
            _Run(manifest, corpus, config, report).work(work, rows)
        processed += len(work)
        again = bool(refuse_repeats(manifest, evaluation, config))
    done = [row.video_id for row in manifest.videos() if row.state is State.DONE]
    if done or packed_ids(corpus):
        changed = pack(corpus, done, config.shards.samples_per_shard, report)
        if changed or not (corpus / "card.html").is_file():
            write_card(corpus)
    return processed


def _workers(config: IngestConfig) -> int:
    return config.workers or max(1, (os.cpu_count() or 1) // config.asr.threads)


class _Run:
    """Works on what is pending and enters what became of it."""

    def __init__(self, manifest: Manifest, corpus: Path, config: IngestConfig, report: Progress) -> None:
        find_weights(config.asr)
        require_reader(config.reader)
        self._manifest = manifest
        self._corpus = corpus
        self._config = config
        self._report = report
        self._finished = 0
        self._failed = 0
        self._last_failure = ""
        self._total = 0

    def work(self, sources: Sequence[Source], rows: Mapping[str, VideoRow]) -> None:
        """Do all sources. Where a video takes a worker down, the others of its batch are done again without it."""
        tasks = {rows[one.file.relative].video_id: self._task(one, rows[one.file.relative]) for one in sources}
        waiting = {row.video_id: row for row in rows.values() if row.video_id in tasks}
        self._total = len(waiting)
        self._report(0, self._total, "loading the recogniser")
        while waiting:
            for batch, outcome in self._outcomes(_batches(waiting.values(), tasks)):
                for video_id in self._taken(batch, outcome, waiting):
                    del waiting[video_id]
                    self._finished += 1
                    self._report(self._finished, self._total, video_id)
                self._stay_within_budget()

    def _stay_within_budget(self) -> None:
        allowed = max(_FEWEST_FAILURES, int(self._config.error_budget * self._total))
        if self._failed > allowed:
            raise ValueError(
                f"{self._failed} of {self._finished} videos have failed, error_budget allows {allowed} of "
                f"{self._total}; the last one: {self._last_failure}: what is done is kept; mend the cause and run it "
                "again with retry=failed, or raise error_budget"
            )

    def _task(self, source: Source, row: VideoRow) -> _Told:
        metadata, checksum, complaint = source.metadata()
        task = Task(
            video_id=row.video_id,
            file=source.file,
            metadata=metadata,
            transcripts=source.transcripts,
            staged=staged_path(self._corpus, row.video_id),
        )
        return _Told(task, checksum, complaint)

    def _outcomes(self, batches: Sequence[_ToldBatch]) -> Iterator[tuple[_ToldBatch, tuple[Result, ...] | _Blame]]:
        config = self._config
        by_number = {batch.number: batch for batch in batches}
        at: dict[int, Moment] = {}
        news = run_pool(
            partial(BatchStage, config, self._corpus),
            [Batch(number=batch.number, tasks=tuple(one.task for one in batch.told)) for batch in batches],
            workers=_workers(config),
            tasks_per_worker=max(1, config.videos_per_worker // max(len(batch.told) for batch in batches)),
            threads=config.asr.threads,
            stall_seconds=config.stall_seconds,
        )
        for batch, outcome in news:
            if isinstance(outcome, Note):
                at[batch.number] = outcome.value
                self._note(outcome.value)
            elif isinstance(outcome, Crash):
                yield by_number[batch.number], _Blame(outcome.reason, at.get(batch.number))
            else:
                yield by_number[batch.number], outcome

    def _note(self, moment: Moment) -> None:
        self._manifest.enter_stage(moment.video_ids, moment.stage, _now())
        names = ", ".join(moment.video_ids[:2]) + (" ..." if len(moment.video_ids) > 2 else "")
        self._report(self._finished, self._total, f"{moment.stage.value} {names}")

    def _taken(
        self, batch: _ToldBatch, outcome: tuple[Result, ...] | _Blame, waiting: dict[str, VideoRow]
    ) -> list[str]:
        """Enter what became of a batch, and return the videos that need no more work."""
        if isinstance(outcome, _Blame):
            return self._blamed(batch, outcome, waiting)
        told = {one.task.video_id: one for one in batch.told}
        entries = [self._entry(waiting[one.video_id], told[one.video_id], one) for one in outcome]
        self._manifest.finish_all(entries)
        return [one.video_id for one in outcome]

    def _entry(self, row: VideoRow, told: _Told, result: Result) -> tuple[VideoRow, Outcome | None]:
        row = replace(_attempted(row), metadata_sha256=told.checksum, sha256=result.sha256)
        reason = "; ".join(note for note in (*result.notes, told.complaint) if note)
        if result.state is State.FAILED:
            self._fail(row.video_id, reason)
        if result.probe is None:
            return replace(row, state=result.state, stage=Stage.DECODE, reason=reason), None
        row = replace(row, **asdict(result.probe), state=result.state, stage=Stage.COMPLETE, reason=reason)
        return _with_facts(row, told.task.metadata, result, self._config), result.outcome

    def _fail(self, video_id: str, reason: str) -> None:
        self._failed += 1
        self._last_failure = f"{video_id} {reason}"

    def _blamed(self, batch: _ToldBatch, blame: _Blame, waiting: dict[str, VideoRow]) -> list[str]:
        """One video takes the blame if it is known which; else each of them is tried alone."""
        suspects = blame.moment.video_ids if blame.moment else tuple(one.task.video_id for one in batch.told)
        if len(suspects) == 1:
            row = _attempted(waiting[suspects[0]])
            doing = f" at the stage {blame.moment.stage.value}" if blame.moment else ""
            stage = blame.moment.stage if blame.moment else row.stage
            reason = f"the worker {blame.reason}{doing}"
            self._fail(row.video_id, reason)
            self._manifest.finish(replace(row, state=State.FAILED, stage=stage, reason=reason))
            return [suspects[0]]
        last = max(row.batch for row in self._manifest.videos())
        for number, video_id in enumerate(suspects, last + 1):
            waiting[video_id] = replace(waiting[video_id], batch=number)
        self._manifest.put(waiting[video_id] for video_id in suspects)
        return []


@dataclass(frozen=True, slots=True)
class _Told:
    """A task, the checksum of what came beside the video, and what is wrong with that."""

    task: Task
    checksum: str
    complaint: str


@dataclass(frozen=True, slots=True)
class _ToldBatch:
    number: int
    told: tuple[_Told, ...]


@dataclass(frozen=True, slots=True)
class _Blame:
    """How a worker ended, and what it was at."""

    reason: str
    moment: Moment | None


def _batches(waiting: Iterable[VideoRow], tasks: Mapping[str, _Told]) -> list[_ToldBatch]:
    """The batches of what waits, those of long videos first, so that no worker is left alone with one at the end."""
    grouped: dict[int, list[_Told]] = {}
    for row in sorted(waiting, key=lambda row: row.video_id):
        grouped.setdefault(row.batch, []).append(tasks[row.video_id])
    batches = [_ToldBatch(number, tuple(told)) for number, told in grouped.items()]
    return sorted(batches, key=lambda batch: -sum(one.task.file.size_bytes for one in batch.told))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _attempted(row: VideoRow) -> VideoRow:
    return replace(row, attempts=row.attempts + 1, finished_at=_now())


def _with_facts(row: VideoRow, metadata: Metadata, result: Result, config: IngestConfig) -> VideoRow:
    return replace(
        row,
        narrated=result.narrated,
        title=result.title,
        vague_title=result.vague_title,
        license=metadata.license,
        uploader=metadata.uploader,
        upload_date=metadata.upload_date,
        webpage_url=metadata.webpage_url,
        consent=metadata.consent,
        split=metadata.split,
        language=result.language,
        engine=config.asr.engine.value,
        model=config.asr.model,
        speech_seconds=result.speech_seconds,
        decode_seconds=round(result.decode_seconds, 3),
        asr_seconds=round(result.asr_seconds, 3),
        write_seconds=round(result.write_seconds, 3),
        clips=len(result.outcome.clips),
        phases=len(result.outcome.chapters),
    )
