"""What lies in a folder of videos: files, the ids they get, and the metadata beside them."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.records import Metadata

SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v", ".mpg", ".ts")
_LONGEST_ID = 64
_METADATA_FIELDS = ("title", "description", "uploader", "license", "upload_date", "webpage_url")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One video file as found."""

    path: Path
    relative: str
    """Path inside the source folder, with forward slashes."""
    metadata_path: Path | None
    stamp: str
    """Sizes and modification times of the file and its metadata."""


def find_videos(source: Path) -> list[SourceFile]:
    """All video files under `source`, by relative path. Raises ValueError in one line if there are none."""
    if not source.is_dir():
        raise ValueError(f"{source}: no such folder: give a folder of videos")
    paths = [path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    found = [_source_file(source, path) for path in paths if path.is_file()]
    if not found:
        raise ValueError(f"{source}: no video files in it: expected files ending in {' '.join(SUFFIXES)}")
    return sorted(found, key=lambda file: file.relative)


def _source_file(source: Path, path: Path) -> SourceFile:
    beside = path.with_name(path.stem + ".info.json")
    metadata = beside if beside.is_file() else None
    facts = [one.stat() for one in (path, metadata) if one is not None]
    return SourceFile(
        path=path,
        relative=path.relative_to(source).as_posix(),
        metadata_path=metadata,
        stamp=" ".join(f"{fact.st_size}:{fact.st_mtime_ns}" for fact in facts),
    )


def read_metadata(path: Path | None) -> tuple[Metadata, str, str]:
    """Metadata as yt-dlp writes it, the checksum of its bytes, and in words what is wrong with it, if anything is."""
    if path is None:
        return Metadata(), "", ""
    data = path.read_bytes()
    checksum = hashlib.sha256(data).hexdigest()
    try:
        facts = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        return Metadata(), checksum, f"{path.name} is not readable as JSON ({error}), so there is no title"
    if not isinstance(facts, Mapping):
        return Metadata(), checksum, f"{path.name} is not a JSON object, so there is no title"
    texts = {name: facts.get(name) for name in _METADATA_FIELDS}
    return Metadata(**{name: text if isinstance(text, str) else "" for name, text in texts.items()}), checksum, ""


def plain_id(relative: str) -> str:
    """A file's name without its ending, in letters, digits, `_` and `-`."""
    stem = Path(relative).stem
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_")[:_LONGEST_ID] or "video"


def assign_ids(
    files: Iterable[SourceFile], taken: Iterable[str], checksum: Callable[[Path], str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Ids of new files by relative path, and the duplicates among them: relative path -> that of the file kept.

    A name that several files share, or that is taken, gets a short checksum of the content behind it; of files that
    agree in name and content only the first is kept.
    """
    new = list(files)
    occupied = set(taken)
    wanted = Counter(plain_id(file.relative) for file in new)
    ids: dict[str, str] = {}
    duplicates: dict[str, str] = {}
    owners: dict[str, str] = {}
    for file in new:
        name = plain_id(file.relative)
        if wanted[name] > 1 or name in occupied:
            name = f"{name}-{checksum(file.path)[:8]}"
        if name in owners:
            duplicates[file.relative] = owners[name]
            name = f"{name}-{hashlib.sha256(file.relative.encode()).hexdigest()[:8]}"
        owners.setdefault(name, file.relative)
        ids[file.relative] = name
    return ids, duplicates
