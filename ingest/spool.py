"""Sampled pictures of one video, waiting to be drawn into samples."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ingest.shards import decode_jpeg, encode_jpeg


class Spool:
    """Pictures as JPEGs in a file without a name, so that a long video is never held in memory."""

    def __init__(self, folder: Path, quality: int) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 closed by __exit__
        self._quality = quality
        self._places: list[tuple[int, int]] = []
        self.seconds: list[float] = []

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def add(self, second: float, pixels_hwc: NDArray[np.uint8]) -> None:
        """Append the picture of a second; seconds must increase."""
        data = encode_jpeg(pixels_hwc, self._quality)
        self._places.append((self._file.seek(0, 2), len(data)))
        self._file.write(data)
        self.seconds.append(second)

    def jpegs(self, places: Iterable[int]) -> list[bytes]:
        """The pictures at these places, as they were encoded."""
        return [self._read(*self._places[place]) for place in places]

    def pixels(self, place: int) -> NDArray[np.uint8]:
        """One picture, uint8 RGB [H, W, 3], as a reader of the shards will see it."""
        return decode_jpeg(self._read(*self._places[place]))

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> bytes:
        """A picture at the quality of this spool."""
        return encode_jpeg(pixels_hwc, self._quality)

    def _read(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)
