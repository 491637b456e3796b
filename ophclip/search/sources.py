"""Which videos go into an index, and what is known about them: those of a corpus and those of a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.manifest import Manifest, State
from ingest.parsing import parse_json
from ingest.place import has_manifest_at, manifest_place
from ingest.records import VIDEO_SUFFIXES, Clip
from ingest.shards import sha256_of

SAID = ("license", "uploader", "consent", "split", "language")
"""Attributes that a source says of a video: ingest's manifest, or the `NAME.info.json` beside the file."""
READ_IN_TITLES = ("procedure", "technique", "eye_condition")
"""Attributes of which ingest keeps evidence beside a structured title; a video may have several of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceVideo:
    """One video to index."""

    video_id: str
    path: Path
    sha256: str
    title: str
    narrated: bool
    attributes: Mapping[str, tuple[str, ...]]
    """What search can be held to, by `SAID` and `READ_IN_TITLES`; no key without a value."""
    clips: tuple[Clip, ...]


def require_sources(corpus: Path | None, videos: Path | None) -> None:
    """See that what is to be indexed is there, without reading it.

    Raises:
        ValueError: neither is given, or one is not there.
    """
    if corpus is None and videos is None:
        raise ValueError("index: nothing to index; give a CORPUS, --videos FOLDER, or both")
    if corpus is not None and not has_manifest_at(corpus):
        raise ValueError(
            f"{manifest_place(corpus)}: expected the manifest of a corpus; "
            f"make one with `ophclip ingest SOURCE --out {corpus}`"
        )
    if videos is not None and not videos.is_dir():
        raise ValueError(f"{videos}: no such folder; expected one that holds videos")


def find_sources(corpus: Path | None, videos: Path | None) -> tuple[list[SourceVideo], list[tuple[Path, str]]]:
    """The videos of a corpus' manifest, then those of a folder whose content the corpus does not hold.

    Also returns files that could not be taken, with the reason in one line.

    Raises:
        ValueError: neither is given, one is not there, or together they hold no video.
    """
    require_sources(corpus, videos)
    found = [] if corpus is None else _of_corpus(corpus)
    failed: list[tuple[Path, str]] = []
    if videos is not None:
        _add_folder(found, failed, videos)
    if not found and not failed:
        raise ValueError(f"{videos or corpus}: no video in it; expected files such as NAME.mp4")
    return found, failed


def _of_corpus(corpus: Path) -> list[SourceVideo]:
    with Manifest(manifest_place(corpus)) as manifest:
        return [
            SourceVideo(
                video_id=row.video_id,
                path=Path(row.path),
                sha256=row.sha256,
                title=row.title,
                narrated=row.narrated,
                attributes=_attributes(
                    [(key, getattr(row, key)) for key in SAID]
                    + [(one.attribute, one.value) for one in manifest.evidence(row.video_id)]
                ),
                clips=tuple(manifest.clips(row.video_id)),
            )
            for row in manifest.videos()
            if row.state is State.DONE
        ]


def _attributes(said: Iterable[tuple[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Values by key, each once and in order; what is empty or no attribute is left out."""
    found: dict[str, dict[str, None]] = {}
    for key, value in said:
        text = " ".join(value.split()) if isinstance(value, str) else ""
        if text and key in (*SAID, *READ_IN_TITLES):
            found.setdefault(key, {})[text] = None
    return {key: tuple(sorted(values)) for key, values in found.items()}


def _add_folder(found: list[SourceVideo], failed: list[tuple[Path, str]], folder: Path) -> None:
    hashes = {video.sha256 for video in found}
    ids = {video.video_id for video in found}
    for path in sorted(item for item in folder.rglob("*") if item.suffix.lower() in VIDEO_SUFFIXES):
        try:
            video = _of_file(path, ids)
        except (OSError, ValueError) as error:
            failed.append((path, str(error)))
            continue
        if video.sha256 not in hashes:
            hashes.add(video.sha256)
            ids.add(video.video_id)
            found.append(video)


def _of_file(path: Path, taken: set[str]) -> SourceVideo:
    sha256 = sha256_of(path)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem).strip("_") or "video"
    about = _sidecar(path.with_suffix(".info.json"))
    return SourceVideo(
        video_id=stem if stem not in taken else f"{stem}-{sha256[:8]}",
        path=path,
        sha256=sha256,
        title=str(about.get("title") or ""),
        narrated=False,
        attributes=_attributes(about.items()),
        clips=(),
    )


def _sidecar(path: Path) -> dict[str, Any]:
    """What yt-dlp wrote beside the video; nothing if there is no such file."""
    if not path.is_file():
        return {}
    try:
        about = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}); mend or remove it") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path}: expected a JSON object as yt-dlp writes it; mend or remove it")
    return about
