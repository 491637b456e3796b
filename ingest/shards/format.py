"""A sample as two tar members: `KEY.frames` (its JPEGs, packed) and `KEY.json` (everything else)."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ingest.parsing import parse_json
from ingest.records import Level, Sample

FRAMES_SUFFIX = ".frames"
JSON_SUFFIX = ".json"
_HASH_BLOCK_BYTES = 1 << 20
_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "float": (float, int),
    "Level": (str,),
    "tuple[float, ...]": (list,),
    "tuple[str, ...]": (list,),
}
_FACTS = {field.name: _KINDS[str(field.type)] for field in fields(Sample) if field.name != "jpegs"}
"""Fields of `KEY.json`, and what JSON may hold there."""
_REMEDY = "write the corpus anew with `ophclip ingest`"


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
    facts: Any = parse_json(facts_json)
    if not isinstance(facts, dict):
        raise ValueError(f"its JSON is {type(facts).__name__}, an object was expected: {_REMEDY}")
    for name, kinds in _FACTS.items():
        if name not in facts:
            raise ValueError(f"it lacks the field {name!r}: {_REMEDY}")
        if not isinstance(facts[name], kinds):
            found = json.dumps(facts[name])[:40]
            raise ValueError(f"its field {name!r} is {found}, {kinds[0].__name__} was expected: {_REMEDY}")
    values = {name: facts[name] for name in _FACTS}
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
    """All samples of one plain tar, in its order; regular members only. Raises ValueError if it is damaged."""
    try:
        yield from _read_tar(path)
    except (tarfile.TarError, OverflowError) as error:
        raise ValueError(f"{path}: no readable tar ({error}): {_REMEDY}") from error


def _read_tar(path: Path) -> Iterator[Sample]:
    with tarfile.open(path, "r:") as archive:
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


def member_places(file: BinaryIO) -> dict[str, tuple[int, int]]:
    """Offset and length of every regular member of an open tar, by name. Raises TarError if it is none."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            return {member.name: (member.offset_data, member.size) for member in archive if member.isreg()}
    except OverflowError as error:
        raise tarfile.ReadError(str(error)) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return sha256_of_stream(stream)


def sha256_of_stream(stream: BinaryIO) -> str:
    """SHA-256 of what is left of an open file, in hexadecimal."""
    digest = hashlib.sha256()
    while block := stream.read(_HASH_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
