"""The textures of one eye, made once per video: sclera with vessels, limbus, iris, lids, drape and speculum.

Arrays: h, w picture axes; c RGB. Floats are 0..255 for colours and 0..1 for masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ophclip.simulate.look import Colour, EyeLook, SiteLook

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

HALF_WIDTH, HALF_HEIGHT = 3.1, 2.75
"""Half extent of the painted eyeball, in limbus radii; beyond it the lids cover everything."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A painted square of the eye: pixel scale, and each pixel's place in limbus radii."""

    scale: float
    x_hw: Floats
    y_hw: Floats
    radius_hw: Floats
    angle_hw: Floats

    @property
    def origin(self) -> tuple[float, float]:
        """The place of pixel (0, 0)."""
        return float(self.x_hw[0, 0]), float(self.y_hw[0, 0])

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        return (x - float(self.x_hw[0, 0])) * self.scale, (y - float(self.y_hw[0, 0])) * self.scale


def grid(half_width: float, half_height: float, scale: float) -> Grid:
    columns = np.arange(-round(half_width * scale), round(half_width * scale) + 1, dtype=np.float32) / scale
    rows = np.arange(-round(half_height * scale), round(half_height * scale) + 1, dtype=np.float32) / scale
    x_hw, y_hw = np.meshgrid(columns, rows)
    return Grid(scale, x_hw, y_hw, np.hypot(x_hw, y_hw), np.arctan2(y_hw, x_hw))


