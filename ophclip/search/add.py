"""One video in an index: cut into windows and clips, entered in the catalogue."""

from __future__ import annotations

from pathlib import Path

from ingest.records import Clip
from ophclip.config import IndexConfig
from ophclip.evaluation.receipts import relative
from ophclip.search.catalogue import Catalogue
from ophclip.search.entries import Level, SpanEntry, VideoEntry
from ophclip.search.parts import Part
from ophclip.search.sources import SourceVideo
from ophclip.search.windows import Window, cut_windows, frames_of, window_at


def spans_of(source: SourceVideo, duration_seconds: float, config: IndexConfig) -> list[tuple[SpanEntry, Window]]:
    """The whole video, its windows, then its clips, each with its frames; the whole has those of the window in its
    middle, which its picture is of."""
    windows = cut_windows(
        duration_seconds,
        fps=config.fps,
        window_seconds=config.window_seconds,
        stride_seconds=config.stride_seconds,
    )
    whole = SpanEntry(
        span_id=_id(source), video_id=source.video_id, level=Level.VIDEO, start_seconds=0.0,
        end_seconds=duration_seconds,
    )  # fmt: skip
    of_windows = [_of_window(source, part) for part in windows]
    return [(whole, windows[len(windows) // 2]), *of_windows, *_of_clips(source, duration_seconds, config)]


def describe(
    catalogue: Catalogue, held: VideoEntry | None, source: SourceVideo, out: Path, config: IndexConfig
) -> bool:
    """Describe a video anew whose content and clips are there; False if they are not, and it has to be encoded.

    `held` is what the catalogue knows under its id.
    """
    if held is None or held.sha256 != source.sha256:
        return False
    spans = spans_of(source, held.duration_seconds, config)[1:]
    narrations = {span.span_id: span.narrations for span, _ in spans}
    if not narrations.keys() <= _ids(catalogue, source):
        return False
    catalogue.describe(_video_entry(source, held.duration_seconds, out), narrations)
    return True


def enter(catalogue: Catalogue, source: SourceVideo, part: Part, out: Path, config: IndexConfig) -> None:
    """Put an encoded video into the catalogue, in place of what stood under its id."""
    spans = spans_of(source, part.duration_seconds, config)
    levels = (Level.VIDEO, Level.WINDOW, Level.CLIP)
    vectors = {level: part.vectors_nd[[span.level is level for span, _ in spans]] for level in levels}
    pictures = [(span, part.thumbnails[place.middle]) for span, place in spans]
    catalogue.put(_video_entry(source, part.duration_seconds, out), pictures, vectors)


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
