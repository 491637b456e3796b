"""Files behind an address: found, read, and fetched for as long as they are worked on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from ingest.records import VIDEO_SUFFIXES
from ingest.sources.source_file import METADATA_SUFFIX, SourceFile, is_address, is_video_name
from ingest.sources.storage import SourceError, file_system, told

_BLOCK_BYTES = 4 * 2**20
_TAGS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "created")
"""What file systems of fsspec call the mark of a file's version, the surest first."""


def videos_at(address: str) -> list[SourceFile]:
    """All video files below the address of a folder. Raises SourceError in one line if it cannot be listed."""
    system, root = file_system(address)
    with told(address):
        entries: Mapping[str, Mapping[str, Any]] = system.find(root, detail=True)
    names = sorted(name for name in entries if is_video_name(name))
    prefix = root.rstrip("/") + "/"
    return [_remote_file(system, name, name.removeprefix(prefix), entries) for name in names]


def files_at(addresses: Iterable[str]) -> dict[str, SourceFile]:
    """Single files by their addresses, those that are not there left out; each folder is listed once."""
    listed: dict[str, Mapping[str, Mapping[str, Any]]] = {}
    found: dict[str, SourceFile] = {}
    for address in addresses:
        system, name = file_system(address, fresh=False)
        parent = address.rsplit("/", 1)[0]
        if parent not in listed:
            system.invalidate_cache()
            listed[parent] = _entries(system, parent)
        if name in listed[parent]:
            found[address] = _remote_file(system, name, address, listed[parent])
    return found


def sizes_at(address: str) -> dict[str, int]:
    """Sizes of the files directly in a remote folder, by name; none if there is no such folder.

    Raises SourceError in one line if it cannot be listed.
    """
    system, _ = file_system(address)
    return {name.rsplit("/", 1)[-1]: int(fact.get("size") or 0) for name, fact in _entries(system, address).items()}


def _entries(system: Any, parent: str) -> Mapping[str, Mapping[str, Any]]:
    with told(parent):
        try:
            return {entry["name"]: entry for entry in system.ls(parent, detail=True) if entry.get("type") == "file"}
        except FileNotFoundError:
            return {}


def _remote_file(system: Any, name: str, relative: str, entries: Mapping[str, Mapping[str, Any]]) -> SourceFile:
    beside = str(PurePosixPath(name).with_suffix("")) + METADATA_SUFFIX if "://" not in name else ""
    beside = beside or name.rsplit(".", 1)[0] + METADATA_SUFFIX
    facts = [entries[one] for one in (name, beside) if one in entries]
    return SourceFile(
        location=system.unstrip_protocol(name),
        relative=relative,
        metadata_location=system.unstrip_protocol(beside) if beside in entries else "",
        stamp=" ".join(f"{fact.get('size') or 0}:{_tag(fact)}" for fact in facts),
        size_bytes=int(facts[0].get("size") or 0),
    )


def _tag(fact: Mapping[str, Any]) -> str:
    return next((str(fact[name]).strip('"') for name in _TAGS if fact.get(name)), "")


@contextmanager
def reading(location: str) -> Iterator[Any]:
    """A file open for reading bytes, local or remote. Raises SourceError in one line if it is not there."""
    if not is_address(location):
        if not Path(location).is_file():
            raise SourceError(f"{location}: no such file: it was there when the source was searched")
        with Path(location).open("rb") as file:
            yield file
        return
    system, name = file_system(location)
    with told(location):
        opened = system.open(name, "rb", block_size=_BLOCK_BYTES)
    with opened:
        yield opened


def read_bytes(location: str) -> bytes:
    """All of a small file, local or remote."""
    with reading(location) as file, told(location):
        data: bytes = file.read()
    return data


def blocks(location: str, start: int = 0) -> Iterator[bytes]:
    """The bytes of a file from `start` on, a few megabytes at a time. Raises SourceError if it cannot be read."""
    with reading(location) as opened:
        with told(location):
            opened.seek(start)
        while True:
            with told(location):
                block: bytes = opened.read(_BLOCK_BYTES)
            if not block:
                return
            yield block


def content_sha256(file: SourceFile) -> str:
    """Checksum of a file's bytes; a remote file is read for it, but not kept. Raises SourceError if it is not there."""
    digest = hashlib.sha256()
    for block in blocks(file.location):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def local_copy(file: SourceFile, folder: Path) -> Iterator[Path]:
    """A path at which the file can be read: its own, or while it lasts that of a copy in `folder`.

    The copy's name follows from the address, so that one that a killed process left is written over by the next.
    Raises SourceError in one line if the file cannot be read or is no longer what was found, OSError if `folder`
    cannot be written.
    """
    if not file.remote:
        if not Path(file.location).is_file():
            raise SourceError(f"{file.location}: no such file: it was there when the source was searched")
        yield Path(file.location)
        return
    ending = PurePosixPath(file.location).suffix.lower()
    name = f".fetched-{hashlib.sha256(file.location.encode()).hexdigest()[:16]}"
    target = folder / (name + (ending if ending in VIDEO_SUFFIXES else ""))
    try:
        _fetch(file, target)
        yield target
    finally:
        target.unlink(missing_ok=True)


def _fetch(file: SourceFile, target: Path) -> None:
    size = 0
    with target.open("wb") as copy:
        for block in blocks(file.location):
            size += copy.write(block)
    if file.size_bytes and size != file.size_bytes:
        raise SourceError(f"{file.location}: {size} bytes came, {file.size_bytes} were listed: it changes, run again")
