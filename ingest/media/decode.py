"""Pictures and sound of a video: what it holds, one pass over all of it, or single frames by second.

`scan` decodes a video once, front to back, and hands on sampled pictures as they come, so that no video is ever held
whole. Damage is survived: what decodes is kept, and a note says in words what did not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

from ingest.config import Reader
from ingest.config.sources import LimitsConfig
from ingest.media.container import (
    CLOCK_TOLERANCE_SECONDS,
    audio_place,
    audio_stream,
    claimed_seconds,
    container_chapters,
    container_seconds,
    decoded,
    frame_seconds,
    mean_fps,
    opened,
    pin_threads,
    require_within,
    start_seconds,
    video_stream,
)
from ingest.media.geometry import geometry_of, pixel_aspect, to_pixels
from ingest.media.luma import glance
from ingest.media.readers import frames_at
from ingest.media.sampling import GridSampler, PictureClock, SoundTrack
from ingest.media.scenes import CutFinder
from ingest.records import Chapter, Probe

_READER_BLOCK = 256
"""Frames fetched at once from a reader that is not read in one pass."""
_GLANCES_PER_SECOND = 10.0
"""Half a tenth of a second is then the most by which the pictures of two copies stand apart."""

FrameSink = Callable[[float, NDArray[np.uint8]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What one pass over a video found besides its pictures."""

    probe: Probe
    """As decoded: the duration is where pictures and sound really end, without the padding of the last sound packet."""
    audio: NDArray[np.float32] | None
    """Mono sound at 16 kHz in -1..1 from second 0, None where the file has none."""
    notes: tuple[str, ...]
    """In words: which audio stream was taken and why, what was damaged."""
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

    `on_frame` gets each sampled picture once, in order: its presentation second and uint8 RGB [H, W, 3].
    `on_glance` gets ten pictures a second of the pass as uint8 grey [64, 64] (`ingest.media.luma.glance`).
    Raises ValueError in one line if the file cannot be read, asks for more than `limits` (default: those of
    LimitsConfig) or no picture of it decodes.
    """
    allowed = limits or LimitsConfig()
    with opened(path) as container:
        video = video_stream(container, path)
        require_within(container, video, path, allowed)
        aspect = pixel_aspect(video)
        sampler = GridSampler(fps, lambda second, frame: on_frame(second, to_pixels(frame, short_side_px, aspect)))
        audio, choice = audio_stream(container)
        picture = sampler if reader is Reader.PYAV else PictureClock()
        run = _Pass(container, video, audio, picture, [] if on_glance is None else [_glances(on_glance, aspect)])
        run.decode(threads, 3600.0 * allowed.max_hours)
        if run.picture.last_seconds is None:
            raise ValueError(f"{path}: a video stream without a picture that decodes: replace or remove this file")
        found = run.probe()
        notes = tuple(note for note in (choice, run.damage()) if note)
        cuts, chapters = run.cuts.finish(), container_chapters(container)
    if reader is not Reader.PYAV:
        _read_grid(
            path, on_frame, fps=fps, end_seconds=run.picture.end_seconds, short_side_px=short_side_px, reader=reader
        )
    sound = run.sound.finish() if audio is not None else None
    return Scan(probe=found, audio=sound, notes=notes, cuts=cuts, chapters=chapters)


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
        sound = SoundTrack(start_seconds(container))
        for packet in container.demux(chosen):
            for block in decoded(packet)[0]:
                sound.push(block)
        return sound.finish()


class _Pass:
    """One walk through a container, pictures and sound together."""

    def __init__(
        self, container: Any, video: Any, audio: Any | None, picture: PictureClock, besides: Sequence[PictureClock]
    ) -> None:
        self._container = container
        self._video = video
        self._audio = audio
        self._start = start_seconds(container)
        self._damaged = 0
        self._cut_short = ""
        self._shown = video.codec_context.width, video.codec_context.height
        self.picture = picture
        self._clocks = (picture, *besides)
        self.cuts = CutFinder()
        self.sound = SoundTrack(self._start)

    def decode(self, threads: int, longest_seconds: float) -> None:
        """Walk to the end, or to where the file is longer than its header says and than is allowed."""
        pin_threads(self._video, threads)
        streams = [self._video] if self._audio is None else [self._video, self._audio]
        try:
            for packet in self._container.demux(streams):
                blocks, whole = decoded(packet)
                self._damaged += not whole
                for block in blocks:
                    self._push(packet.stream, block)
                    if max(self.picture.end_seconds, self.sound.end_seconds) > longest_seconds:
                        self._cut_short = "longer than limits.max_hours"
                        break
                if self._cut_short:
                    break
        except av.error.FFmpegError as error:
            self._cut_short = error.strerror or type(error).__name__
        for clock in self._clocks:
            clock.finish()

    def _push(self, stream: Any, block: Any) -> None:
        if self._audio is not None and stream.index == self._audio.index:
            self.sound.push(block)
            return
        second = frame_seconds(block, self._start)
        if second is None:
            return
        if not self.picture.count:
            self._shown = geometry_of(block, pixel_aspect(self._video)).shown_size(block.width, block.height)
        for clock in self._clocks:
            clock.push(second, block)
        self.cuts.push(second, block)

    def probe(self) -> Probe:
        video_end, sound_end = self.picture.end_seconds, self.sound.end_seconds
        return Probe(
            duration_seconds=max(video_end, min(sound_end, container_seconds(self._container) or sound_end)),
            width_px=self._shown[0],
            height_px=self._shown[1],
            mean_fps=mean_fps(self._video) or (self.picture.count / video_end if video_end else 0.0),
            video_streams=len(self._container.streams.video),
            audio_streams=len(self._container.streams.audio),
            audio_stream_index=audio_place(self._container, self._audio),
        )

    def damage(self) -> str:
        """In words what is missing, an empty string if nothing is. FFmpeg itself reports no error for a cut file."""
        claimed, reached = claimed_seconds(self._video), self.picture.end_seconds
        if claimed is None:
            claimed, reached = container_seconds(self._container), max(reached, self.sound.end_seconds)
        if claimed is not None and reached < claimed - max(1.0, 0.02 * claimed):
            return f"truncated: {reached:.1f} of {claimed:.1f} s decode, and these were kept"
        if self._cut_short:
            return f"damaged: reading stopped at {reached:.1f} s ({self._cut_short}); what came before was kept"
        return f"damaged: {self._damaged} packets did not decode and were passed over" if self._damaged else ""


def _glances(on_glance: FrameSink, aspect: Fraction) -> GridSampler:
    def emit(second: float, frame: Any) -> None:
        on_glance(second, glance(frame, geometry_of(frame, aspect)))

    return GridSampler(_GLANCES_PER_SECOND, emit)


def _read_grid(
    path: Path, on_frame: FrameSink, *, fps: float, end_seconds: float, short_side_px: int | None, reader: Reader
) -> None:
    ticks = [tick / fps for tick in range(math.ceil((end_seconds - CLOCK_TOLERANCE_SECONDS) * fps))]
    last = -1.0
    for first in range(0, len(ticks), _READER_BLOCK):
        block = frames_at(path, ticks[first : first + _READER_BLOCK], short_side_px=short_side_px, reader=reader)
        for second, pixels in zip(block.seconds.tolist(), block.pixels_thwc, strict=True):
            if second > last:
                on_frame(second, pixels)
                last = second
