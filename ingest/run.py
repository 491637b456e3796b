"""`ophclip ingest`: a folder of videos becomes a corpus.

The manifest says what is done; a second run finds nothing to do, and a run that was killed goes on where it was, to
the same shards.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from ingest.config import IngestConfig
from ingest.manifest import MANIFEST_NAME, Manifest, State, VideoRow
from ingest.media.readers import require_reader
from ingest.pack import pack, recover, staged_path
from ingest.pool import Crash, run_pool
from ingest.records import Metadata
from ingest.register import register
from ingest.sources import SourceFile, find_videos, read_metadata
from ingest.speech.transcribe import find_weights
from ingest.stage import Result, Task, VideoStage

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileReport:
    """A file of which something is to be said."""

    file: str
    state: State
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestSummary:
    """What the corpus holds after a run; `str` of it is for people."""

    videos: int
    """Files found in the source folder."""
    processed: int
    """Files that this run worked on; the others had been done before."""
    done: int
    narrated: int
    silent: int
    rejected: int
    failed: int
    clips: int
    video_seconds: float
    wall_seconds: float
    reports: tuple[FileReport, ...]
    """Files that were refused, failed, damaged, or offered a choice, with the reason."""

    def __str__(self) -> str:
        head = (
            f"{self.done} of {self.videos} videos in the corpus ({self.narrated} narrated, {self.silent} silent; "
            f"{self.clips} clips, {self.video_seconds / 60:.1f} min), {self.processed} worked on now, "
            f"{self.rejected} rejected, {self.failed} failed, {self.wall_seconds:.1f} s"
        )
        return "\n".join([head, *(f"  {one.file}: {one.state.value}: {one.reason}" for one in self.reports)])


def ingest(source: Path, corpus: Path, config: IngestConfig, progress: Progress | None = None) -> IngestSummary:
    """Bring `corpus` up to date with the videos under `source`.

    `progress` is called with (done, total, message). Raises ValueError in one line if there is nothing to ingest, the
    corpus cannot be written or the recogniser's weights are missing; a video that cannot be used is reported instead.
    """
    began = time.perf_counter()
    report = progress or _quiet
    files = find_videos(str(source))
    with _writable(corpus), Manifest(corpus / MANIFEST_NAME) as manifest:
        recover(corpus)
        rows = register(files, manifest, corpus, config)
        work = [file for file in files if rows[file.relative].state is State.PENDING]
        if work:
            _Run(manifest, corpus, config, report).work(work, rows)
        done = [row.video_id for row in manifest.videos() if row.state is State.DONE]
        if done:
            pack(corpus, done, config.shards.samples_per_shard, report)
        return _summary(files, manifest, len(work), time.perf_counter() - began)


def _quiet(_done: int, _total: int, _message: str) -> None:
    return


@contextmanager
def _writable(corpus: Path) -> Iterator[None]:
    """Make the corpus folder and hold it against a second ingest."""
    try:
        corpus.mkdir(parents=True, exist_ok=True)
        lock = (corpus / ".lock").open("w")
    except OSError as error:
        raise ValueError(f"{corpus}: cannot be written ({error.strerror}): choose another folder with --out") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"{corpus}: another ingest is writing it: wait, or choose another folder") from error
        yield


@dataclass(frozen=True, slots=True)
class _Run:
    """Works on what is pending and enters what became of it."""

    manifest: Manifest
    corpus: Path
    config: IngestConfig
    report: Progress

    def work(self, files: Sequence[SourceFile], rows: Mapping[str, VideoRow]) -> None:
        find_weights(self.config.asr)
        require_reader(self.config.reader)
        beside = {file.relative: read_metadata(file) for file in files}
        # The longest first, so that no worker is left alone with one at the end.
        largest_first = sorted(files, key=lambda file: -file.size_bytes)
        tasks = [self._task(file, rows[file.relative].video_id, beside[file.relative][0]) for file in largest_first]
        self.report(0, len(tasks), "loading the recogniser")
        for number, (task, outcome) in enumerate(self._outcomes(tasks), 1):
            _metadata, checksum, complaint = beside[task.source_relative]
            row = replace(rows[task.source_relative], metadata_sha256=checksum)
            self.report(number, len(tasks), self._enter(row, task.metadata, outcome, complaint))

    def _task(self, file: SourceFile, video_id: str, metadata: Metadata) -> Task:
        staged = staged_path(self.corpus, video_id)
        return Task(
            video_id=video_id, path=Path(file.location), source_relative=file.relative, metadata=metadata, staged=staged
        )

    def _outcomes(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Result | Crash]]:
        threads = self.config.asr.threads
        return run_pool(
            partial(VideoStage, self.config),
            tasks,
            workers=self.config.workers or max(1, (os.cpu_count() or 1) // threads),
            tasks_per_worker=self.config.videos_per_worker,
            threads=threads,
        )

    def _enter(self, row: VideoRow, metadata: Metadata, outcome: Result | Crash, complaint: str) -> str:
        """Write what became of one video into the manifest, and say it in a few words."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        row = replace(row, attempts=row.attempts + 1, finished_at=now)
        if isinstance(outcome, Crash):
            self.manifest.finish(replace(row, state=State.FAILED, reason=f"the worker {outcome.reason}"))
            return f"{row.video_id}: failed"
        row = replace(row, sha256=outcome.sha256)
        if outcome.probe is None:
            self.manifest.finish(replace(row, state=State.REJECTED, reason="; ".join(outcome.notes)))
            return f"{row.video_id}: rejected"
        reason = "; ".join(note for note in (*outcome.notes, complaint) if note)
        done = replace(_done(row, metadata, outcome, self.config), **asdict(outcome.probe), reason=reason)
        self.manifest.finish(done, outcome.clips, outcome.rejections, outcome.transcript)
        return f"{row.video_id}: " + (f"narrated, {len(outcome.clips)} clips" if outcome.narrated else "silent")


def _done(row: VideoRow, metadata: Metadata, result: Result, config: IngestConfig) -> VideoRow:
    return replace(
        row,
        state=State.DONE,
        narrated=result.narrated,
        title=result.title,
        vague_title=result.vague_title,
        license=metadata.license,
        uploader=metadata.uploader,
        upload_date=metadata.upload_date,
        webpage_url=metadata.webpage_url,
        engine=config.asr.engine.value,
        model=config.asr.model,
        speech_seconds=result.transcript.speech_seconds if result.transcript else 0.0,
        decode_seconds=round(result.decode_seconds, 3),
        asr_seconds=round(result.asr_seconds, 3),
        write_seconds=round(result.write_seconds, 3),
        clips=len(result.clips),
    )


def _summary(files: Sequence[SourceFile], manifest: Manifest, processed: int, wall_seconds: float) -> IngestSummary:
    found = {file.relative for file in files}
    rows = [row for row in manifest.videos() if row.source_relative in found]
    done = [row for row in rows if row.state is State.DONE]
    narrated = [row for row in done if row.narrated]
    return IngestSummary(
        videos=len(files),
        processed=processed,
        done=len(done),
        narrated=len(narrated),
        silent=len(done) - len(narrated),
        rejected=sum(row.state is State.REJECTED for row in rows),
        failed=sum(row.state is State.FAILED for row in rows),
        clips=sum(row.clips for row in narrated),
        video_seconds=sum(row.duration_seconds for row in done),
        wall_seconds=wall_seconds,
        reports=tuple(
            FileReport(file=row.source_relative, state=row.state, reason=row.reason) for row in rows if row.reason
        ),
    )
