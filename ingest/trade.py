"""The work of an ingest, as shifts have it done: what is built in a worker, and what is entered of a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ingest.batches import Batch, Told
from ingest.config import IngestConfig
from ingest.entries import Outcome, Stage, VideoRow
from ingest.pool import Tell
from ingest.records import Metadata
from ingest.register import recipe_of
from ingest.speech.transcribe import Transcriber
from ingest.stage import BatchStage, Result
from ingest.viewed import Task


@dataclass(frozen=True, slots=True)
class Ingesting:
    """Videos become staged samples and what the manifest knows of them."""

    config: IngestConfig
    corpus: Path
    transcriber: Transcriber | None = None
    """What hears for all workers; None where each loads its own."""
    name: str = "ingest"

    @property
    def recipe(self) -> str:
        """Of the options that samples depend on."""
        return recipe_of(self.config)

    @property
    def threads(self) -> int:
        """CPUs that a recogniser takes."""
        return self.config.asr.threads

    def build(self) -> Callable[[Batch[Task], Tell], Sequence[Result]]:
        """What does batches."""
        return BatchStage(self.config, self.corpus, self.transcriber)

    def entry(self, row: VideoRow, told: Told[Task], result: Result) -> tuple[VideoRow, Outcome | None]:
        """What is entered of a video, with its clips and texts where it has any."""
        row = replace(row, metadata_sha256=told.checksum, sha256=result.sha256)
        reason = "; ".join(note for note in (*result.notes, told.complaint) if note)
        if result.probe is None:
            return replace(row, state=result.state, stage=Stage.DECODE, reason=reason), None
        row = replace(row, **asdict(result.probe), state=result.state, stage=Stage.COMPLETE, reason=reason)
        return _with_facts(row, told.task.metadata, result, self.config), result.outcome


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
