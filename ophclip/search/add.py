"""One video into an index: decoded, encoded, cut into windows and clips, entered in the catalogue."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.media import frame_blocks, probe
from ingest.records import Clip
from ingest.shards import encode_jpeg
from ophclip.config import IndexConfig
from ophclip.evaluation.receipts import relative
from ophclip.evaluation.vectors import grid_seconds
from ophclip.models.bundle import Loaded
from ophclip.models.embed import embed_frames, pool_spans
from ophclip.search.catalogue import Catalogue
from ophclip.search.entries import Level, SpanEntry, VideoEntry
from ophclip.search.sources import SourceVideo
from ophclip.search.windows import Window, cut_windows, frames_of, window_at

_FRAMES_A_PASS = 256
_THUMBNAIL_QUALITY = 80


def add_video(
    catalogue: Catalogue,
    held: VideoEntry | None,
    source: SourceVideo,
    out: Path,
    *,
    loaded: Loaded,
    config: IndexConfig,
) -> bool:
    """Index one video unless its content and clips are there, and describe it anew; True if it was added or replaced.

    `held` is what the catalogue knows under its id.
    """
    same = held is not None and held.sha256 == source.sha256
    duration_seconds = held.duration_seconds if held is not None and same else probe(source.path).duration_seconds
    windows = cut_windows(
        duration_seconds,
        fps=config.fps,
        window_seconds=config.window_seconds,
        stride_seconds=config.stride_seconds,
    )
    spans = [*(_of_window(source, part) for part in windows), *_of_clips(source, duration_seconds, config)]
    entry = _video_entry(source, duration_seconds, out)
    narrations = {span.span_id: span.narrations for span, _ in spans}
    if same and narrations.keys() <= _ids(catalogue, source):
        catalogue.describe(entry, narrations)
        return False
    vectors_td, thumbnails = _read_video(
        source.path, duration_seconds, {part.middle for _, part in spans}, loaded, config
    )
    pooled_nd = pool_spans(loaded.model, vectors_td, [(0, len(vectors_td)), *(part.span for _, part in spans)])
    vectors = {
        Level.VIDEO: pooled_nd[:1],
        Level.WINDOW: pooled_nd[1 : 1 + len(windows)],
        Level.CLIP: pooled_nd[1 + len(windows) :],
    }
    whole = SpanEntry(
        span_id=_id(source), video_id=source.video_id, level=Level.VIDEO, start_seconds=0.0,
        end_seconds=duration_seconds,
    )  # fmt: skip
    pictures = [(span, thumbnails[part.middle]) for span, part in spans]
    catalogue.put(entry, [(whole, pictures[len(windows) // 2][1]), *pictures], vectors)
    return True


def _ids(catalogue: Catalogue, source: SourceVideo) -> set[str]:
    return {one.span_id for level in (Level.WINDOW, Level.CLIP) for one in catalogue.spans(source.video_id, level)}


def _video_entry(source: SourceVideo, duration_seconds: float, out: Path) -> VideoEntry:
    return VideoEntry(
        video_id=source.video_id,
        path=relative(source.path, out),
        sha256=source.sha256,
        duration_seconds=duration_seconds,
        title=source.title,
        narrated=source.narrated,
        attributes=source.attributes,
    )


def _of_window(source: SourceVideo, window: Window) -> tuple[SpanEntry, Window]:
    start, end = window.start_seconds, window.end_seconds
    said = (clip for clip in _clips(source) if clip.start_seconds < end and clip.end_seconds > start)
    span = SpanEntry(
        span_id=f"{_id(source)}/{_milliseconds(start)}",
        video_id=source.video_id,
        level=Level.WINDOW,
        start_seconds=start,
        end_seconds=end,
        narrations=tuple(clip.narration for clip in said),
    )
    return span, window


def _of_clips(source: SourceVideo, duration_seconds: float, config: IndexConfig) -> list[tuple[SpanEntry, Window]]:
    """The narrated clips within the file, with their frames; what is said over one span is one clip."""
    found: dict[str, tuple[SpanEntry, Window]] = {}
    for clip in _clips(source):
        start, end = clip.start_seconds, min(clip.end_seconds, duration_seconds)
        if start >= end:
            continue
        span_id = f"{_id(source)}/clip/{_milliseconds(start)}-{_milliseconds(end)}"
        said = found[span_id][0].narrations if span_id in found else ()
        span = SpanEntry(
            span_id=span_id,
            video_id=source.video_id,
            level=Level.CLIP,
            start_seconds=start,
            end_seconds=end,
            narrations=(*said, clip.narration),
        )
        found[span_id] = (span, window_at(start, end, config.fps, frames_of(duration_seconds, config.fps)))
    return list(found.values())


def _clips(source: SourceVideo) -> list[Clip]:
    return sorted(source.clips, key=lambda clip: (clip.start_seconds, clip.index))


def _id(source: SourceVideo) -> str:
    """Of the whole video; ids carry the content's hash: equal ids are equal vectors."""
    return f"{source.video_id}/{source.sha256[:12]}"


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000):08d}"


def _read_video(
    path: Path, duration_seconds: float, wanted: set[int], loaded: Loaded, config: IndexConfig
) -> tuple[NDArray[np.float32], dict[int, bytes]]:
    """Unit vectors [T, D] of all frames of the grid, and JPEGs of the `wanted` frames by frame number."""
    seconds_t = grid_seconds(duration_seconds, config.fps)
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
