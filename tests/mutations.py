"""Seeded damage to files: what disks, transfers and strangers do to bytes, and to trees of JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

EXTREMES = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1 << 63, 1e308, float("nan"), "", "x" * 10_000, "\ud800", "../../etc/passwd", "\x00"),
    *([], {}, [[]], {"_target_": "os.system"}),
)

Mutation = Callable[[bytes, np.random.Generator], bytes]


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to 64 single bits."""
    changed = bytearray(data)
    for bit in rng.integers(0, 8 * len(data), rng.integers(1, 65)):
        changed[bit // 8] ^= 1 << int(bit % 8)
    return bytes(changed)


def flip_early(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bits near the front, where formats keep what they say of the rest."""
    front = min(len(data), 512)
    return flip_bits(data[:front], rng) + data[front:]


def truncate(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut off anywhere."""
    return data[: int(rng.integers(0, len(data)))]


def splice(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece of the file in another place, in the way or on top of what stands there."""
    first, place = (int(one) for one in rng.integers(0, len(data), 2))
    piece = data[first : first + int(rng.integers(1, max(len(data) // 4, 2)))]
    return data[:place] + piece + data[place + (len(piece) if rng.integers(2) else 0) :]


def remove(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece less."""
    first = int(rng.integers(0, len(data)))
    return data[:first] + data[first + int(rng.integers(1, max(len(data) // 4, 2))) :]


def zero(data: bytes, rng: np.random.Generator) -> bytes:
    """A block of zeros, as a disk leaves it."""
    first = int(rng.integers(0, len(data)))
    length = min(int(rng.integers(1, max(len(data) // 4, 2))), len(data) - first)
    return data[:first] + bytes(length) + data[first + length :]


def lengths(data: bytes, rng: np.random.Generator) -> bytes:
    """Extreme numbers where lengths, counts and offsets may stand, of 2, 4 or 8 bytes, either end first."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        form = str(rng.choice(["<H", ">H", "<I", ">I", "<Q", ">Q"]))
        size = struct.calcsize(form)
        reach = len(data) if rng.integers(2) else min(len(data), 1024)
        place = int(rng.integers(0, max(reach - size, 1)))
        number = int(rng.choice(EXTREMES)) % (1 << (8 * size))
        changed[place : place + size] = struct.pack(form, number)
    return bytes(changed)


def tar_header(data: bytes, rng: np.random.Generator) -> bytes:
    """One header of a tar says something else, and its checksum is right."""
    heads = [place for place in range(0, len(data) - 511, 512) if data[place + 257 : place + 262] == b"ustar"]
    if not heads:
        return flip_bits(data, rng)
    place = int(rng.choice(heads))
    head = bytearray(data[place : place + 512])
    start, length = [(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155)][int(rng.integers(7))]
    texts = [b"../../x", b"/etc/passwd", b"x.pyd", b"77777777777", b"\x80" + b"\xff" * 11, b"2", b"L", b"S", b"x"]
    head[start : start + length] = texts[int(rng.integers(len(texts)))][:length].ljust(length, b"\0")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return data[:place] + bytes(head) + data[place + 512 :]


def json_value(data: bytes, rng: np.random.Generator) -> bytes:
    """One value of a tree is another one, or its key is gone."""
    tree = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(tree)
    for _ in range(int(rng.integers(1, 3))):
        node, key = places[int(rng.integers(len(places)))]
        if isinstance(node, dict) and key in node and not rng.integers(4):
            del node[key]
        elif isinstance(node, dict) or key < len(node):
            node[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def json_deep(data: bytes, rng: np.random.Generator) -> bytes:
    """Thousands of brackets within each other, in the place of a value."""
    depth = int(rng.integers(500, 200_000))
    return data.replace(b":", b":" + b"[" * depth + b"]" * depth + b",", 1) if rng.integers(2) else b"[" * depth


EVERY: tuple[Mutation, ...] = (flip_bits, flip_early, truncate, splice, remove, zero, lengths)
OF_KIND: dict[str, tuple[Mutation, ...]] = {
    "tar": (*EVERY, tar_header, tar_header),
    "json": (*EVERY, json_value, json_value, json_value, json_deep),
}


def mutate(kind: str, data: bytes, seed: int) -> tuple[str, bytes]:
    """One of the mutations for a kind of file, chosen by the seed: its name and the damaged bytes."""
    rng = np.random.default_rng(seed)
    choices = OF_KIND.get(kind, EVERY)
    chosen = choices[int(rng.integers(len(choices)))]
    return chosen.__name__, chosen(data, rng)
