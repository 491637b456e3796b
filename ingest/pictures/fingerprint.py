"""What a video looks like in a few hundred bytes a picture, so that copies of it are found.

T pictures, H and W their size, F frequencies a side, D the length of a vector. Kept are the lowest frequencies of the
grey picture. The perceptual hash of the picture (64 signs of them) follows, and that of any window of it too: cropping
is linear. Between the pictures stand G glances, of which only the hash is kept, so that in a video that moves fast
there is one close to every picture of a copy, wherever the copy begins.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig

FREQUENCIES = 16
"""F: a window of half the side still has the eight that a hash needs."""
MAGIC = b"OFP3"
"""Changes with the format, with how pictures are reduced and with how they are compared."""
LITE = "efficientnet_lite0"
"""The model whose weights install as a package."""

_SIDE_PX, _BITS_PER_SIDE, _POINTS = 64, 8, 256
_HEADER = struct.Struct("<4sIII")
_BATCH = 32
# A cosine of odd horizontal frequency changes its sign in the mirror; columns are frequencies 1 to 8.
_MIRROR = np.uint64(int.from_bytes(bytes([0b10101010] * _BITS_PER_SIDE), "little"))

Margins = tuple[float, float]
"""What is cut off at the low and at the high end of an axis, as shares of it."""


class Embedder(Protocol):
    """Makes vectors of pictures whose inner products say how alike they look."""

    def embed(self, pixels_thwc: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Vectors of length one, [T, D], of uint8 RGB pictures [H, W, 3]."""


def build_embedder(config: DuplicatesConfig) -> Embedder | None:
    """The model that `config` names, None if it names none.

    Raises ValueError in one line if it cannot be loaded.
    """
    if not config.model:
        return None
    if config.model == LITE:
        from ingest.pictures.lite_model import LiteEmbedder

        return LiteEmbedder(config.weights)
    from ingest.pictures.open_clip_model import OpenClipEmbedder

    return OpenClipEmbedder(config.model, config.weights)


