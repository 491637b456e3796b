"""The shard format: writer, reader, index, checksums. The only place that knows tar members.

`docs/shards.md` describes it for other readers.
A corpus keeps its samples in `CORPUS/shards`: `clip-000000.tar`, `video-000000.tar`, ... in the layout of webdataset,
with two members a sample, `KEY.frames` (its JPEGs, packed) and `KEY.json` (everything else). `index.json` holds the
offset of every member, so that any sample is one `pread` away, and the checksum of every tar, so that a corpus can be
named.
Reading needs neither webdataset nor torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ingest import atomic
from ingest.records import Level, Sample

INDEX_NAME = "index.json"
INDEX_VERSION = 2
FRAMES_SUFFIX = ".frames"
JSON_SUFFIX = ".json"
_HASH_BLOCK_BYTES = 1 << 20
_FACTS = tuple(field.name for field in fields(Sample) if field.name != "jpegs")


def encode_jpeg(pixels_hwc: NDArray[np.uint8], quality: int = 85) -> bytes:
    """Encode one RGB picture, uint8 [H, W, 3]; quality 1..100."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels_hwc), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return data


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """Decode one JPEG to RGB, uint8 [H, W, 3]. Raises ValueError on bytes that are no JPEG."""
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB")
    return pixels


def pack_jpegs(jpegs: Sequence[bytes]) -> bytes:
    """Put the pictures of a sample into one block: number and lengths (uint32, little endian), then the pictures."""
    return b"".join((struct.pack(f"<I{len(jpegs)}I", len(jpegs), *map(len, jpegs)), *jpegs))


def unpack_jpegs(block: bytes) -> tuple[bytes, ...]:
    """Take apart what `pack_jpegs` made. Raises ValueError if the lengths do not add up."""
    if len(block) < 4:
        raise ValueError(f"packed frames: {len(block)} bytes are too few for a header")
    (count,) = struct.unpack_from("<I", block)
    header_bytes = 4 + 4 * count
    if len(block) < header_bytes:
        raise ValueError(
            f"packed frames: the header speaks of {count} pictures, but the block has only {len(block)} bytes"
        )
    lengths = struct.unpack_from(f"<{count}I", block, 4)
    if header_bytes + sum(lengths) != len(block):
        raise ValueError(f"packed frames: {header_bytes + sum(lengths)} bytes expected, {len(block)} found")
    pictures, position = [], header_bytes
    for length in lengths:
        pictures.append(block[position : position + length])
        position += length
    return tuple(pictures)


def sample_to_members(sample: Sample) -> dict[str, bytes]:
    """The two tar members of a sample, by suffix without the dot; equal samples give equal bytes."""
    facts = {name: getattr(sample, name) for name in _FACTS}
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return {"frames": pack_jpegs(sample.jpegs), "json": text.encode("utf-8")}


def members_to_sample(frames_block: bytes, facts_json: bytes) -> Sample:
    """The inverse of `sample_to_members`. Raises ValueError on damaged members."""
    facts: dict[str, Any] = json.loads(facts_json)
    try:
        values = {name: facts[name] for name in _FACTS}
    except KeyError as error:
        raise ValueError(
            f"shard sample without the field {error}: write the corpus anew with `ophclip ingest`"
        ) from error
    for name in ("frame_seconds", "alternatives"):
        values[name] = tuple(values[name])
    return Sample(**{**values, "level": Level(values["level"])}, jpegs=unpack_jpegs(frames_block))


