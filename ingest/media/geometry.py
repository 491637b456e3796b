"""How a decoded picture is shown: its pixels may be oblong, and a display matrix may turn or mirror it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

_ODDEST_ASPECT = 4
"""A pixel further from square than this, either way, is a fault of the file and taken as square."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """From stored to shown: pixels made square, axes swapped, then columns and rows reversed."""

    pixel_aspect: Fraction = Fraction(1)
    swapped: bool = False
    columns_reversed: bool = False
    rows_reversed: bool = False

    def shown_size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height as shown of a picture that is stored at this size."""
        square = max(1, round(width_px * self.pixel_aspect)), height_px
        return square[::-1] if self.swapped else square

    def turned(self, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture of square pixels as it is shown."""
        shown = pixels_hwc.transpose(1, 0, 2) if self.swapped else pixels_hwc
        rows, columns = (-1 if self.rows_reversed else 1), (-1 if self.columns_reversed else 1)
        return np.ascontiguousarray(shown[::rows, ::columns])


def pixel_aspect(stream: Any) -> Fraction:
    """Width of a pixel over its height; 1 where the file does not say or what it says is absurd."""
    told = stream.sample_aspect_ratio
    sane = told is not None and told > 0 and Fraction(1, _ODDEST_ASPECT) <= told <= _ODDEST_ASPECT
    return Fraction(told) if sane else Fraction(1)


def geometry_of(frame: Any, aspect: Fraction) -> Geometry:
    """How a decoded picture is shown, a turn by an odd angle as the nearest by quarters."""
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return Geometry(aspect)
    a, b, _, c, d, *_ = np.frombuffer(matrix, dtype=np.int32)[:9].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Geometry(aspect, swapped=False, columns_reversed=a < 0, rows_reversed=d < 0)
    return Geometry(aspect, swapped=True, columns_reversed=c < 0, rows_reversed=b < 0)


def scaled_size(width_px: int, height_px: int, short_side_px: int | None) -> tuple[int, int]:
    """Width and height with the short side brought down to `short_side_px`; pictures are never enlarged."""
    short = min(width_px, height_px)
    if short_side_px is None or short <= short_side_px:
        return width_px, height_px
    return round(width_px * short_side_px / short), round(height_px * short_side_px / short)


def to_pixels(frame: Any, short_side_px: int | None, aspect: Fraction) -> NDArray[np.uint8]:
    """A decoded picture as it is shown: uint8 RGB [H, W, 3], square pixels, upright, brought down to size."""
    geometry = geometry_of(frame, aspect)
    width, height = scaled_size(*geometry.shown_size(frame.width, frame.height), short_side_px)
    stored = (height, width) if geometry.swapped else (width, height)
    pixels: NDArray[np.uint8] = frame.reformat(width=stored[0], height=stored[1], format="rgb24").to_ndarray()
    return pixels if geometry == Geometry(aspect) else geometry.turned(pixels)
