"""`index.json`: which shards a corpus has, and where in them each sample lies."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.parsing import parse_json
from ingest.records import Level

INDEX_NAME = "index.json"
INDEX_VERSION = 2
_SHARD_NAME = re.compile(r"\w[\w.-]*\.tar")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_WITH_CHECKSUM = re.compile(r"-[0-9a-f]{8}(?=\.tar$)")
_AGAIN = "run `ophclip ingest` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One sample as the index knows it."""

    key: str
    video_id: str
    narrated: bool
    level: Level
    has_text: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One tar as the index knows it."""

    name: str
    level: Level
    size_bytes: int
    sha256: str


def content_name(name: str, sha256: str) -> str:
    """The name under which a shard's bytes are written where others may lie: `clip-000000-1a2b3c4d.tar`."""
    return f"{plain_name(name).removesuffix('.tar')}-{sha256[:8]}.tar"


def plain_name(name: str) -> str:
    """A shard's name without the beginning of its checksum: `clip-000000.tar`."""
    return _WITH_CHECKSUM.sub("", name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the two members of a sample lie; offsets count from the start of the tar."""

    entry: Entry
    shard: Shard
    frames_offset: int
    frames_bytes: int
    json_offset: int
    json_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What `index.json` says, checked."""

    shards: tuple[Shard, ...]
    entries: Mapping[Level, Sequence[Entry]]
    """All samples of each level, in shard order."""
    places: Mapping[str, Place]
    """By key."""


def parse_index(data: bytes, where: str) -> Index:
    """Read an index; `where` names it in messages.

    Raises:
        ValueError: one line: no JSON, another version, a part that is missing or of a wrong kind, a sample outside of
            its shard, or a key or shard that occurs twice.
    """
    try:
        content = parse_json(data)
    except ValueError as error:
        raise ValueError(f"{where}: not readable as JSON ({error}): {_AGAIN}") from error
    version = content.get("version") if isinstance(content, dict) else None
    if version != INDEX_VERSION:
        raise ValueError(f"{where}: version {version} found, {INDEX_VERSION} expected: {_AGAIN}")
    try:
        return _index(content)
    except KeyError as error:
        raise ValueError(f"{where}: damaged, it lacks {error}: {_AGAIN}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: damaged, {error}: {_AGAIN}") from error


def _index(content: Mapping[str, Any]) -> Index:
    shards: dict[str, Shard] = {}
    entries: dict[Level, list[Entry]] = {level: [] for level in Level}
    places: dict[str, Place] = {}
    for record in content["shards"]:
        shard = _shard(record)
        if shard.name in shards:
            raise ValueError(f"the shard {shard.name} occurs twice")
        shards[shard.name] = shard
        for row in record["samples"]:
            entry, place = _row(row, shard)
            if entry.key in places:
                first = places[entry.key].shard.name
                raise ValueError(f"the sample key {entry.key!r} occurs twice, in {first} and {shard.name}")
            entries[shard.level].append(entry)
            places[entry.key] = place
    counts = {level.value: len(of_level) for level, of_level in entries.items()}
    if content["counts"] != counts:
        raise ValueError(f"its counts {content['counts']} are not those of its rows, {counts}")
    return Index(shards=tuple(shards.values()), entries=entries, places=places)


def _shard(record: Mapping[str, Any]) -> Shard:
    shard = Shard(
        name=record["name"], level=Level(record["level"]), size_bytes=record["bytes"], sha256=record["sha256"]
    )
    if not _SHARD_NAME.fullmatch(shard.name):
        raise ValueError(f"{shard.name!r} is no name of a shard")
    if not _CHECKSUM.fullmatch(shard.sha256) or type(shard.size_bytes) is not int:
        raise ValueError(f"{shard.name} has no size and checksum")
    return shard


def _row(row: Sequence[Any], shard: Shard) -> tuple[Entry, Place]:
    key, video_id, narrated, has_text, *spans = row
    words = isinstance(key, str) and isinstance(video_id, str)
    flags = isinstance(narrated, bool) and isinstance(has_text, bool)
    if not words or not flags or [type(number) for number in spans] != [int] * 4:
        raise ValueError(f"a row of {shard.name} is not key, video id, two flags and four numbers: {row}"[:200])
    for start, length in (spans[:2], spans[2:]):
        if start < 0 or length < 0 or start + length > shard.size_bytes:
            raise ValueError(f"the sample {key} lies outside of {shard.name}")
    entry = Entry(key=key, video_id=video_id, narrated=narrated, level=shard.level, has_text=has_text)
    return entry, Place(entry, shard, *spans)