def noise(rng: np.random.Generator, height: int, width: int, cell: float) -> Floats:
    """Smooth noise of unit size, about -1..1, with features of `cell` pixels."""
    rows, columns = max(2, round(height / cell) + 1), max(2, round(width / cell) + 1)
    coarse = rng.standard_normal((rows, columns)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def step(edge0: float, edge1: float, values: Floats) -> Floats:
    """Smooth rise from 0 at `edge0` to 1 at `edge1` (or fall, if they are swapped)."""
    share = np.clip((values - edge0) / (edge1 - edge0), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def mix(base_hwc: Floats, colour: Colour | Floats, mask_hw: Floats) -> Floats:
    """`base` with `colour` laid over it where the mask says so."""
    over = np.asarray(colour, np.float32)
    return np.asarray(base_hwc + (over - base_hwc) * mask_hw[..., None], np.float32)


def fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Pixels as OpenCV's numbers with three fractional bits."""
    return np.round(points * 8).astype(np.int32)


def polar_noise(rng: np.random.Generator, place: Grid, spokes: int, rings: int) -> Floats:
    """Noise that runs along the radius, as the fibres of an iris or the wisps of cortex do."""
    table = rng.standard_normal((rings, spokes)).astype(np.float32)
    table = np.concatenate([table, table[:, :2]], axis=1)
    column = ((place.angle_hw / (2 * np.pi) + 0.5) * spokes).astype(np.float32)
    row = np.clip(place.radius_hw * (rings - 1), 0, rings - 1).astype(np.float32)
    return np.asarray(cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def eyeball(rng: np.random.Generator, look: EyeLook, scale: float) -> tuple[Pixels, Grid]:
    """The eye without lens and pupil: what instruments and tissue are painted onto."""
    place = grid(HALF_WIDTH, HALF_HEIGHT, scale)
    height, width = place.x_hw.shape
    sclera = np.empty((height, width, 3), np.float32)
    sclera[:] = (232, 222, 208)
    blotch = noise(rng, height, width, scale * 0.5)
    sclera += blotch[..., None] * np.array([2, 4, 5], np.float32)
    sclera = mix(sclera, (214, 132, 116), (0.12 + 0.3 * look.redness) * step(1.2, 2.3, place.radius_hw))
    vessels = _vessels(rng, look, place)
    sclera = mix(sclera, (176, 40, 34), np.minimum(0.5, vessels * (0.3 + 0.35 * look.redness)))
    sclera *= (1.0 - 0.42 * step(1.25, 2.6, place.radius_hw))[..., None]
    eye = mix(sclera, (150, 156, 152), 0.75 * step(1.16, 0.98, place.radius_hw))
    eye = mix(eye, _iris(rng, look, place), step(1.0, 0.93, place.radius_hw))
    return np.clip(eye, 0, 255).astype(np.uint8), place


def _vessels(rng: np.random.Generator, look: EyeLook, place: Grid) -> Floats:
    """Branching vessels that run from the fornix toward the limbus, drawn at twice the size and shrunk."""
    height, width = place.x_hw.shape
    canvas = np.zeros((2 * height, 2 * width), np.uint8)
    trunks = int(11 + 13 * look.redness)
    pending = [(float(angle), 2.6, 1.0, 2.4) for angle in rng.uniform(0, 2 * np.pi, trunks)]
    while pending:
        angle, radius, strength, thickness = pending.pop()
        heading, points = rng.normal(0, 0.05), []
        while radius > 1.08 and strength > 0.1:
            points.append((angle, radius))
            heading = 0.8 * heading + rng.normal(0, 0.022)
            angle, radius = angle + heading, radius - 0.05
            if rng.random() < 0.07 and thickness > 1.2:
                pending.append((angle + rng.normal(0, 0.05), radius, strength * 0.8, thickness * 0.6))
            if rng.random() < 0.03:
                break
        path = np.array([place.pixel(r * np.cos(a), r * np.sin(a)) for a, r in points]) * 2
        if len(path) > 1:
            shade = int(255 * strength * rng.uniform(0.5, 1.0))
            cv2.polylines(canvas, [fixed_point(path)], False, shade, max(1, round(thickness)), cv2.LINE_AA, 3)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.8)
    shrunk = cv2.resize(soft, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk / 255, np.float32)


def _iris(rng: np.random.Generator, look: EyeLook, place: Grid) -> Floats:
    """Radial fibres, a paler collarette, a dark outer ring."""
    fibres = polar_noise(rng, place, 220, 4) * 0.6 + polar_noise(rng, place, 60, 3) * 0.6
    tone = 1.0 + 0.17 * fibres + 0.22 * np.exp(-(((place.radius_hw - look.pupil_radius - 0.12) / 0.07) ** 2))
    tone *= 1.0 - 0.45 * step(0.82, 0.97, place.radius_hw)
    tone *= 1.0 - 0.35 * step(look.pupil_radius + 0.06, look.pupil_radius, place.radius_hw)
    iris = np.asarray(look.iris, np.float32) * tone[..., None].astype(np.float32)
    return mix(iris, (150, 150, 140), 0.22 * step(0.8, 0.95, place.radius_hw))


def lids(rng: np.random.Generator, look: EyeLook, site: SiteLook, place: Grid) -> tuple[Pixels, Floats]:
    """Lids under drape film with the speculum's wires: colours, and how much of the eye they cover (0..1)."""
    height, width = place.x_hw.shape
    top, bottom = -1.34 + 0.35 * look.centre[1], 1.36 - 0.85 * look.centre[1]
    bow = np.asarray(1 - np.clip(np.abs(place.x_hw) / 2.45, 0, 1.3) ** 2.2, np.float32)
    edge: Floats = 0.05 * noise(rng, height, width, place.scale * 0.45)
    above, below = top * bow - place.y_hw + edge, place.y_hw - bottom * bow + edge
    outside = np.maximum(above, below).astype(np.float32)
    cover = step(-0.02, 0.05, outside)
    folds = noise(rng, height, width, place.scale * 0.8) + 0.5 * noise(rng, height, width, place.scale * 0.25)
    skin = np.asarray(np.array((188, 122, 92)) * (1 + 0.1 * folds[..., None]), np.float32)
    film = np.asarray(np.array(site.drape) * (1 + 0.25 * folds[..., None]), np.float32)
    picture = mix(skin, film, step(0.22, 0.5, outside + 0.1 * folds))
    picture = mix(picture, (226, 168, 148), 0.75 * step(0.11, 0.03, outside) * cover)
    picture = mix(picture, (250, 240, 220), 0.3 * step(1.1, 1.8, folds) * cover)
    picture = (picture * (1 - 0.5 * step(0.1, 1.0, outside))[..., None]).astype(np.float32)
    shadow = (0.35 * step(-0.16, 0.02, outside)).astype(np.float32)
    alpha = np.maximum(cover, shadow * (1 - cover))
    picture = mix(np.full_like(picture, 40.0), picture, np.clip(cover / np.maximum(alpha, 1e-3), 0, 1))
    painted = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    veil = (alpha * 255).astype(np.uint8)
    _lashes(rng, painted, place, (top, bottom))
    _speculum(painted, veil, place, (top, bottom), site.metal)
    return painted, veil.astype(np.float32) / 255


def _lashes(rng: np.random.Generator, painted: Pixels, place: Grid, margins: tuple[float, float]) -> None:
    for margin, sign in zip(margins, (-1.0, 1.0), strict=True):
        for x in rng.uniform(-1.9, 1.9, 16):
            y = margin * (1 - (abs(x) / 2.45) ** 2.2) + sign * 0.05
            tip = (x * 1.04 + rng.normal(0, 0.07), y + sign * rng.uniform(0.12, 0.3))
            line = [fixed_point(np.array([place.pixel(x, y), place.pixel(*tip)]))]
            cv2.polylines(painted, line, False, (34, 22, 18), 1, cv2.LINE_AA, 3)


def _speculum(painted: Pixels, veil: Pixels, place: Grid, margins: tuple[float, float], metal: Colour) -> None:
    """Four wire arms that come in from the edge, bend over the lid margin and end in the fornix."""
    for margin, sign in zip(margins, (-1.0, 1.0), strict=True):
        for x in (-0.78, 0.86):
            y = margin * (1 - (abs(x) / 2.45) ** 2.2)
            arm = [(x * 1.3, sign * 3.0), (x * 1.12, y + sign * 0.55), (x * 1.02, y + sign * 0.2), (x, y - sign * 0.12)]
            path = fixed_point(np.array([place.pixel(*point) for point in _round(arm)]))
            for share, tone in ((0.085, 0.3), (0.055, 0.75), (0.02, 1.35)):
                colour = tuple(int(min(255, value * tone)) for value in metal)
                thickness = max(1, round(share * place.scale))
                cv2.polylines(painted, [path], False, colour, thickness, cv2.LINE_AA, 3)
            cv2.polylines(veil, [path], False, 255, max(1, round(0.085 * place.scale)), cv2.LINE_AA, 3)


def _round(corners: list[tuple[float, float]]) -> NDArray[np.float64]:
    """The corners as a rounded path (two passes of corner cutting)."""
    path = np.array(corners)
    for _ in range(3):
        near, far = path[:-1] * 0.75 + path[1:] * 0.25, path[:-1] * 0.25 + path[1:] * 0.75
        inner = np.stack([near, far], axis=1).reshape(-1, 2)
        path = np.concatenate([path[:1], inner, path[-1:]])
    return path
