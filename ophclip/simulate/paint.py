"""Lines and veils on a painted part of the eye, in limbus radii."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ophclip.simulate.eye import Grid, Pixels
from ophclip.simulate.look import Colour

Point = tuple[float, float]
Path = NDArray[np.float64]
"""Points, one per row."""
SHIFT = 4
"""Fractional bits of OpenCV's drawing coordinates."""


def at(radius: float, angle: float) -> Point:
    return float(radius * np.cos(angle)), float(radius * np.sin(angle))


def arc(radius: float, start: float, end: float, centre: Point = (0.0, 0.0)) -> Path:
    turns = np.linspace(start, end, max(3, int(abs(end - start) * 9)))
    return np.stack([centre[0] + radius * np.cos(turns), centre[1] + radius * np.sin(turns)], axis=1)


def ellipse(centre: Point, long: float, short: float, angle: float, count: int = 36) -> Path:
    circle = _circle(count)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(circle @ np.array([[long * c, long * s], [-short * s, short * c]]) + np.asarray(centre))


@lru_cache(maxsize=16)
def _circle(count: int) -> Path:
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def _fixed(place: Grid, points: Sequence[Point] | Path) -> NDArray[np.int32]:
    pixels = (np.asarray(points, np.float64) - place.origin) * (place.scale * (1 << SHIFT))
    return np.round(pixels).astype(np.int32)


def line(
    picture: Pixels, place: Grid, points: Sequence[Point] | Path, colour: Colour, width: float, *, closed: bool = False
) -> None:
    """A line of `width` limbus radii, at least one pixel."""
    thickness = max(1, round(width * place.scale))
    cv2.polylines(picture, [_fixed(place, points)], closed, colour, thickness, cv2.LINE_AA, SHIFT)


def fill(picture: Pixels, place: Grid, points: Sequence[Point] | Path, colour: Colour) -> None:
    cv2.fillPoly(picture, [_fixed(place, points)], colour, cv2.LINE_AA, SHIFT)


def veil(
    picture: Pixels,
    place: Grid,
    points: Sequence[Point] | Path,
    colour: Colour,
    opacity: float,
    *,
    soft: float = 0.0,
) -> None:
    """A see-through patch, its edge softened over `soft` limbus radii."""
    if opacity <= 0.01:
        return
    corners = _fixed(place, points)
    margin = int(3 * soft * place.scale) + 2
    height, width = picture.shape[:2]
    x0, y0 = np.clip((corners.min(axis=0) >> SHIFT) - margin, 0, (width, height))
    x1, y1 = np.clip((corners.max(axis=0) >> SHIFT) + margin + 1, 0, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [corners - np.array([x0, y0], np.int32) * (1 << SHIFT)], (255,), cv2.LINE_AA, SHIFT)
    if soft > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.5, soft * place.scale)), np.uint8)
    region = picture[y0:y1, x0:x1]
    share = (mask * np.float32(opacity / 255))[..., None]
    region[:] = (region + (np.asarray(colour, np.float32) - region) * share).astype(np.uint8)


def bubble(picture: Pixels, place: Grid, centre: Point, size: float) -> None:
    """An air bubble: a dark rim and a window of light."""
    line(picture, place, ellipse(centre, size, size, 0.0, 14), (84, 60, 52), 0.012, closed=True)
    line(picture, place, arc(size * 0.72, 3.5, 5.2, centre), (255, 252, 240), 0.014)
    line(picture, place, arc(size * 0.7, 0.6, 1.6, centre), (232, 220, 206), 0.01)
