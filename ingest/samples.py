"""From clips, chapters and pictures of one video to its training samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.config import ShardsConfig
from ingest.records import Chapter, Clip, Level, Sample

Pictures = Callable[[Sequence[int]], list[bytes]]
"""JPEGs at places among the sampled frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What a video's samples are made of."""

    whole: Sample
    """The sample of the whole video, without its frames."""
    chapters: tuple[Chapter, ...]
    clips: tuple[Clip, ...]
    seconds: Sequence[float]
    """Of the sampled frames that may be shown."""
    places: Sequence[int]
    """Of those frames in the spool."""


def make_samples(story: Story, pictures: Pictures, shards: ShardsConfig) -> Iterator[Sample]:
    """The samples of one video: its clips, its phases, then the whole."""
    for clip in story.clips:
        span = replace(
            story.whole,
            key=_part_key(story.whole, Level.CLIP, clip.start_seconds),
            level=Level.CLIP,
            start_seconds=clip.start_seconds,
            end_seconds=clip.end_seconds,
            text=clip.narration,
            alternatives=clip.alternatives,
            parent=_parent(story, clip),
        )
        yield _with_frames(span, story, pictures, shards, shards.clip_frames)
    for chapter in story.chapters:
        span = replace(
            story.whole,
            key=_part_key(story.whole, Level.PHASE, chapter.start_seconds),
            level=Level.PHASE,
            start_seconds=chapter.start_seconds,
            end_seconds=chapter.end_seconds,
            text=chapter.title,
            parent=story.whole.key,
        )
        yield _with_frames(span, story, pictures, shards, shards.phase_frames)
    frames = uniform_frames(story.seconds, story.whole.start_seconds, story.whole.end_seconds, shards.video_frames)
    yield _filled(story.whole, frames, story, pictures)


def _part_key(whole: Sample, level: Level, start_seconds: float) -> str:
    mark = "" if level is Level.CLIP else f"{level.value}-"
    return f"{whole.video_id}-{mark}{round(1000 * start_seconds):08d}"


def _parent(story: Story, clip: Clip) -> str:
    """The phase that holds the middle of a clip, or the video."""
    middle = (clip.start_seconds + clip.end_seconds) / 2
    for chapter in story.chapters:
        if chapter.start_seconds <= middle < chapter.end_seconds:
            return _part_key(story.whole, Level.PHASE, chapter.start_seconds)
    return story.whole.key


def _with_frames(span: Sample, story: Story, pictures: Pictures, shards: ShardsConfig, most: int) -> Sample:
    wanted = round((span.end_seconds - span.start_seconds) * shards.fps)
    count = min(max(wanted, 1), most)
    return _filled(span, uniform_frames(story.seconds, span.start_seconds, span.end_seconds, count), story, pictures)


def _filled(span: Sample, frames: Sequence[int], story: Story, pictures: Pictures) -> Sample:
    return replace(
        span,
        frame_seconds=tuple(story.seconds[frame] for frame in frames),
        jpegs=tuple(pictures([story.places[frame] for frame in frames])),
    )


def uniform_frames(seconds: Sequence[float], start: float, end: float, count: int) -> list[int]:
    """Places of up to `count` frames nearest to the middles of equal parts of a span, each once, in order."""
    clock = np.asarray(seconds)
    middles = start + (np.arange(count) + 0.5) * (end - start) / count
    after = np.clip(np.searchsorted(clock, middles), 1, max(len(clock) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(clock) - 1)
    nearest = np.where(middles - clock[before] <= clock[after] - middles, before, after)
    return [int(place) for place in np.unique(nearest)]
