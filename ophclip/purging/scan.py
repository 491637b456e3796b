"""A search through raw bytes for what should be gone."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_WORD = rb"[A-Za-z0-9_]"
_PIECE_BYTES = 64
_HEADER_BYTES = 640
"""Of a JPEG: tables that pictures of one encoder share."""
_DISTINCT_BYTES = 40
"""Flat areas are the same few bytes again and again, in every picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A file that still holds something."""

    path: Path
    what: str


def leftovers(
    folders: Iterable[Path],
    video_ids: Sequence[str],
    texts: Sequence[str],
    pictures: Sequence[bytes],
    *,
    skipped: Collection[Path] = (),
) -> Iterator[Leftover]:
    """Every file under `folders` whose name or bytes hold an id, a text or a piece of a picture, each told once.

    Args:
        folders: searched with all that lies in them.
        video_ids: found where they stand as a whole, or as the beginning of a sample's key.
        texts: found in UTF-8 and as JSON writes them.
        pictures: pieces of bytes.
        skipped: files and folders that are left out.
    """
    ids = re.compile(b"|".join(_id_pattern(video_id) for video_id in video_ids))
    sentences = {form for text in texts for form in _forms(text)}
    for path in _files(folders, skipped):
        if ids.search(path.name.encode()):
            yield Leftover(path=path, what="its name")
        elif what := _held(path, ids, sentences, pictures):
            yield Leftover(path=path, what=what)


def piece_of(jpeg: bytes) -> bytes:
    """Bytes of a picture that no other one has, past headers and tables; empty for one that is too plain to be told."""
    starts = range(_HEADER_BYTES, len(jpeg) - _PIECE_BYTES, _PIECE_BYTES)
    pieces = [jpeg[start : start + _PIECE_BYTES] for start in starts]
    best = max(pieces, key=lambda piece: len(set(piece)), default=b"")
    return best if len(set(best)) >= _DISTINCT_BYTES else b""


def _id_pattern(video_id: str) -> bytes:
    """The id, not as a part of a longer one; what follows a hyphen may be the rest of a sample's key only."""
    name = re.escape(video_id.encode())
    return rb"(?<![A-Za-z0-9_-])" + name + rb"(?=-\d{8}(?!" + _WORD + rb")|-phase-\d{8}|(?![A-Za-z0-9_-]))"


def _forms(text: str) -> Iterator[bytes]:
    yield text.encode()
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()


def _files(folders: Iterable[Path], skipped: Collection[Path]) -> Iterator[Path]:
    left_out = {path.resolve() for path in skipped}
    seen: set[Path] = set()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            place = path.resolve()
            if path.is_file() and place not in seen and left_out.isdisjoint((place, *place.parents)):
                seen.add(place)
                yield path


def _held(path: Path, ids: re.Pattern[bytes], sentences: Iterable[bytes], pictures: Iterable[bytes]) -> str:
    if not path.stat().st_size:
        return ""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if ids.search(content):
            return "its id"
        if any(content.find(one) >= 0 for one in sentences):
            return "what was said or written of it"
        return "a picture of it" if any(content.find(one) >= 0 for one in pictures) else ""
