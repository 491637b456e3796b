"""`ophclip index`: videos in, an index folder out. Run again, it adds what is new and nothing else.

INDEX/catalogue.sqlite   videos, windows, pictures, vectors: the truth, one transaction a video
INDEX/windows/  INDEX/videos/   the same vectors for FAISS, made from it
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.media import frame_blocks, probe
from ingest.shards import encode_jpeg
from ophclip.config import IndexConfig
from ophclip.evaluation.embedding import default_device, grid_seconds
from ophclip.models.bundle import Loaded, load_bundle
from ophclip.models.embed import embed_frames
from ophclip.progress import Progress
from ophclip.search.catalogue import FORMAT, Catalogue, VideoEntry, WindowEntry
from ophclip.search.sources import SourceVideo, find_sources
from ophclip.search.vectors import TABLES, made_vectors
from ophclip.search.windows import Window, cut_windows, window_vectors

CATALOGUE_NAME = "catalogue.sqlite"
_FRAMES_A_PASS = 256
_THUMBNAIL_QUALITY = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSummary:
    """What a run of `build_index` did."""

    folder: Path
    videos: int
    windows: int
    added: int
    unchanged: int
    failed: tuple[tuple[Path, str], ...]
    """Files that could not be indexed, with the reason in one line; the others are unharmed."""


def build_index(
    bundle: Path,
    out: Path,
    *,
    corpus: Path | None = None,
    videos: Path | None = None,
    config: IndexConfig | None = None,
    progress: Progress | None = None,
) -> IndexSummary:
    """Index every window of every video of a corpus, of a folder, or of both.

    Raises:
        ValueError: nothing to index, nothing that could be indexed, or `out` is an index of other weights or windows.
    """
    config = config or IndexConfig()
    sources, failed = find_sources(corpus, videos)
    loaded = load_bundle(bundle, device=default_device())
    about = _about(loaded, bundle, out, config)
    with Catalogue.create(out / CATALOGUE_NAME, about) as catalogue:
        _refuse_other(catalogue, about, out)
        known = catalogue.videos()
        added = 0
        for done, source in enumerate(sources):
            if progress is not None:
                progress(done, len(sources), source.path.name)
            try:
                added += _add(catalogue, known, source, out, loaded=loaded, config=config)
            except (OSError, ValueError) as error:
                failed.append((source.path, str(error)))
        if progress is not None:
            progress(len(sources), len(sources), "")
        held, windows = len(catalogue.videos()), len(catalogue.window_spans())
        if not held:
            raise ValueError(f"{failed[0][1]} (none of {len(failed)} files could be indexed)")
        for table in TABLES:
            made_vectors(catalogue, table).save(out / table)
    unchanged = len(sources) - added - sum(path in {source.path for source in sources} for path, _ in failed)
    return IndexSummary(
        folder=out, videos=held, windows=windows, added=added, unchanged=unchanged, failed=tuple(failed)
    )


def _about(loaded: Loaded, bundle: Path, out: Path, config: IndexConfig) -> dict[str, str]:
    windows = {key: f"{value:g}" for key, value in asdict(config).items() if key.endswith("seconds") or key == "fps"}
    return {
        "format": FORMAT,
        "weights_sha256": loaded.weights_sha256,
        "bundle": relative(bundle, out),
        "model": loaded.config.name,
        **windows,
    }


def relative(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, so that both can be moved together; absolute where there is no such way."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _refuse_other(catalogue: Catalogue, about: Mapping[str, str], out: Path) -> None:
    held, given = catalogue.about.get("weights_sha256", ""), about["weights_sha256"]
    if held != given:
        raise ValueError(
            f"{out}: made by weights {held[:12]}, this bundle has {given[:12]}; give another --out or remove it"
        )
    for key in ("format", "window_seconds", "stride_seconds", "fps"):
        if catalogue.about.get(key) != about[key]:
            found = catalogue.about.get(key)
            raise ValueError(f"{out}: made with {key} {found}, asked for {about[key]}; give another --out or remove it")


def _add(
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
    whole = Window(start_seconds=0.0, end_seconds=duration_seconds, first=0, stop=len(vectors_td))
    entries = [_window_entry(source, part, thumbnails[part.middle]) for part in windows]
    catalogue.put(entry, window_vectors(vectors_td, [whole])[0], entries, window_vectors(vectors_td, windows))
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
