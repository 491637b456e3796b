"""What is known of a video besides its pictures and sound: yt-dlp's `NAME.info.json`, and its row in a list."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from ingest.parsing import parse_json
from ingest.records import Chapter, Metadata
from ingest.sources.remote import read_bytes
from ingest.sources.source_file import SourceFile

TEXT_FIELDS = tuple(field.name for field in fields(Metadata) if field.name != "chapters")


def read_metadata(file: SourceFile) -> tuple[Metadata, str, str]:
    """A file's metadata, the checksum of all it came from, and in words what is wrong with it, if anything is.

    What a list says wins over the file beside the video. Raises ValueError in one line if an address does not answer.
    """
    metadata, checksum, complaint = Metadata(), "", ""
    if file.metadata_location:
        data = read_bytes(file.metadata_location)
        checksum = hashlib.sha256(data).hexdigest()
        metadata, complaint = parse_metadata(data, file.metadata_location.rsplit("/", 1)[-1])
    if file.listed == Metadata():
        return metadata, checksum, complaint
    said = {name: text for name in TEXT_FIELDS if (text := getattr(file.listed, name))}
    checksum = hashlib.sha256(f"{checksum} {listed_checksum(file.listed)}".encode()).hexdigest()
    return replace(metadata, **said), checksum, complaint


def listed_checksum(listed: Metadata) -> str:
    """Checksum of what a list says of a video."""
    said = {name: getattr(listed, name) for name in TEXT_FIELDS}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def parse_metadata(data: bytes, name: str) -> tuple[Metadata, str]:
    """Metadata as yt-dlp writes it, and in words what is wrong with the file called `name`, if anything is."""
    try:
        facts = parse_json(data.decode("utf-8-sig"))
    except ValueError as error:
        return Metadata(), f"{name} is not readable as JSON ({error}), so there is no title"
    if not isinstance(facts, Mapping):
        return Metadata(), f"{name} is not a JSON object, so there is no title"
    texts = {field: facts.get(field) for field in TEXT_FIELDS}
    plain = {field: text if isinstance(text, str) else "" for field, text in texts.items()}
    return Metadata(**plain, chapters=tuple(_chapters(facts.get("chapters")))), ""


def _chapters(entries: Any) -> Iterator[Chapter]:
    """Chapters that have a title and a length, by their start; others are passed over."""
    found = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    spans = [(_second(entry.get("start_time")), _second(entry.get("end_time")), entry.get("title")) for entry in found]
    whole = [(start, end, title) for start, end, title in spans if start is not None and end is not None]
    for start, end, title in sorted(whole, key=lambda span: span[:2]):
        if end > start and isinstance(title, str) and title.strip():
            yield Chapter(start_seconds=start, end_seconds=end, title=" ".join(title.split()))


def _second(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
