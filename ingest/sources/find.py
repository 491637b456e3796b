"""Which videos a source holds, whatever kind of source it is."""

from __future__ import annotations

from pathlib import Path

from ingest.records import VIDEO_SUFFIXES
from ingest.sources.folder import videos_in_folder
from ingest.sources.listing import LIST_SUFFIXES, videos_in_list
from ingest.sources.remote import videos_at
from ingest.sources.source_file import SourceFile, is_address


def find_videos(source: str) -> list[SourceFile]:
    """All videos of a source, by their name in it.

    A source is a folder (searched through and through), a CSV or Parquet list, or the address of either (`s3://`,
    `gs://` and what else fsspec knows). Raises ValueError in one line if there is nothing there or a list is faulty.
    """
    found = _videos(source)
    if not found:
        raise ValueError(f"{source}: no video files in it: expected files ending in {' '.join(VIDEO_SUFFIXES)}")
    return sorted(found, key=lambda file: file.relative)


def _videos(given: str) -> list[SourceFile]:
    source = given.removeprefix("file://")
    if source.lower().endswith(LIST_SUFFIXES) and not Path(source).is_dir():
        return videos_in_list(source)
    if is_address(source):
        return videos_at(source)
    if not Path(source).is_dir():
        raise ValueError(f"{source}: no such folder: give a folder of videos, a CSV or Parquet list, or an address")
    return videos_in_folder(Path(source))
