"""The corpus as the page shows it: figures, filmstrips, and one transcript beside its frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.manifest import Manifest, State, VideoRow
from ingest.place import manifest_place
from ingest.records import Level, Sample
from ingest.shards import ShardReader
from ophclip.demo.page import CorpusSection, Line, Strip, Table, TranscriptSection, clock
from ophclip.demo.plan import Plan
from ophclip.evaluation.report.page import image_address

STRIP_FRAMES = 8
STRIPS_EACH = 2
LINE_FRAMES = 4
LINES_SHOWN = 14


def corpus_section(plan: Plan) -> CorpusSection:
    """What went in, what became of it, and what some of it looks like."""
    with Manifest(manifest_place(plan.corpus)) as manifest:
        videos = manifest.videos()
    usable = [video for video in videos if video.state is State.DONE]
    left_out = [video for video in videos if video.state is not State.DONE]
    strips = [_strip(plan, video) for video in _chosen(usable)]
    return CorpusSection(
        lead=f"{len(videos)} videos found; each stands in corpus/manifest.sqlite with its state and reason.",
        table=_figures(usable, left_out),
        strips=tuple(strips) + _left_out(left_out),
    )


def _figures(usable: Sequence[VideoRow], left_out: Sequence[VideoRow]) -> Table:
    def row(name: str, videos: Sequence[VideoRow]) -> tuple[str, ...]:
        minutes = sum(video.duration_seconds for video in videos) / 60
        speech = sum(video.speech_seconds for video in videos) / 60
        clips = sum(video.clips for video in videos)
        vague = sum(video.vague_title for video in videos)
        return (
            name,
            str(len(videos)),
            f"{minutes:.1f}",
            f"{speech:.1f}",
            str(clips),
            str(len(videos) - vague),
            str(vague),
        )

    narrated = [video for video in usable if video.narrated]
    silent = [video for video in usable if not video.narrated]
    rows = [row("narrated", narrated), row("silent", silent)]
    if left_out:
        rows.append(row("left out", left_out))
    headings = ("", "videos", "minutes", "minutes of speech", "clips", "informative titles", "vague or no title")
    return Table(headings=headings, rows=tuple(rows))


def _chosen(usable: Sequence[VideoRow]) -> list[VideoRow]:
    """The first few narrated and silent videos, of different titles where there are."""
    chosen: list[VideoRow] = []
    for narrated in (True, False):
        of_kind = [video for video in usable if video.narrated is narrated]
        by_title = {video.title: video for video in reversed(of_kind)}
        chosen += list(reversed(by_title.values()))[:STRIPS_EACH]
    return chosen


def _strip(plan: Plan, video: VideoRow) -> Strip:
    sample = ShardReader(plan.corpus).read(video.video_id)
    kind = "narrated" if video.narrated else "silent"
    facts = f"{kind}, {clock(video.duration_seconds)}, {video.width_px}x{video.height_px} at {video.mean_fps:.4g} fps"
    notes = [facts, f"title: {video.title or 'none'}", video.license and f"licence: {video.license}", video.reason]
    return Strip(
        title=video.source_relative,
        text=" · ".join(note for note in notes if note),
        images=_images(sample, STRIP_FRAMES),
    )


def _left_out(videos: Sequence[VideoRow]) -> tuple[Strip, ...]:
    return tuple(
        Strip(title=f"{video.source_relative}: {video.state.value}", text=video.reason, images=()) for video in videos
    )


def _images(sample: Sample, count: int) -> tuple[str, ...]:
    """At most `count` pictures of a sample, evenly spread."""
    total = len(sample.jpegs)
    picked = sorted({round(place * (total - 1) / max(count - 1, 1)) for place in range(min(count, total))})
    return tuple(image_address(sample.jpegs[place]) for place in picked)


def transcript_section(plan: Plan) -> TranscriptSection | None:
    """The words of the narrated video that has most clips, beside its frames; None if nothing was spoken."""
    with Manifest(manifest_place(plan.corpus)) as manifest:
        narrated = [video for video in manifest.videos() if video.narrated and video.state is State.DONE]
        if not narrated:
            return None
        video = max(narrated, key=lambda row: (row.clips, row.video_id))
        lines = _lines(plan, manifest, video)
    return TranscriptSection(
        lead=f"{Path(video.source_relative).name}, heard by {video.engine} with {video.model}. "
        "Each sentence is a clip: its seconds, its words, its frames as training sees them. Nothing is corrected here; "
        "what was refused is struck through, with the reason.",
        lines=tuple(lines[:LINES_SHOWN]),
    )


def _lines(plan: Plan, manifest: Manifest, video: VideoRow) -> list[Line]:
    reader = ShardReader(plan.corpus)
    samples = {
        round(sample.start_seconds, 3): sample
        for entry in reader.entries(Level.CLIP)
        if entry.video_id == video.video_id
        for sample in [reader.read(entry.key)]
    }
    timed: list[tuple[float, Line]] = []
    for clip in manifest.clips(video.video_id):
        sample = samples.get(round(clip.start_seconds, 3))
        images = _images(sample, LINE_FRAMES) if sample else ()
        timed.append(
            (
                clip.start_seconds,
                Line(time=_span(clip.start_seconds, clip.end_seconds), text=clip.narration, images=images),
            )
        )
    for refused in manifest.rejections(video.video_id):
        line = Line(time=_span(refused.start_seconds, refused.end_seconds), text=refused.text, refused=refused.reason)
        timed.append((refused.start_seconds, line))
    return [line for _, line in sorted(timed, key=lambda pair: pair[0])]


def _span(start_seconds: float, end_seconds: float) -> str:
    return f"{clock(start_seconds)} - {clock(end_seconds)}"
