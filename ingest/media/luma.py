"""Brightness of decoded pictures, read in place where their format allows: cheap enough for every picture."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.media.geometry import Geometry

GLANCE_SIDE_PX = 64
"""Side of a glance: the whole picture, whatever its shape, as a square."""
_POINTS_A_SIDE = 4
"""A pixel of a glance is the mean of so many points a side: a tenth of the cost of averaging all."""

_PLAIN_FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12")
"""Formats that almost all videos have, known without asking for their components."""


def luma_grid(frame: Any, rows: int, columns: int) -> NDArray[np.uint8]:
    """Brightness of a decoded picture at points spread over it, uint8 [rows, columns]."""
    step = frame.height // rows, frame.width // columns
    plane = _luma_plane(frame) if min(step) else None
    if plane is None:
        small: NDArray[np.uint8] = frame.reformat(width=columns, height=rows, format="gray").to_ndarray()
        return small
    levels, bits = plane
    points = levels[step[0] // 2 : step[0] * rows : step[0], step[1] // 2 : step[1] * columns : step[1]]
    return _as_bytes(points, bits).copy()


def glance(frame: Any, geometry: Geometry) -> NDArray[np.uint8]:
    """A decoded picture as it is shown, small, square and grey: uint8 [GLANCE_SIDE_PX, GLANCE_SIDE_PX]."""
    side, points = GLANCE_SIDE_PX, GLANCE_SIDE_PX * _POINTS_A_SIDE
    plane = _luma_plane(frame)
    if plane is None:
        small = frame.reformat(width=side, height=side, format="gray").to_ndarray()
    else:
        levels, bits = plane
        dense = cv2.resize(levels, (points, points), interpolation=cv2.INTER_NEAREST)
        levels = np.asarray(cv2.resize(dense, (side, side), interpolation=cv2.INTER_AREA))
        small = _as_bytes(levels, bits)
    return geometry.turned(small[:, :, None])[:, :, 0]


def _as_bytes(levels: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    eight: NDArray[np.uint8] = levels if bits == 8 else (levels >> (bits - 8)).astype(np.uint8)
    return eight


def _luma_plane(frame: Any) -> tuple[NDArray[Any], int] | None:
    """The levels [H, W] of a picture and how many bits they have, None if its format keeps them otherwise."""
    layout = frame.format
    bits = 8 if layout.name in _PLAIN_FORMATS else _luma_bits(layout)
    if not bits:
        return None
    plane = frame.planes[0]
    kind: type[np.unsignedinteger[Any]] = np.uint8 if bits == 8 else np.uint16
    levels: NDArray[Any] = np.frombuffer(plane, dtype=kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
    return levels[: frame.height, : frame.width], bits


def _luma_bits(layout: Any) -> int:
    """Bits of brightness in a format whose first plane is brightness alone, 0 for others."""
    if not layout.is_planar or layout.is_rgb or layout.is_big_endian or layout.name.startswith("p0"):
        return 0
    bits = int(layout.components[0].bits)
    return bits if 8 <= bits <= 16 else 0
