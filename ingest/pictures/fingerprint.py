"""What a video looks like in a few bytes: a perceptual hash of each sampled picture, as seen and mirrored.

T pictures, H and W their size. A hash has 64 bits: the signs of the lowest frequencies of the grey picture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE_PX, _BITS_PER_SIDE = 32, 8
_HEADER = struct.Struct("<4sI")
_MAGIC = b"OFP1"
_BYTES_PER_PICTURE = 24


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fingerprint:
    """Hashes of the sampled pictures of one video, each of length T."""

    seconds: NDArray[np.float64]
    hashes: NDArray[np.uint64]
    mirrored: NDArray[np.uint64]
    """Hashes of the same pictures with left and right exchanged."""

    def to_bytes(self) -> bytes:
        """For a cell of a table; `from_bytes` reads it back exactly."""
        columns = (self.seconds.astype("<f8"), self.hashes.astype("<u8"), self.mirrored.astype("<u8"))
        return _HEADER.pack(_MAGIC, len(self.seconds)) + b"".join(column.tobytes() for column in columns)

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """Raises ValueError in one line if `data` is no fingerprint."""
        magic, count = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (b"", 0)
        if magic != _MAGIC or len(data) != _HEADER.size + _BYTES_PER_PICTURE * count:
            raise ValueError(f"fingerprint: {len(data)} bytes that are none were read; expected what to_bytes gave")
        first, second, third = (_HEADER.size + 8 * count * place for place in range(3))
        return cls(
            seconds=np.frombuffer(data, "<f8", count, first).copy(),
            hashes=np.frombuffer(data, "<u8", count, second).copy(),
            mirrored=np.frombuffer(data, "<u8", count, third).copy(),
        )


def phash(pixels_hwc: NDArray[np.uint8]) -> int:
    """The 64-bit hash of a uint8 RGB picture [H, W, 3]."""
    return _hash(_frequencies(pixels_hwc))


def mirrored_phash(pixels_hwc: NDArray[np.uint8]) -> int:
    """The hash of the picture with left and right exchanged, without exchanging them."""
    return _hash(_mirror(_frequencies(pixels_hwc)))


class Marks:
    """Gathers the fingerprint of a video while its pictures pass by."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, int, int]] = []

    def add(self, second: float, pixels_hwc: NDArray[np.uint8]) -> None:
        """Take note of a uint8 RGB picture [H, W, 3]; seconds must increase."""
        lowest = _frequencies(pixels_hwc)
        self._rows.append((second, _hash(lowest), _hash(_mirror(lowest))))

    def finish(self) -> Fingerprint:
        """The fingerprint of what was added."""
        return Fingerprint(
            seconds=np.array([row[0] for row in self._rows], dtype=np.float64),
            hashes=np.array([row[1] for row in self._rows], dtype=np.uint64),
            mirrored=np.array([row[2] for row in self._rows], dtype=np.uint64),
        )


def fingerprint(pictures: Iterable[tuple[float, NDArray[np.uint8]]]) -> Fingerprint:
    """The fingerprint of (second, uint8 RGB picture [H, W, 3]) in order, read once."""
    marks = Marks()
    for second, pixels in pictures:
        marks.add(second, pixels)
    return marks.finish()


def _frequencies(pixels_hwc: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.resize(pixels_hwc, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    lowest: NDArray[np.float32] = np.asarray(cv2.dct(grey), np.float32)[:_BITS_PER_SIDE, 1 : _BITS_PER_SIDE + 1]
    return lowest


def _mirror(lowest: NDArray[np.float32]) -> NDArray[np.float32]:
    # A cosine of odd horizontal frequency changes its sign; columns here are frequencies 1 to 8.
    signs = np.where(np.arange(1, _BITS_PER_SIDE + 1) % 2 == 1, -1.0, 1.0).astype(np.float32)
    turned: NDArray[np.float32] = lowest * signs
    return turned


def _hash(lowest: NDArray[np.float32]) -> int:
    return int.from_bytes(np.packbits((lowest > 0).reshape(-1)).tobytes(), "big")
