"""Pictures and sound of a video: what it holds, one pass over all of it, or single frames by second.

`scan` decodes a video once, front to back, and hands on sampled pictures as they come, so that no video is ever held
whole. Damage is survived: what decodes is kept, and a note says in words what did not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.config import Reader
from ingest.config.sources import LimitsConfig
from ingest.media.clock import Clock
from ingest.media.container import (
    CLOCK_TOLERANCE_SECONDS,
    Packets,
    audio_stream,
    container_chapters,
    decoded,
    opened,
    require_within,
    video_stream,
)
from ingest.media.readers import frame_blocks
from ingest.media.sampling import SoundTrack
from ingest.media.walk import FrameSink, Walk
from ingest.records import Chapter, Probe

_READER_BLOCK = 256
"""Frames fetched at once from a reader that is not read in one pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What one pass over a video found besides its pictures."""

    probe: Probe
    """As decoded: the duration is where pictures and sound really end, without the padding of the last sound packet."""
    audio: NDArray[np.float32] | None
    """Mono sound at 16 kHz in -1..1 from second 0, None where the file has none."""
    notes: tuple[str, ...]
    """In words: which audio stream was taken and why, what was damaged."""
    picture_end_seconds: float
    """Where the pictures end; sound may go on."""
    cuts: tuple[float, ...] = ()
    """Presentation seconds at which a new scene begins, the first scene apart."""
    chapters: tuple[Chapter, ...] = ()
    """Named chapters of the container."""


def scan(
    path: Path,
    on_frame: FrameSink,
    *,
    fps: float,
    short_side_px: int | None,
    reader: Reader = Reader.PYAV,
    threads: int = 1,
    limits: LimitsConfig | None = None,
    on_glance: FrameSink | None = None,
) -> Scan:
    """Decode a video once: sound as a whole, and of the pictures those nearest at or before each 1/`fps` second.

    `on_frame` gets each sampled picture once, in order: its presentation second and uint8 RGB [H, W, 3], all of one
    size; `on_glance` ten pictures a second, whatever the reader, as uint8 grey [64, 64] (`ingest.media.luma.glance`).
    Raises ValueError in one line if the file cannot be read, asks for more than `limits` (default: those of
    LimitsConfig) or no picture of it decodes.
    """
    allowed = limits or LimitsConfig()
    with opened(path) as container:
        video = video_stream(container, path)
        require_within(container, video, path, allowed)
        audio, choice = audio_stream(container)
        walk = Walk(container, video, audio, allowed)
        if reader is Reader.PYAV:
            walk.sample(fps, on_frame, short_side_px)
        if on_glance is not None:
            walk.glance(on_glance)
        walk.decode(threads)
        if walk.picture.last_seconds is None:
            raise ValueError(f"{path}: a video stream without a picture that decodes: replace or remove this file")
        found = walk.probe()
        notes = tuple(note for note in (choice, *walk.notes()) if note)
        cuts, chapters = walk.cuts.finish(), container_chapters(container)
    end = walk.picture.end_seconds
    if reader is not Reader.PYAV:
        _read_grid(path, on_frame, fps=fps, end_seconds=end, short_side_px=short_side_px, reader=reader)
    sound = walk.sound.finish() if audio is not None else None
    return Scan(probe=found, audio=sound, notes=notes, picture_end_seconds=end, cuts=cuts, chapters=chapters)


def read_audio(path: Path, stream_index: int | None = None) -> NDArray[np.float32]:
    """The sound of a media file, mono at 16 kHz in -1..1, sample 0 at second 0.

    `stream_index` counts audio streams; None takes the one that `scan` takes. Raises ValueError without such a stream.
    """
    with opened(path) as container:
        chosen, _choice = audio_stream(container)
        streams = list(container.streams.audio)
        if stream_index is not None:
            chosen = streams[stream_index] if 0 <= stream_index < len(streams) else None
        if chosen is None:
            raise ValueError(
                f"{path}: audio stream {stream_index or 0} asked for, but it has {len(streams)}: name another"
            )
        sound, clock = SoundTrack(), Clock(container, LimitsConfig())
        for packet in Packets(container, chosen):
            for block in decoded(packet)[0]:
                sound.push(clock.second(chosen, block, block.samples / block.sample_rate), block)
        return sound.finish()


def _read_grid(
    path: Path, on_frame: FrameSink, *, fps: float, end_seconds: float, short_side_px: int | None, reader: Reader
) -> None:
    ticks = [tick / fps for tick in range(math.ceil((end_seconds - CLOCK_TOLERANCE_SECONDS) * fps))]
    last = -1.0
    for block in frame_blocks(path, ticks, _READER_BLOCK, short_side_px=short_side_px, reader=reader):
        for second, pixels in zip(block.seconds.tolist(), block.pixels_thwc, strict=True):
            if second > last:
                on_frame(second, pixels)
                last = second
