"""One video as a source offers it, and the ids that videos get."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ingest.records import VIDEO_SUFFIXES, Metadata

METADATA_SUFFIX = ".info.json"
LONGEST_ID = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One video file as found; nothing of it has been read yet."""

    location: str
    """Absolute local path, or the address of a remote file."""
    relative: str
    """Name inside the source, with forward slashes: the path below a folder, or the path as a list writes it."""
    metadata_location: str = ""
    """Where the `NAME.info.json` beside it lies, empty if there is none."""
    listed: Metadata = field(default_factory=Metadata)
    """What a list says of it; this wins over the file beside it."""
    video_id: str = ""
    """The id that a list gives it, empty where the file's name decides."""
    stamp: str
    """Changes when the file, its metadata or its row in a list may have changed: sizes, times, tags, checksums."""
    size_bytes: int

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched before it can be read."""
        return is_address(self.location)


def is_address(text: str) -> bool:
    """Whether a source or location is an address such as `s3://bucket/folder` and no local path."""
    return "://" in text


def is_video_name(name: str) -> bool:
    """Whether a file's name is one of a video: a known ending, and not hidden."""
    pure = PurePosixPath(name)
    return pure.suffix.lower() in VIDEO_SUFFIXES and not pure.name.startswith(".")


def plain_id(relative: str) -> str:
    """A file's name without its ending, in letters, digits, `_` and `-`."""
    stem = Path(relative).stem
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_")[:LONGEST_ID] or "video"


def assign_ids(
    files: Iterable[SourceFile], taken: Iterable[str], checksum: Callable[[SourceFile], str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Ids of new files by relative path, and the duplicates among them: relative path -> that of the file kept.

    A name that several files share, or that is taken, gets a short checksum of the content behind it; of files that
    agree in name and content only the first is kept.
    """
    new = list(files)
    occupied = set(taken)
    names = {file.relative: file.video_id or plain_id(file.relative) for file in new}
    wanted = Counter(names.values())
    ids: dict[str, str] = {}
    duplicates: dict[str, str] = {}
    owners: dict[str, str] = {}
    for file in new:
        name = names[file.relative]
        if wanted[name] > 1 or name in occupied:
            name = f"{name}-{checksum(file)[:8]}"
        if name in owners:
            duplicates[file.relative] = owners[name]
            name = f"{name}-{hashlib.sha256(file.relative.encode()).hexdigest()[:8]}"
        owners.setdefault(name, file.relative)
        ids[file.relative] = name
    return ids, duplicates
