"""How a decoded picture is shown: its pixels may be oblong, a display matrix may turn or mirror it, its rows may be of
two moments, and its colours are coded in one of several ways."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

_ODDEST_ASPECT = 4
"""A pixel further from square than this, either way, is a fault of the file and taken as square."""

_HD_WIDTH, _SD_HEIGHT = 1280, 576
_UNTOLD_COLOURS = 2
"""AVCOL_SPC_UNSPECIFIED."""


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


class Canvas:
    """Brings the pictures of one video to RGB of one size: that of the first one as it is shown, brought down.

    What is shown in another size (a recorder was switched over) is fitted into it, on black.
    """

    def __init__(self, aspect: Fraction, short_side_px: int | None) -> None:
        """`aspect` is that of a stored pixel."""
        self._aspect = aspect
        self._short_side_px = short_side_px
        self._shown: tuple[int, int] | None = None
        self._reformatter = VideoReformatter()  # one for all: setting one up costs more than a picture

    def pixels(self, frame: Any) -> NDArray[np.uint8]:
        """A decoded picture as it is shown: uint8 RGB [H, W, 3], square pixels, upright."""
        geometry = geometry_of(frame, self._aspect)
        shown = geometry.shown_size(frame.width, frame.height)
        self._shown = self._shown or shown
        size = scaled_size(*self._shown, self._short_side_px)
        if shown == self._shown:
            return self._drawn(frame, geometry, size)
        scale = min(size[0] / shown[0], size[1] / shown[1])
        width, height = (max(1, int(side * scale)) for side in shown)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
        pixels[top : top + height, left : left + width] = self._drawn(frame, geometry, (width, height))
        return pixels

    def _drawn(self, frame: Any, geometry: Geometry, size: tuple[int, int]) -> NDArray[np.uint8]:
        """A decoded picture upright and at this width and height."""
        stored = size[::-1] if geometry.swapped else size
        if frame.interlaced_frame:
            # Rows of one moment only: both fields together show what moves as a comb.
            field = self._rgb(frame, frame.width, frame.height)[::2]
            pixels = np.asarray(cv2.resize(field, stored, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        else:
            pixels = self._rgb(frame, *stored)
        return pixels if geometry == Geometry(geometry.pixel_aspect) else geometry.turned(pixels)

    def _rgb(self, frame: Any, width_px: int, height_px: int) -> NDArray[np.uint8]:
        matrix = Colorspace.ITU709 if is_untold_709(frame) else None
        drawn = self._reformatter.reformat(frame, width_px, height_px, "rgb24", src_colorspace=matrix)
        return np.asarray(drawn.to_ndarray(), dtype=np.uint8)


def is_untold_709(frame: Any) -> bool:
    """Whether a picture says nothing of its colours and is so large that players take them for BT.709, not BT.601."""
    large: bool = frame.width >= _HD_WIDTH or frame.height > _SD_HEIGHT
    return large and frame.colorspace == _UNTOLD_COLOURS
