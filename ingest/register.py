"""Which files of a source have to be worked on: new ones, changed ones, and those whose recipe changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ingest.config import IngestConfig, Retry, WorkConfig
from ingest.manifest import Manifest, State, VideoRow
from ingest.pack import packed_ids, staged_path
from ingest.pictures.fingerprint import marking
from ingest.records import Metadata
from ingest.shards import sha256_of
from ingest.sources import SourceFile, assign_ids, content_sha256, read_metadata
from ingest.speech.transcripts import find_transcripts

_BATCH_VIDEOS = 8
_BATCHES = 16
"""A few videos make smaller batches, so that every worker has some; more than this many need not."""
_BATCH_BYTES = 1 << 30
"""Speech of a batch is in memory together: an hour or two of video at usual rates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A file and the transcripts that came with it."""

    file: SourceFile
    transcripts: tuple[Path, ...]

    @property
    def stamp(self) -> str:
        """By which an unchanged source is known without reading it."""
        facts = [path.stat() for path in self.transcripts]
        return " ".join([self.file.stamp, *(f"{fact.st_size}:{fact.st_mtime_ns}" for fact in facts)])

    def metadata(self) -> tuple[Metadata, str, str]:
        """Metadata, the checksum of all that came beside the video, and what is wrong with it in words."""
        metadata, checksum, complaint = read_metadata(self.file)
        if self.transcripts:
            marks = " ".join([checksum, *(sha256_of(path) for path in self.transcripts)])
            checksum = hashlib.sha256(marks.encode()).hexdigest()
        return metadata, checksum, complaint


def with_transcripts(files: Sequence[SourceFile], folder: str) -> list[Source]:
    """The files with their transcripts in `folder`, without any if it is empty."""
    return [
        Source(file=file, transcripts=find_transcripts(Path(folder), file.relative) if folder else ()) for file in files
    ]


def recipe_of(config: IngestConfig) -> str:
    """Checksum of the options that a video's samples depend on."""
    options = asdict(config)
    for name in (*(one.name for one in fields(WorkConfig)), "retry", "transcripts", "against", "duplicates", "fetch"):
        del options[name]
    for name in ("download", "threads", "device"):
        del options["asr"][name]
    # No answer, no sample: how long a server is waited for, and what it may cost, changes none.
    for name in ("key_variable", "timeout_seconds", "retries", "backoff_seconds", "max_requests", "max_tokens"):
        del options["rewrite"][name]
    del options["shards"]["samples_per_shard"]
    options["fingerprint"] = marking(config.duplicates)
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]


def register(sources: Sequence[Source], manifest: Manifest, corpus: Path, config: IngestConfig) -> dict[str, VideoRow]:
    """Enter new files, look again at changed ones, and say by relative path where every file stands.

    What has to be worked on is put into batches, once: a run that goes on after an interruption finds the same ones.
    """
    known = {row.source_relative: row for row in manifest.videos()}
    recipe, packed = recipe_of(config), packed_ids(corpus)
    new = [one.file for one in sources if one.file.relative not in known]
    ids, duplicates = assign_ids(new, [row.video_id for row in known.values()], content_sha256)
    rows: dict[str, VideoRow] = {}
    for source in sources:
        name = source.file.relative
        row = known.get(name)
        if row is None:
            rows[name] = _entered(source, ids[name], recipe, duplicates.get(name, ""))
        else:
            there = row.video_id in packed or staged_path(corpus, row.video_id).is_file()
            rows[name] = _looked_at_again(row, source, recipe, there=there, retry=config.retry is Retry.FAILED)
    last = max((row.batch for row in known.values()), default=0)
    rows = _batched(rows, {one.file.relative: one.file.size_bytes for one in sources}, last)
    manifest.put(row for row in rows.values() if row != known.get(row.source_relative))
    return rows


def _entered(source: Source, video_id: str, recipe: str, duplicate_of: str) -> VideoRow:
    row = VideoRow(
        video_id=video_id,
        path=source.file.location,
        source_relative=source.file.relative,
        sha256="",
        stamp=source.stamp,
        recipe=recipe,
    )
    if not duplicate_of:
        return row
    return replace(row, state=State.REJECTED, reason=f"the same bytes as {duplicate_of}")


def _looked_at_again(row: VideoRow, source: Source, recipe: str, *, there: bool, retry: bool) -> VideoRow:
    fresh = replace(row, path=source.file.location, stamp=source.stamp)
    anew = replace(fresh, state=State.PENDING, recipe=recipe, batch=0)
    if row.state is State.PENDING:
        return replace(fresh, recipe=recipe)
    if row.state is State.DONE and not there:
        return anew
    # A copy of another file has no checksum of its own: it was never read, and is not for another recipe either.
    if row.state is not State.FAILED and row.recipe != recipe and row.sha256:
        return anew
    if row.state is State.FAILED and retry:
        return anew
    if row.stamp == source.stamp:
        return fresh
    same = row.sha256 == content_sha256(source.file) and row.metadata_sha256 == source.metadata()[1]
    return fresh if same else anew


def _batched(rows: Mapping[str, VideoRow], size_bytes: Mapping[str, int], last: int) -> dict[str, VideoRow]:
    """Give a batch after the `last` one to every pending video that has none: videos of like size together."""
    waiting = [row for row in rows.values() if row.state is State.PENDING and not row.batch]
    waiting.sort(key=lambda row: (size_bytes[row.source_relative], row.source_relative))
    most = min(_BATCH_VIDEOS, max(1, -(-len(waiting) // _BATCHES)))
    batched = dict(rows)
    number, held, held_bytes = last, most, 0
    for row in waiting:
        size = size_bytes[row.source_relative]
        if held >= most or held_bytes + size > _BATCH_BYTES:
            number, held, held_bytes = number + 1, 0, 0
        held, held_bytes = held + 1, held_bytes + size
        batched[row.source_relative] = replace(row, batch=number)
    return batched