def write_staged(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples of all levels to one plain tar, under a temporary name until it is whole and on the disk."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
                for sample in samples:
                    for suffix, data in sample_to_members(sample).items():
                        _add_bytes(archive, f"{sample.key}.{suffix}", data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, BytesIO(data))


def read_tar(path: Path) -> Iterator[Sample]:
    """All samples of one tar, in its order; regular members only."""
    with tarfile.open(path, "r") as archive:
        held: dict[str, bytes] = {}
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None:
                raise ValueError(f"{path}: member {member.name!r} is not a regular file: refuse this shard")
            _key, _, suffix = member.name.rpartition(".")
            held[suffix] = stream.read()
            if held.keys() >= {"frames", "json"}:
                yield members_to_sample(held["frames"], held["json"])
                held = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One sample as the index knows it."""

    key: str
    video_id: str
    narrated: bool
    level: Level
    has_text: bool


@dataclass(frozen=True, slots=True)
class _Place:
    shard: str
    frames_offset: int
    frames_bytes: int
    json_offset: int
    json_bytes: int


class ShardWriter:
    """Writes samples to numbered tars, one row of tars per level, and closes with the index.

    Same samples in the same order, same bytes. Each tar stands under a temporary name until it is whole.
    """

    def __init__(self, root: Path, samples_per_shard: int = 1000) -> None:
        if samples_per_shard < 1:
            raise ValueError(f"shards.samples_per_shard: {samples_per_shard} given, at least 1 expected")
        self._root = root
        self._samples_per_shard = samples_per_shard
        self._open: dict[Level, _OpenShard] = {}
        self._written: dict[Level, int] = dict.fromkeys(Level, 0)
        self._keys: set[str] = set()
        self._finished: list[dict[str, Any]] = []
        root.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            for shard in self._open.values():
                shard.abandon()

    def add(self, sample: Sample) -> None:
        """Append one sample. Raises ValueError if its key is taken."""
        if sample.key in self._keys:
            raise ValueError(
                f"{self._root}: the sample key {sample.key!r} occurs twice: rename one of the two source files"
            )
        self._keys.add(sample.key)
        shard = self._open.get(sample.level) or self._begin(sample.level)
        shard.add(sample)
        if len(shard.entries) >= self._samples_per_shard:
            self._finish(sample.level)

    def close(self) -> None:
        """Finish open tars and write the index last."""
        for level in list(self._open):
            self._finish(level)
        self._finished.sort(key=lambda shard: str(shard["name"]))
        counts = {level.value: 0 for level in Level}
        for shard in self._finished:
            counts[shard["level"]] += len(shard["samples"])
        index = {"version": INDEX_VERSION, "counts": counts, "shards": self._finished}
        atomic.write_text(self._root / INDEX_NAME, json.dumps(index, separators=(",", ":"), ensure_ascii=False))

    def _begin(self, level: Level) -> _OpenShard:
        shard = _OpenShard(self._root / f"{level.value}-{self._written[level]:06d}.tar", level)
        self._written[level] += 1
        self._open[level] = shard
        return shard

    def _finish(self, level: Level) -> None:
        self._finished.append(self._open.pop(level).finish())


class _OpenShard:
    def __init__(self, path: Path, level: Level) -> None:
        # webdataset imports torch, which readers of shards and ingest's workers can do without.
        from webdataset.writer import TarWriter

        self.path = path
        self.level = level
        self.entries: list[Entry] = []
        self._temporary = path.with_name(path.name + ".tmp")
        self._file = self._temporary.open("wb")
        self._tar = TarWriter(self._file, user="", group="", mtime=0, encoder=False)

    def add(self, sample: Sample) -> None:
        self._tar.write({"__key__": sample.key, **sample_to_members(sample)})
        entry = Entry(
            key=sample.key,
            video_id=sample.video_id,
            narrated=sample.narrated,
            level=self.level,
            has_text=bool(sample.text.strip()),
        )
        self.entries.append(entry)

    def abandon(self) -> None:
        self._tar.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def finish(self) -> dict[str, Any]:
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        record = {
            "name": self.path.name,
            "level": self.level.value,
            "bytes": self._temporary.stat().st_size,
            "sha256": sha256_of(self._temporary),
            "samples": _index_samples(self._temporary, self.entries),
        }
        self._temporary.replace(self.path)
        return record


def _index_samples(tar_path: Path, entries: Sequence[Entry]) -> list[list[Any]]:
    with tarfile.open(tar_path, "r") as archive:
        places = {member.name: (member.offset_data, member.size) for member in archive}
    return [
        [
            entry.key,
            entry.video_id,
            entry.narrated,
            entry.has_text,
            *places[entry.key + FRAMES_SUFFIX],
            *places[entry.key + JSON_SUFFIX],
        ]
        for entry in entries
    ]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_HASH_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class ShardReader:
    """Random access to the samples of a corpus by key, in constant time.

    Safe to share between threads and to send to other processes: it reads with `pread`, and opens files anew
    after pickling.
    """

    def __init__(self, root: Path) -> None:
        """`root` is the corpus folder or its `shards` folder. Raises ValueError if it holds no whole set of shards."""
        self._folder = root / "shards" if (root / "shards" / INDEX_NAME).is_file() else root
        self._hashes: dict[str, str] = {}
        self._entries: dict[Level, list[Entry]] = {level: [] for level in Level}
        self._places: dict[str, _Place] = {}
        self._descriptors: dict[str, int] = {}
        for shard in _read_index(self._folder, root)["shards"]:
            self._add_shard(shard)

    def _add_shard(self, shard: Mapping[str, Any]) -> None:
        name, level, path = shard["name"], Level(shard["level"]), self._folder / shard["name"]
        size = path.stat().st_size if path.is_file() else None
        if size != shard["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise ValueError(f"{path} {found}, its index says {shard['bytes']} bytes: run `ophclip ingest` again")
        self._hashes[name] = shard["sha256"]
        for key, video_id, narrated, has_text, *place in shard["samples"]:
            entry = Entry(key=key, video_id=video_id, narrated=narrated, level=level, has_text=has_text)
            self._entries[level].append(entry)
            self._places[key] = _Place(name, *place)

    def entries(self, level: Level) -> Sequence[Entry]:
        """All samples of one level, in shard order."""
        return tuple(self._entries[level])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and checksums of all shards: equal corpora have equal fingerprints."""
        lines = (f"{name} {digest}\n" for name, digest in sorted(self._hashes.items()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def read(self, key: str) -> Sample:
        """One sample with its JPEGs still encoded. Raises KeyError for an unknown key."""
        place = self._places[key]
        descriptor = self._descriptor(place.shard)
        frames_block = os.pread(descriptor, place.frames_bytes, place.frames_offset)
        return members_to_sample(frames_block, os.pread(descriptor, place.json_bytes, place.json_offset))

    def facts(self, key: str) -> Mapping[str, Any]:
        """All fields of one sample but its pictures, which are not read. Raises KeyError for an unknown key."""
        place = self._places[key]
        facts: dict[str, Any] = json.loads(os.pread(self._descriptor(place.shard), place.json_bytes, place.json_offset))
        return facts

    def text(self, key: str) -> str:
        """The text of one sample, without reading its pictures. Raises KeyError for an unknown key."""
        return str(self.facts(key)["text"])

    def verify(self) -> None:
        """Read every shard whole and compare checksums. Raises ValueError naming the first that differs."""
        for name, expected in self._hashes.items():
            if sha256_of(self._folder / name) != expected:
                raise ValueError(
                    f"{self._folder / name}: its bytes differ from the checksum in {INDEX_NAME}: copy the corpus anew"
                )

    def close(self) -> None:
        """Close the files that were opened; a later read opens them again."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])

    def _descriptor(self, shard: str) -> int:
        descriptor = self._descriptors.get(shard)
        if descriptor is None:
            descriptor = os.open(self._folder / shard, os.O_RDONLY)
            kept = self._descriptors.setdefault(shard, descriptor)
            if kept != descriptor:
                os.close(descriptor)
                descriptor = kept
        return descriptor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptors": {}}

    def __del__(self) -> None:
        if hasattr(self, "_descriptors"):
            self.close()


def _read_index(folder: Path, asked: Path) -> dict[str, Any]:
    path = folder / INDEX_NAME
    if not path.is_file():
        raise ValueError(
            f"{asked}: no shards/{INDEX_NAME} here, no corpus: make one with `ophclip ingest SOURCE --out {asked}`"
        )
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not readable as JSON ({error}): run `ophclip ingest` again") from error
    if index.get("version") != INDEX_VERSION:
        raise ValueError(
            f"{path}: version {index.get('version')} found, {INDEX_VERSION} expected: run `ophclip ingest` again"
        )
    return index
