"""Web addresses become files in the corpus before they are ingested; one that cannot be had is a failed video."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ingest.config import IngestConfig, Retry
from ingest.manifest import Manifest, State, VideoRow
from ingest.pack import DOWNLOADS
from ingest.sources import SourceError, SourceFile, assign_ids
from ingest.sources.download import download, require_yt_dlp
from ingest.sources.fetch import Wanted, complete


def bring(
    wanted: Sequence[Wanted],
    manifest: Manifest,
    corpus: Path,
    config: IngestConfig,
    report: Callable[[int, int, str], None],
) -> list[SourceFile]:
    """The files of all addresses that can be had, by address; only what is missing is asked for.

    An address that failed is asked for again with `retry=failed`; one whose video is done never, even if its file was
    removed since. Raises ValueError in one line if something is to be fetched and yt-dlp is not installed.
    """
    folder = corpus / DOWNLOADS
    here = {one.relative: complete(one, folder) for one in wanted}
    rows = {row.source_relative: row for row in manifest.videos()}
    again = (State.PENDING, State.FAILED) if config.retry is Retry.FAILED else (State.PENDING,)
    missing = [
        one
        for one in wanted
        if not here[one.relative] and (one.relative not in rows or rows[one.relative].state in again)
    ]
    if missing:
        require_yt_dlp()
    for number, one in enumerate(missing):
        report(number, len(missing), f"fetching {one.relative}")
        try:
            here[one.relative] = download(one, folder, config.fetch.hosts)
        except SourceError as error:
            row = rows.get(one.relative) or _entered(one, [known.video_id for known in manifest.videos()])
            now = datetime.now(UTC).isoformat(timespec="seconds")
            failed = replace(row, state=State.FAILED, reason=str(error), attempts=row.attempts + 1, finished_at=now)
            manifest.put([failed])
    return sorted((file for file in here.values() if file), key=lambda file: file.relative)


def _entered(wanted: Wanted, taken: Sequence[str]) -> VideoRow:
    name, mark = wanted.relative, hashlib.sha256(wanted.relative.encode()).hexdigest()
    nothing = SourceFile(location=name, relative=name, video_id=wanted.row.video_id, stamp="", size_bytes=0)
    ids, _copies = assign_ids([nothing], taken, lambda _file: mark)
    return VideoRow(video_id=ids[name], path=name, source_relative=name, sha256="", stamp="")
