"""What lies in a local folder of videos: files and the metadata beside them."""

from __future__ import annotations

from pathlib import Path

from ingest.sources.source_file import METADATA_SUFFIX, SourceFile, is_video_name


def videos_in_folder(folder: Path) -> list[SourceFile]:
    """All video files under a folder."""
    return [
        local_file(path, path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if is_video_name(path.name) and path.is_file()
    ]


def local_file(path: Path, relative: str) -> SourceFile:
    """A video on this machine, with the metadata beside it. Raises OSError if it is not there."""
    beside = path.with_name(path.stem + METADATA_SUFFIX)
    metadata = beside if beside.is_file() else None
    facts = [one.stat() for one in (path, metadata) if one is not None]
    return SourceFile(
        location=str(path.absolute()),
        relative=relative,
        metadata_location=str(metadata.absolute()) if metadata else "",
        stamp=" ".join(f"{fact.st_size}:{fact.st_mtime_ns}" for fact in facts),
        size_bytes=facts[0].st_size,
    )
