"""Brings a corpus up to date: what is pending is done by the engine, entered in the manifest and packed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ingest.card import write_card
from ingest.config import IngestConfig, WorkEngine
from ingest.manifest import Manifest, State, VideoRow
from ingest.media.readers import require_reader
from ingest.pack import pack, packed_ids, staged_path
from ingest.pool import run_pool
from ingest.register import Source, register, with_transcripts
from ingest.repeats import mark_evaluation_videos, refuse_repeats
from ingest.shift import Crew, Shift, Told
from ingest.sources import SourceFile
from ingest.speech.transcribe import find_weights
from ingest.viewed import Task

Progress = Callable[[int, int, str], None]

DRIVER = "driver"
"""Name on the leases of whoever holds the corpus: there is one at a time."""
_POLL_SECONDS = 2.0


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
            told = {rows[one.file.relative].video_id: _told(one, rows[one.file.relative], corpus) for one in work}
            _do(told, manifest, corpus, config, report)
        if config.slurm.dry_run:
            return 0
        processed += len(work)
        again = bool(refuse_repeats(manifest, evaluation, config))
    _let_others_end(manifest, report)
    done = [row.video_id for row in manifest.videos() if row.state is State.DONE]
    if done or packed_ids(corpus):
        changed = pack(corpus, done, config.shards.samples_per_shard, report)
        if changed or not (corpus / "card.html").is_file():
            write_card(corpus)
    return processed


def _workers(config: IngestConfig) -> int:
    return config.workers or max(1, (os.cpu_count() or 1) // config.asr.threads)


def _told(source: Source, row: VideoRow, corpus: Path) -> Told:
    metadata, checksum, complaint = source.metadata()
    task = Task(
        video_id=row.video_id,
        file=source.file,
        metadata=metadata,
        transcripts=source.transcripts,
        staged=staged_path(corpus, row.video_id),
    )
    return Told(task, checksum, complaint)


def _do(told: Mapping[str, Told], manifest: Manifest, corpus: Path, config: IngestConfig, report: Progress) -> None:
    """Have all of `told` done; what other workers hold is waited for, and taken over if they vanish."""
    find_weights(config.asr)
    require_reader(config.reader)
    _require_engine(config.engine)
    if config.engine is WorkEngine.SLURM:
        from ingest.engines.slurm import run_array

        run_array(told, manifest, corpus, config, report)
        return
    with _crew(config) as crew:
        shift = Shift(manifest, corpus, config, crew=crew, worker=DRIVER, report=report)
        shift.work(told)
        while any(row.state is State.PENDING and row.video_id in told for row in manifest.videos()):
            time.sleep(_POLL_SECONDS)
            shift.work(told)


def _require_engine(engine: WorkEngine) -> None:
    library = {WorkEngine.RAY: "ray", WorkEngine.SLURM: "submitit"}.get(engine)
    if library and find_spec(library) is None:
        raise ValueError(f"engine: {library} is not installed: pip install 'ophclip[{engine.value}]'")


@contextmanager
def _crew(config: IngestConfig) -> Iterator[Crew]:
    if config.engine is WorkEngine.RAY:
        from ingest.engines.ray import joined

        with joined(config) as crew:
            yield crew
    else:
        yield Crew(engine=run_pool, workers=_workers(config))


def _let_others_end(manifest: Manifest, report: Progress) -> None:
    """Wait for workers of other runs: what they stage must not be packed or swept away half done."""
    while others := len(manifest.leased()):
        report(0, others, "waiting for workers of another run")
        time.sleep(_POLL_SECONDS)
