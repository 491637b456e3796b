"""How much of a picture looks like writing, without reading it: strokes side by side, along a line.

A window that slides over the picture is as high as small print and as wide as a short word. Writing has many edges in
it that rise and as many that fall; the rim of an instrument or of the pupil has one or the other. T pictures, R rows
and C columns of windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.pictures.overlays import TextBox
from ingest.pictures.tracks import Cover

Grid = NDArray[np.uint8]

_EDGE_LEVELS = 25
_ROWS, _COLUMNS = 64, 21
"""Windows in the height of a picture, and in the same length sideways."""
_WINDOW = 1 / 32, 5 / 32
"""Height and width of a window, in heights of the picture."""
_NEW = 38
"""Out of 255: share of edges of each kind from which a window that had fewer is of interest. Default decided here: of
drawn names of 3 to 7 % of the height nine in ten exceed it; of clean videos, few pictures after the first five."""


def strokes(pixels_hwc: NDArray[np.uint8]) -> Grid:
    """Share of each window that is edge, of the scarcer kind, [R, C], 255 for all, of a uint8 RGB picture [H, W, 3]."""
    height = pixels_hwc.shape[0]
    grey = cv2.cvtColor(pixels_hwc, cv2.COLOR_RGB2GRAY).astype(np.int16)
    slope = np.zeros_like(grey)
    slope[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    window = max(1, round(height * _WINDOW[1])), max(1, round(height * _WINDOW[0]))
    rising = cv2.blur((slope > _EDGE_LEVELS).astype(np.uint8) * 255, window)
    falling = cv2.blur((slope < -_EDGE_LEVELS).astype(np.uint8) * 255, window)
    down, right = _steps(height)
    return np.minimum(rising, falling)[down // 2 :: down, right // 2 :: right]


def strangest(
    grids: NDArray[np.uint8], height: int, read: Iterable[int], static: Sequence[TextBox], covers: Sequence[Cover]
) -> int | None:
    """Place of the unread picture with the most strokes where none are known, if any has enough to be of interest.

    grids [T, R, C]; known are those of read pictures, and whatever lies under a cover. Height in pixels of a picture.
    """
    bare = grids.copy()
    for box in static:
        bare[(slice(None), *_under(box, height))] = 0
    for cover in covers:
        bare[(slice(cover.first, cover.last + 1), *_under(cover.box, height))] = 0
    known = sorted(read)
    excess = bare.astype(np.int16) - bare[known].max(axis=0)
    excess[known] = 0
    most = excess.reshape(len(grids), -1).max(axis=1)
    place = int(most.argmax())
    return place if most[place] >= _NEW else None


def _steps(height: int) -> tuple[int, int]:
    return max(1, height // _ROWS), max(1, height // _COLUMNS)


def _under(box: TextBox, height: int) -> tuple[slice, slice]:
    """Windows that touch a box."""
    (down, right), (high, wide) = _steps(height), (height * _WINDOW[0] / 2, height * _WINDOW[1] / 2)
    rows = slice(max(0, int((box.y - high) / down)), int((box.y + box.height + high) / down) + 1)
    columns = slice(max(0, int((box.x - wide) / right)), int((box.x + box.width + wide) / right) + 1)
    return rows, columns
