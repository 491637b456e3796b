"""`ophclip ingest`: videos become a corpus.

The manifest says what is done; a second run finds nothing to do, and a run that was killed goes on where it was, to
the same shards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.config import IngestConfig
from ingest.disk import writable
from ingest.manifest import Manifest, State
from ingest.pack import recover
from ingest.place import choose_place
from ingest.sources import find_videos
from ingest.sources.fetch import read_wanted
from ingest.speech.transcripts import require_folder

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


def ingest(source: str | Path, corpus: Path, config: IngestConfig, progress: Progress | None = None) -> IngestSummary:
    """Bring `corpus` up to date with the videos of `source`: a folder, a CSV or Parquet list, or an fsspec address.

    With `fetch.enabled` it is a list of web addresses, which are downloaded into the corpus first.

    `progress` is called with (done, total, message). Raises ValueError in one line if there is nothing to ingest, the
    corpus cannot be written or the recogniser's weights are missing; a video that cannot be used is reported instead.
    """
    began = time.perf_counter()
    report = progress or _quiet
    wanted = read_wanted(str(source), config.fetch.hosts) if config.fetch.enabled else []
    files = [] if wanted else find_videos(str(source))
    against = [file for guard in config.against for file in find_videos(guard)]
    require_folder(config.transcripts)
    with writable(corpus, "ingest"), Manifest(choose_place(corpus, config.manifest)) as manifest:
        # What was given is there: now the libraries that decode, hear and write may take their time.
        from ingest.bring import bring
        from ingest.engines.work import DRIVER
        from ingest.removal import without_purged
        from ingest.work import bring_up_to_date

        manifest.release(DRIVER)  # of a run that was killed: its lock on the corpus is free
        recover(corpus, alone=not manifest.leased())
        if wanted:
            files = bring(wanted, manifest, corpus, config, report)
        files, purged = without_purged(files, manifest, corpus)
        processed = bring_up_to_date(files, manifest, corpus, config, report, against=against)
        found = {*purged, *(one.relative for one in wanted or files)}
        return _summary(found, purged, manifest, processed, time.perf_counter() - began)


def _quiet(_done: int, _total: int, _message: str) -> None:
    return


def _summary(
    found: set[str], purged: Mapping[str, str], manifest: Manifest, processed: int, wall_seconds: float
) -> IngestSummary:
    rows = [row for row in manifest.videos() if row.source_relative in found]
    done = [row for row in rows if row.state is State.DONE]
    narrated = [row for row in done if row.narrated]
    return IngestSummary(
        videos=len(found),
        processed=processed,
        done=len(done),
        narrated=len(narrated),
        silent=len(done) - len(narrated),
        rejected=sum(row.state is State.REJECTED for row in rows) + len(purged),
        failed=sum(row.state is State.FAILED for row in rows),
        clips=sum(row.clips for row in narrated),
        video_seconds=sum(row.duration_seconds for row in done),
        wall_seconds=wall_seconds,
        reports=(
            *(FileReport(file=row.source_relative, state=row.state, reason=row.reason) for row in rows if row.reason),
            *(FileReport(file=name, state=State.REJECTED, reason=reason) for name, reason in purged.items()),
        ),
    )
