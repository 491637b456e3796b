"""One video into an index: decoded, encoded, cut into windows, entered in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.media import frame_blocks, probe
from ingest.shards import encode_jpeg
from ophclip.config import IndexConfig
from ophclip.evaluation.receipts import relative
from ophclip.evaluation.vectors import grid_seconds
from ophclip.models.bundle import Loaded
from ophclip.models.embed import embed_frames, pool_spans
from ophclip.search.catalogue import Catalogue, VideoEntry, WindowEntry
from ophclip.search.sources import SourceVideo
from ophclip.search.windows import Window, cut_windows

_FRAMES_A_PASS = 256
_THUMBNAIL_QUALITY = 80


def add_video(
    catalogue: Catalogue,
    known: Mapping[str, VideoEntry],
    source: SourceVideo,
    out: Path,
    *,
    loaded: Loaded,
    config: IndexConfig,
) -> bool:
    """Index one video unless its content is there, and describe it anew; True if it was added or replaced."""
    held = known.get(source.video_id)
    same = held is not None and held.sha256 == source.sha256
    duration_seconds = held.duration_seconds if held is not None and same else probe(source.path).duration_seconds
    windows = cut_windows(
        duration_seconds,
        fps=config.fps,
        window_seconds=config.window_seconds,
        stride_seconds=config.stride_seconds,
    )
    entry = _video_entry(source, duration_seconds, out)
    if same:
        catalogue.describe(entry, {_window_id(source, part): _narrations(source, part) for part in windows})
        return False
    vectors_td, thumbnails = _read_video(source.path, duration_seconds, windows, loaded, config)
    pooled_wd = pool_spans(loaded.model, vectors_td, [(0, len(vectors_td)), *(part.span for part in windows)])
    entries = [_window_entry(source, part, thumbnails[part.middle]) for part in windows]
    catalogue.put(entry, pooled_wd[0], entries, pooled_wd[1:])
    return True


def _video_entry(source: SourceVideo, duration_seconds: float, out: Path) -> VideoEntry:
    return VideoEntry(
        video_id=source.video_id,
        path=relative(source.path, out),
        sha256=source.sha256,
        duration_seconds=duration_seconds,
        title=source.title,
        license=source.license,
        narrated=source.narrated,
    )


def _window_entry(source: SourceVideo, window: Window, thumbnail_jpeg: bytes) -> WindowEntry:
    return WindowEntry(
        window_id=_window_id(source, window),
        video_id=source.video_id,
        start_seconds=window.start_seconds,
        end_seconds=window.end_seconds,
        narrations=_narrations(source, window),
        thumbnail_jpeg=thumbnail_jpeg,
    )


def _window_id(source: SourceVideo, window: Window) -> str:
    return f"{source.video_id}/{source.sha256[:12]}/{round(window.start_seconds * 1000):08d}"


def _narrations(source: SourceVideo, window: Window) -> tuple[str, ...]:
    """What the clips say that overlap the window, in order."""
    clips = sorted(source.clips, key=lambda clip: clip.start_seconds)
    start, end = window.start_seconds, window.end_seconds
    return tuple(clip.narration for clip in clips if clip.start_seconds < end and clip.end_seconds > start)


def _read_video(
    path: Path, duration_seconds: float, windows: list[Window], loaded: Loaded, config: IndexConfig
) -> tuple[NDArray[np.float32], dict[int, bytes]]:
    """Unit vectors [T, D] of all frames of the grid, and JPEGs of the windows' middle frames by frame number."""
    seconds_t = grid_seconds(duration_seconds, config.fps)
    wanted = {part.middle for part in windows}
    short_side_px = _short_side(path, loaded.config.visual.image_size_px, config.thumbnail_width_px)
    parts, thumbnails = [], {}
    for block, frames in enumerate(frame_blocks(path, seconds_t, _FRAMES_A_PASS, short_side_px=short_side_px)):
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
