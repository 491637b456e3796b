"""Instruments in the picture: placed, shaded as metal, plastic or blade, with the shadow they throw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from ophclip.simulate.config import Site
from ophclip.simulate.eye import Pixels
from ophclip.simulate.language import Instrument
from ophclip.simulate.look import LOOKS, Colour
from ophclip.simulate.shapes import SHAPES, Finish, Strip

SHIFT = 4
"""Fractional bits of OpenCV's drawing coordinates."""

STEPS = 64
WORKING_END = 0.35
"""An instrument counts as seen when something of this much of its tip is in the picture."""

BANDS = {
    Finish.STEEL: ((0.0, 1.0, 0.34), (-0.04, 0.8, 0.8), (-0.3, 0.4, 1.12), (-0.38, 0.14, 1.6), (0.62, 0.12, 0.95)),
    Finish.FLAT: ((0.0, 1.0, 0.72), (-0.06, 0.84, 1.0)),
    Finish.FACET: ((0.0, 1.0, 0.5), (-0.02, 0.9, 1.0), (0.48, 0.42, 0.62), (-0.55, 0.2, 1.2)),
    Finish.CLEAR: ((0.0, 1.0, 0.62), (0.0, 0.86, 1.0), (-0.5, 0.16, 1.5)),
}
"""Per finish: shift of a band across the strip, its width, and its brightness."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Where an instrument is: tip in limbus radii from the eye's middle, direction from the tip to the hand."""

    instrument: Instrument
    tip: tuple[float, float]
    angle: float
    opening: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """From the eye's limbus radii to pixels of the picture."""

    centre: tuple[float, float]
    scale: float
    rotation: float

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        c, s = np.cos(self.rotation) * self.scale, np.sin(self.rotation) * self.scale
        x, y = points[..., 0], points[..., 1]
        return np.stack([self.centre[0] + c * x - s * y, self.centre[1] + s * x + c * y], axis=-1)


def place(pose: Pose, local: NDArray[np.float64]) -> NDArray[np.float64]:
    """Local instrument coordinates (along the axis, across it) to limbus radii."""
    c, s = np.cos(pose.angle), np.sin(pose.angle)
    x, y = local[..., 0], local[..., 1]
    return np.stack([pose.tip[0] + c * x - s * y, pose.tip[1] + s * x + c * y], axis=-1)


@dataclass(frozen=True, slots=True)
class Part:
    """One polygon to fill, in local coordinates; `steel` ones catch the lamp, a `clear` group is blended as a whole."""

    corners: NDArray[np.float64]
    colour: Colour
    brightness: float
    steel: bool
    group: int
    clear: bool


def outline(strip: Strip, offset: float, width: float) -> NDArray[np.float64]:
    """The closed polygon of a band of a strip, in local coordinates."""
    rows = strip.points()
    along = np.gradient(rows[:, :2], axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    middle = rows[:, :2] + normal * (offset * rows[:, 2:3])
    reach = normal * (width * rows[:, 2:3])
    return np.concatenate([middle + reach, (middle - reach)[::-1]])


@lru_cache(maxsize=2048)
def parts(instrument: Instrument, site: Site, opening_step: int) -> tuple[Part, ...]:
    """The polygons of an instrument, in drawing order; `opening_step` is the opening in sixty-fourths."""
    made = []
    for group, strip in enumerate(SHAPES[instrument](LOOKS[site], opening_step / STEPS)):
        steel, clear = strip.finish is Finish.STEEL, strip.finish is Finish.CLEAR
        for offset, width, brightness in BANDS[strip.finish]:
            made.append(Part(outline(strip, offset, width), strip.colour, brightness, steel, group, clear))
    return tuple(made)


@lru_cache(maxsize=2048)
def _edges(instrument: Instrument, site: Site, opening_step: int) -> NDArray[np.float64]:
    """Points along all outlines, dense enough that long edges that cross the picture count."""
    shapes = SHAPES[instrument](LOOKS[site], opening_step / STEPS)
    return np.concatenate([_densify(outline(strip, 0.0, 1.0)) for strip in shapes])


def draw(picture: Pixels, pose: Pose, view: View, site: Site) -> None:
    """Paint one instrument onto `picture` (h, w, RGB), in place."""
    polygons = parts(pose.instrument, site, round(pose.opening * STEPS))
    fixed = _project(polygons, pose, view)
    lit = 1.0 + 0.22 * float(np.cos(pose.angle * 2 + 0.6))
    for _, members in groupby(zip(polygons, fixed, strict=True), key=lambda pair: pair[0].group):
        pairs = list(members)
        if pairs[0][0].clear:
            _draw_clear(picture, pairs)
            continue
        for part, corners in pairs:
            colour = _tone(part.colour, part.brightness * (lit if part.steel else 1.0))
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA, SHIFT)


def silhouette(mask: Pixels, pose: Pose, view: View, site: Site) -> None:
    """Fill the instrument's outline into a one-channel mask."""
    whole = tuple(part for part in parts(pose.instrument, site, round(pose.opening * STEPS)) if part.brightness < 0.73)
    for corners in _project(whole, pose, view):
        cv2.fillPoly(mask, [corners], (255,), cv2.LINE_AA, SHIFT)


def box(pose: Pose, view: View, site: Site, width: int, height: int) -> tuple[float, float, float, float] | None:
    """The visible part's box (x0, y0, x1, y1) in pixels, None when the working end is out of the picture."""
    local = _edges(pose.instrument, site, round(pose.opening * STEPS))
    seen = view.pixels(place(pose, local))
    inside = (seen[:, 0] >= 0) & (seen[:, 0] < width) & (seen[:, 1] >= 0) & (seen[:, 1] < height)
    if not (inside & (local[:, 0] < WORKING_END)).any():
        return None
    (x0, y0), (x1, y1) = seen[inside].min(axis=0), seen[inside].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def _densify(points: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.linspace(0, 1, 100, endpoint=False)[None, :, None]
    following = np.roll(points, -1, axis=0)
    return np.asarray((points[:, None] * (1 - share) + following[:, None] * share).reshape(-1, 2))


def _project(polygons: tuple[Part, ...], pose: Pose, view: View) -> list[NDArray[np.int32]]:
    """All polygons to OpenCV's fixed-point pixels, in one go."""
    together = np.concatenate([part.corners for part in polygons])
    pixels = np.clip(view.pixels(place(pose, together)), -2000, 4000)
    fixed = np.round(pixels * (1 << SHIFT)).astype(np.int32)
    ends = np.cumsum([len(part.corners) for part in polygons])
    return np.split(fixed, ends[:-1])


def _tone(colour: Colour, brightness: float) -> tuple[int, int, int]:
    red, green, blue = (int(min(255.0, value * brightness)) for value in colour)
    return red, green, blue


def _draw_clear(picture: Pixels, pairs: list[tuple[Part, NDArray[np.int32]]]) -> None:
    """See-through plastic: blended with what lies below."""
    corners = pairs[0][1] >> SHIFT
    height, width = picture.shape[:2]
    x0, y0 = np.clip(corners.min(axis=0) - 1, 0, (width, height))
    x1, y1 = np.clip(corners.max(axis=0) + 3, 0, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    under = picture[y0:y1, x0:x1].copy()
    for part, fixed in pairs:
        cv2.fillPoly(picture, [fixed], _tone(part.colour, part.brightness), cv2.LINE_AA, SHIFT)
    region = picture[y0:y1, x0:x1]
    region[:] = cv2.addWeighted(region, 0.62, under, 0.38, 0.0)
