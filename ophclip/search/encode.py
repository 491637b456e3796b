"""One video as vectors and pictures: decoded, encoded, pooled over spans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.media import frame_blocks, probe
from ingest.shards import encode_jpeg
from ophclip.config import IndexConfig
from ophclip.evaluation.vectors import grid_seconds
from ophclip.models.bundle import Loaded
from ophclip.models.embed import embed_frames, pool_spans
from ophclip.search.add import spans_of
from ophclip.search.parts import Part
from ophclip.search.sources import SourceVideo

_FRAMES_A_PASS = 256
_THUMBNAIL_QUALITY = 80


def encode_video(source: SourceVideo, loaded: Loaded, config: IndexConfig, beat: Callable[[], None]) -> Part:
    """Decode and encode one video; `beat` is called now and then.

    Raises:
        ValueError: it cannot be decoded.
    """
    duration_seconds = probe(source.path).duration_seconds
    places = [place for _, place in spans_of(source, duration_seconds, config)]
    seconds_t = grid_seconds(duration_seconds, config.fps)
    wanted = {place.middle for place in places}
    vectors_td, thumbnails = _read_video(source.path, seconds_t, wanted, loaded, config, beat=beat)
    spans = [(0, len(vectors_td)), *(place.span for place in places[1:])]
    return Part(
        duration_seconds=duration_seconds,
        vectors_nd=pool_spans(loaded.model, vectors_td, spans),
        thumbnails=thumbnails,
    )


def _read_video(
    path: Path,
    seconds_t: NDArray[np.float64],
    wanted: set[int],
    loaded: Loaded,
    config: IndexConfig,
    *,
    beat: Callable[[], None],
) -> tuple[NDArray[np.float32], dict[int, bytes]]:
    """Unit vectors [T, D] of all frames of the grid, and JPEGs of the `wanted` frames by frame number."""
    short_side_px = _short_side(path, loaded.config.visual.image_size_px, config.thumbnail_width_px)
    parts, thumbnails = [], {}
    for block, frames in enumerate(frame_blocks(path, seconds_t, _FRAMES_A_PASS, short_side_px=short_side_px)):
        beat()
        first = block * _FRAMES_A_PASS
        parts.append(embed_frames(loaded.model, loaded.preprocess, frames.pixels_thwc, config.batch_frames))
        for number in wanted & set(range(first, first + len(frames.seconds))):
            thumbnails[number] = _thumbnail(frames.pixels_thwc[number - first], config.thumbnail_width_px)
    return np.concatenate(parts), thumbnails


def _short_side(path: Path, image_size_px: int, thumbnail_width_px: int) -> int:
    """Large enough for the tower and for the thumbnail, and no larger."""
    found = probe(path)
    across = -(-thumbnail_width_px * min(found.width_px, found.height_px) // max(found.width_px, 1))
    return max(image_size_px, across)


def _thumbnail(pixels_hwc: NDArray[np.uint8], width_px: int) -> bytes:
    height_px = max(round(pixels_hwc.shape[0] * width_px / pixels_hwc.shape[1]), 1)
    small = np.asarray(cv2.resize(pixels_hwc, (width_px, height_px), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return encode_jpeg(small, quality=_THUMBNAIL_QUALITY)
