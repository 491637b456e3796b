"""Where in a picture a query is answered: each cell's share of the score, and the place where it is highest.

Shapes: H x W pixels of the picture, h x w cells of a grid, D width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ingest.shards import encode_jpeg
from ophclip.data.pictures import normalise
from ophclip.models.bundle import Loaded
from ophclip.models.spatial import spatial_features, takes_any_size

_SCALES = (1.5, 2.0)
"""Short sides of the pictures that a tower without positions looks at, in its own side: finer grids than its own."""
_CELL_PX = 32
_SMALLEST_PX = 16
_OPACITY = 0.55
_QUALITY = 85


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """`values_hw` float32 [H, W] from 0 (least) to 1 (most), of the picture's size, and where it is highest."""

    values_hw: NDArray[np.float32]
    peak_xy: tuple[float, float]
    """In pixels of the picture, from its left upper corner."""


def heat_map(loaded: Loaded, pixels_hwc: NDArray[np.uint8], query_d: NDArray[np.floating]) -> HeatMap:
    """How much each place of a picture adds to the score of a query.

    A cell's value is the inner product of its vector, before it is scaled to length one, with the query: with
    convolutions and a mean over the grid, these are the parts of which the picture's score is the mean.

    Args:
        loaded: the bundle.
        pixels_hwc: uint8 RGB [H, W, 3].
        query_d: a vector [D] of the bundle's space, such as `query_vector_of_text` gives.

    Raises:
        ValueError: no such picture, a vector of another width, or a tower whose cells are not known.
    """
    _require(loaded, pixels_hwc, query_d)
    query = torch.from_numpy(np.asarray(query_d, dtype=np.float32)).to(loaded.model.device)
    height, width = pixels_hwc.shape[:2]
    total_hw, weight_hw = np.zeros((height, width)), np.zeros((height, width))
    for part, seen_hwc in _looks(loaded, pixels_hwc):
        cells_hwd = spatial_features(loaded.model.visual, _as_input(loaded, seen_hwc))[0]
        cells_hw = np.asarray((cells_hwd.float() @ query).cpu().numpy())
        rows, columns = part
        size = (columns.stop - columns.start, rows.stop - rows.start)
        total_hw[part] += cv2.resize(cells_hw, size, interpolation=cv2.INTER_LINEAR)
        weight_hw[part] += 1.0
    values_hw = total_hw / weight_hw
    low, high = float(values_hw.min()), float(values_hw.max())
    row, column = np.unravel_index(int(values_hw.argmax()), values_hw.shape)
    scaled_hw = (values_hw - low) / max(high - low, 1e-12)
    return HeatMap(values_hw=scaled_hw.astype(np.float32), peak_xy=(float(column) + 0.5, float(row) + 0.5))


def overlay_jpeg(pixels_hwc: NDArray[np.uint8], heat: HeatMap) -> bytes:
    """The picture with the heat map over it and a ring around its peak, as a JPEG."""
    alpha_hw1 = (_OPACITY * heat.values_hw**2)[..., None]
    colours_hwc = cv2.applyColorMap((heat.values_hw * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    mixed_hwc = np.ascontiguousarray((pixels_hwc * (1 - alpha_hw1) + colours_hwc * alpha_hw1).astype(np.uint8))
    centre = (int(heat.peak_xy[0]), int(heat.peak_xy[1]))
    radius_px = max(min(pixels_hwc.shape[:2]) // 24, 3)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.circle(mixed_hwc, centre, radius_px, colour, thickness, cv2.LINE_AA)
    return encode_jpeg(mixed_hwc, quality=_QUALITY)


def _require(loaded: Loaded, pixels_hwc: NDArray[np.uint8], query_d: NDArray[np.floating]) -> None:
    if pixels_hwc.dtype != np.uint8 or pixels_hwc.ndim != 3 or pixels_hwc.shape[2] != 3:
        found = f"{pixels_hwc.dtype} {list(pixels_hwc.shape)}"
        raise ValueError(f"heat map: expected a picture of uint8 [H, W, 3], found {found}")
    if min(pixels_hwc.shape[:2]) < _SMALLEST_PX:
        raise ValueError(
            f"heat map: expected at least {_SMALLEST_PX} pixels on each side, found {pixels_hwc.shape[:2]}"
        )
    if np.shape(query_d) != (loaded.config.embed_dim,) or not np.isfinite(query_d).all():
        width = loaded.config.embed_dim
        raise ValueError(f"heat map: the query has shape {np.shape(query_d)}; expected {width} finite numbers")


def _looks(loaded: Loaded, pixels_hwc: NDArray[np.uint8]) -> Iterator[tuple[tuple[slice, slice], NDArray[np.uint8]]]:
    """(rows and columns of the picture, these at a size that the tower takes), together all of the picture."""
    height, width = pixels_hwc.shape[:2]
    side_px = loaded.config.visual.image_size_px
    if takes_any_size(loaded.model.visual):
        for scale in _SCALES:
            shrink = scale * side_px / min(height, width)
            sides = [max(round(side * shrink / _CELL_PX), 1) * _CELL_PX for side in (width, height)]
            yield (slice(0, height), slice(0, width)), _resized(pixels_hwc, sides[0], sides[1])
        return
    short = min(height, width)
    for first in _starts(max(height, width), short):
        rows, columns = slice(0, height), slice(0, width)
        rows, columns = (
            (rows, slice(first, first + short)) if width > height else (slice(first, first + short), columns)
        )
        yield (rows, columns), _resized(pixels_hwc[rows, columns], side_px, side_px)


def _starts(long_px: int, short_px: int) -> list[int]:
    """Where squares begin that cover a side of a picture, neighbours overlapping by a half or more."""
    steps = -(-2 * (long_px - short_px) // short_px)
    return [round(step * (long_px - short_px) / max(steps, 1)) for step in range(steps + 1)]


def _resized(pixels_hwc: NDArray[np.uint8], width_px: int, height_px: int) -> NDArray[np.uint8]:
    shrinks = width_px * height_px < pixels_hwc.shape[0] * pixels_hwc.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels_hwc, (width_px, height_px), interpolation=interpolation), dtype=np.uint8)


def _as_input(loaded: Loaded, pixels_hwc: NDArray[np.uint8]) -> torch.Tensor:
    frames_1chw = torch.from_numpy(np.ascontiguousarray(pixels_hwc)).permute(2, 0, 1)[None].to(loaded.model.device)
    return normalise(frames_1chw, loaded.preprocess.mean, loaded.preprocess.std)