def marking(config: DuplicatesConfig) -> str:
    """What a fingerprint depends on besides the video."""
    return " ".join(filter(None, [MAGIC.decode(), config.model, config.weights]))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fingerprint:
    """The sampled pictures of one video."""

    seconds: NDArray[np.float64]
    """[T], increasing."""
    spectra: NDArray[np.float16]
    """[T, F, F]: vertical and horizontal frequencies of the grey pictures."""
    vectors: NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 0), np.float16))
    """[T, D], or [0, 0] where no model was given."""
    glance_seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """[G], increasing."""
    glance_hashes: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    """[G]: the hash of each glance."""

    def __len__(self) -> int:
        """T."""
        return len(self.seconds)

    def hashes(self) -> NDArray[np.uint64]:
        """[T]: the hash of each picture."""
        whole = [(0.0, 0.0)]
        return window_hashes(self.spectra, whole, whole)[:, 0, 0]

    def densely(self) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
        """Seconds and hashes of the glances; of the pictures, if nothing was glanced at."""
        if len(self.glance_seconds):
            return self.glance_seconds, self.glance_hashes
        return self.seconds, self.hashes()

    def to_bytes(self) -> bytes:
        """For a cell of a table; `from_bytes` reads it back exactly."""
        arrays = (self.seconds, self.spectra, self.vectors, self.glance_seconds, self.glance_hashes)
        header = _HEADER.pack(MAGIC, len(self), self.vectors.shape[1], len(self.glance_seconds))
        return header + b"".join(array.tobytes() for array in arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """Raises ValueError in one line if `data` is no fingerprint."""
        magic, count, width, glances = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else (b"", 0, 0, 0)
        shapes = ((count,), (count, FREQUENCIES, FREQUENCIES), (count if width else 0, width), (glances,), (glances,))
        kinds = [np.dtype(kind) for kind in ("<f8", "<f2", "<f2", "<f8", "<u8")]
        sizes = [kind.itemsize * math.prod(shape) for kind, shape in zip(kinds, shapes, strict=True)]
        if magic != MAGIC or len(data) != _HEADER.size + sum(sizes):
            raise ValueError(f"fingerprint: {len(data)} bytes that are none were read; expected what to_bytes gave")
        places = np.cumsum([_HEADER.size, *sizes]).tolist()
        seconds, spectra, vectors, glance_seconds, glance_hashes = (
            np.frombuffer(data, kind, math.prod(shape), place).reshape(shape).copy()
            for kind, shape, place in zip(kinds, shapes, places, strict=False)
        )
        return cls(
            seconds=seconds,
            spectra=spectra,
            vectors=vectors,
            glance_seconds=glance_seconds,
            glance_hashes=glance_hashes,
        )


class Marks:
    """Gathers the fingerprint of a video while its pictures and glances pass by, in any order of the two."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self._embedder = embedder
        self._seconds: list[float] = []
        self._left_out: list[float] = []
        self._spectra: list[NDArray[np.float16]] = []
        self._waiting: list[NDArray[np.uint8]] = []
        self._vectors: list[NDArray[np.float16]] = []
        self._glances: list[tuple[float, int]] = []

    def add(self, second: float, pixels_hwc: NDArray[np.uint8]) -> None:
        """Take note of a uint8 RGB picture [H, W, 3]; seconds must increase."""
        self._seconds.append(second)
        self._spectra.append(spectrum(pixels_hwc))
        if self._embedder is not None:
            self._waiting.append(pixels_hwc.copy())
            if len(self._waiting) == _BATCH:
                self._embed(self._embedder)

    def leave_out(self, second: float) -> None:
        """A picture that is not to count, nor are the glances from it to the next one."""
        self._left_out.append(second)

    def glance(self, second: float, grey_ss: NDArray[np.uint8]) -> None:
        """Take note of a whole picture as `ingest.media` glances at it; seconds must increase."""
        seen = _frequencies(grey_ss)[:_BITS_PER_SIDE, 1 : _BITS_PER_SIDE + 1]
        self._glances.append((second, int(_hashes(seen))))

    def _embed(self, embedder: Embedder) -> None:
        self._vectors.append(embedder.embed(self._waiting).astype(np.float16))
        self._waiting.clear()

    def finish(self) -> Fingerprint:
        """The fingerprint of what was added."""
        if self._embedder is not None and self._waiting:
            self._embed(self._embedder)
        empty = np.zeros((0, FREQUENCIES, FREQUENCIES), np.float16)
        glance_seconds = np.array([second for second, _ in self._glances], np.float64)
        counts = self._counts(glance_seconds)
        return Fingerprint(
            seconds=np.array(self._seconds, dtype=np.float64),
            spectra=np.stack(self._spectra) if self._spectra else empty,
            vectors=np.concatenate(self._vectors) if self._vectors else np.zeros((0, 0), np.float16),
            glance_seconds=glance_seconds[counts],
            glance_hashes=np.array([hashed for _, hashed in self._glances], np.uint64)[counts],
        )

    def _counts(self, glance_seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the last picture up to each glance was added."""
        pictures = np.array([*self._seconds, *self._left_out])
        order = np.argsort(pictures)
        before = np.searchsorted(pictures[order], glance_seconds, side="right") - 1
        return (before >= 0) & (order[before] < len(self._seconds)) if len(pictures) else before >= 0


def fingerprint(pictures: Iterable[tuple[float, NDArray[np.uint8]]], embedder: Embedder | None = None) -> Fingerprint:
    """The fingerprint of (second, uint8 RGB picture [H, W, 3]) in order, read once."""
    marks = Marks(embedder)
    for second, pixels in pictures:
        marks.add(second, pixels)
    return marks.finish()


def spectrum(pixels_hwc: NDArray[np.uint8]) -> NDArray[np.float16]:
    """The lowest frequencies [F, F] of a uint8 RGB picture [H, W, 3], whatever its shape."""
    reduced = cv2.resize(pixels_hwc, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return _frequencies(np.asarray(cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY), np.uint8))


def _frequencies(grey_ss: NDArray[np.uint8]) -> NDArray[np.float16]:
    """[F, F] of a small grey picture [S, S]; zero where nothing changes along an axis, not noise of rounding."""
    return np.asarray(cv2.dct(grey_ss.astype(np.float32))[:FREQUENCIES, :FREQUENCIES], np.float16)


def window_hashes(
    spectra: NDArray[np.float16], vertical: Sequence[Margins], horizontal: Sequence[Margins]
) -> NDArray[np.uint64]:
    """[T, V, U]: the hash of what each pair of vertical (V) and horizontal (U) margins leaves of each picture.

    Bits are the signs of the window's frequencies: light, contrast and gamma change few of them.
    """
    return _hashes(window_spectra(spectra, vertical, horizontal))


def window_spectra(
    spectra: NDArray[np.float16], vertical: Sequence[Margins], horizontal: Sequence[Margins]
) -> NDArray[np.float32]:
    """[T, V, U, 8, 8]: vertical frequencies 0 to 7 and horizontal ones 1 to 8 of the same windows."""
    rows = np.stack([_cut(margins, 0) for margins in vertical])
    columns = np.stack([_cut(margins, 1) for margins in horizontal])
    half = np.einsum("vak,tkl->tval", rows, spectra.astype(np.float32), optimize=True)
    return np.asarray(np.einsum("tval,ubl->tvuab", half, columns, optimize=True))


def _hashes(seen: NDArray[np.float32] | NDArray[np.float16]) -> NDArray[np.uint64]:
    """[...]: the signs of [..., 8, 8] frequencies."""
    bits = np.packbits((seen > 0).reshape(*seen.shape[:-2], -1), axis=-1)
    return np.ascontiguousarray(bits).view("<u8")[..., 0].astype(np.uint64, copy=False)


def mirrored(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes of the same pictures with left and right exchanged."""
    return hashes ^ _MIRROR


def _cut(margins: Margins, first: int) -> NDArray[np.float32]:
    """[8, F]: from the frequencies of an axis to those, from the `first` on, of the part between the margins."""
    low, high = margins
    u = (np.arange(_POINTS) + 0.5) / _POINTS
    wanted = np.cos(np.pi * np.arange(first, first + _BITS_PER_SIDE)[:, None] * u)
    given = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * (low + (1.0 - low - high) * u))
    norm = np.where(np.arange(FREQUENCIES) == 0, np.sqrt(0.5), 1.0)
    cut = wanted @ (given * norm[:, None]).T * (2.0 / _POINTS)
    return np.where(np.abs(cut) < 1e-9, 0.0, cut).astype(np.float32)
