"""Which files of a source folder have to be worked on: new ones, changed ones, and those whose recipe changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ingest.config import IngestConfig
from ingest.manifest import Manifest, State, VideoRow
from ingest.pack import packed_ids, staged_path
from ingest.sources import SourceFile, assign_ids, content_sha256, read_metadata


def recipe_of(config: IngestConfig) -> str:
    """Checksum of the options that a video's samples depend on."""
    options = asdict(config)
    for name in ("workers", "videos_per_worker", "retry_failed"):
        del options[name]
    for name in ("download", "threads", "device", "batch_size"):
        del options["asr"][name]
    del options["shards"]["samples_per_shard"]
    return hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()[:16]


def register(
    files: Sequence[SourceFile], manifest: Manifest, corpus: Path, config: IngestConfig
) -> dict[str, VideoRow]:
    """Enter new files, look again at changed ones, and say by relative path where every file stands."""
    known = {row.source_relative: row for row in manifest.videos()}
    recipe, packed = recipe_of(config), packed_ids(corpus)
    new = [file for file in files if file.relative not in known]
    ids, duplicates = assign_ids(new, [row.video_id for row in known.values()], content_sha256)
    rows: dict[str, VideoRow] = {}
    for file in files:
        row = known.get(file.relative)
        if row is None:
            row = VideoRow(
                video_id=ids[file.relative],
                path=file.location,
                source_relative=file.relative,
                sha256="",
                stamp=file.stamp,
                recipe=recipe,
            )
            if file.relative in duplicates:
                row = replace(row, state=State.REJECTED, reason=f"the same bytes as {duplicates[file.relative]}")
        else:
            there = row.video_id in packed or staged_path(corpus, row.video_id).is_file()
            row = _looked_at_again(row, file, recipe, there=there, retry_failed=config.retry_failed)
        rows[file.relative] = row
    manifest.put(row for row in rows.values() if row != known.get(row.source_relative))
    return rows


def _looked_at_again(row: VideoRow, file: SourceFile, recipe: str, *, there: bool, retry_failed: bool) -> VideoRow:
    fresh = replace(row, path=file.location, stamp=file.stamp)
    pending = replace(fresh, state=State.PENDING, recipe=recipe)
    if row.state is State.PENDING or (row.state is State.DONE and (row.recipe != recipe or not there)):
        return pending
    if row.state is State.FAILED and retry_failed:
        return pending
    if row.stamp == file.stamp:
        return fresh
    same = row.sha256 == content_sha256(file) and row.metadata_sha256 == read_metadata(file)[1]
    return fresh if same else pending
