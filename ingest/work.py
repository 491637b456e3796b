"""Brings a corpus up to date: what is pending is done by the engine, entered in the manifest and packed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ingest.batches import Told
from ingest.card import write_card
from ingest.config import IngestConfig
from ingest.engines.work import let_others_end, work_off
from ingest.manifest import Manifest, State, VideoRow
from ingest.media.readers import require_reader
from ingest.pack import pack, packed_ids, staged_path
from ingest.pool import run_pool
from ingest.register import Source, register, with_transcripts
from ingest.repeats import mark_evaluation_videos, refuse_repeats
from ingest.shift import Crew
from ingest.sources import SourceFile
from ingest.speech.transcribe import find_weights
from ingest.stage import Result
from ingest.trade import Ingesting
from ingest.viewed import Task

Progress = Callable[[int, int, str], None]


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
    let_others_end(manifest, report)
    done = [row.video_id for row in manifest.videos() if row.state is State.DONE]
    if done or packed_ids(corpus):
        changed = pack(corpus, done, config.shards.samples_per_shard, report)
        if changed or not (corpus / "card.html").is_file():
            write_card(corpus)
    return processed


def _workers(config: IngestConfig) -> int:
    return config.workers or max(1, (os.cpu_count() or 1) // config.asr.threads)


def _told(source: Source, row: VideoRow, corpus: Path) -> Told[Task]:
    metadata, checksum, complaint = source.metadata()
    task = Task(
        video_id=row.video_id,
        file=source.file,
        metadata=metadata,
        transcripts=source.transcripts,
        staged=staged_path(corpus, row.video_id),
    )
    return Told(task, checksum, complaint)


def _do(
    told: Mapping[str, Told[Task]], manifest: Manifest, corpus: Path, config: IngestConfig, report: Progress
) -> None:
    find_weights(config.asr)
    require_reader(config.reader)
    crew = Crew(engine=run_pool, workers=_workers(config), trade=Ingesting(config, corpus))
    work_off(told, manifest, corpus, config, crew, on_ray=partial(_on_ray, config, corpus), report=report)


@contextmanager
def _on_ray(config: IngestConfig, corpus: Path) -> Iterator[Crew[Task, Result]]:
    from ingest.engines.hearers import hired

    with hired(config, corpus) as crew:
        yield crew
