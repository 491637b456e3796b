"""One walk through a container, pictures and sound together, and what there is to say of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

from ingest.config.sources import LimitsConfig
from ingest.media.clock import Clock
from ingest.media.container import (
    Packets,
    audio_place,
    claimed_seconds,
    container_seconds,
    decoded,
    keeps_times,
    mean_fps,
    picture_step_seconds,
    pin_threads,
)
from ingest.media.geometry import Canvas, geometry_of, pixel_aspect
from ingest.media.luma import glance
from ingest.media.sampling import GridSampler, PictureClock, SoundTrack
from ingest.media.scenes import CutFinder
from ingest.records import Probe

FrameSink = Callable[[float, NDArray[np.uint8]], None]

_GLANCES_PER_SECOND = 10.0
"""Half a tenth of a second is then the most by which the pictures of two copies stand apart."""
_LONE_SOUND_SECONDS = 1.0
"""Sound that goes on for longer after the last picture is told of."""
_LONG_GAP_SECONDS = 3.0
"""And so is a gap that is longer than this."""


class Walk:
    """Decodes a container from its front to its end, and keeps count of what is odd about it."""

    def __init__(self, container: Any, video: Any, audio: Any | None, limits: LimitsConfig) -> None:
        self._container = container
        self._video = video
        self._audio = audio
        self._limits = limits
        self._packets = Packets(container, *(stream for stream in (video, audio) if stream is not None))
        self._clock = Clock(container, limits)
        self._step_seconds = picture_step_seconds(video)
        self._stored: tuple[int, int] | None = None
        self._sizes: list[tuple[float, int, int]] = []
        self._lost_packets = self._faulty_pictures = 0
        self._cut_short = ""
        self.picture = PictureClock()
        self._glances = PictureClock()
        self.cuts = CutFinder()
        self.sound = SoundTrack()

    def sample(self, fps: float, on_frame: FrameSink, short_side_px: int | None) -> None:
        """Hand on the pictures of a grid of seconds while decoding."""
        canvas = Canvas(pixel_aspect(self._video), short_side_px)
        self.picture = GridSampler(fps, lambda second, frame: on_frame(second, canvas.pixels(frame)))

    def glance(self, on_glance: FrameSink) -> None:
        """Hand on ten small grey pictures a second (`ingest.media.luma.glance`) while decoding."""
        aspect = pixel_aspect(self._video)
        self._glances = GridSampler(
            _GLANCES_PER_SECOND, lambda second, frame: on_glance(second, glance(frame, geometry_of(frame, aspect)))
        )

    def decode(self, threads: int) -> None:
        """Walk to the end, or to where the file asks for more than its header said and than is allowed."""
        pin_threads(self._video, threads)
        until = time.monotonic() + 3600.0 * self._limits.max_decode_hours
        try:
            for packet in self._packets:
                blocks, whole = decoded(packet)
                self._lost_packets += not whole
                for block in blocks:
                    self._push(packet.stream, block)
                if time.monotonic() > until:
                    self._cut_short = "decoding takes longer than limits.max_decode_hours"
                if self._cut_short:
                    break
        except av.error.FFmpegError as error:
            self._cut_short = error.strerror or type(error).__name__
        self.picture.finish()
        self._glances.finish()

    def _push(self, stream: Any, block: Any) -> None:
        if stream.index == self._video.index:
            self._see(self._clock.second(stream, block, self._step_seconds), block)
        else:
            self.sound.push(self._clock.second(stream, block, block.samples / block.sample_rate), block)
        if max(self.picture.end_seconds, self.sound.end_seconds) > 3600.0 * self._limits.max_hours:
            self._cut_short = "longer than limits.max_hours"

    def _see(self, second: float, picture: Any) -> None:
        stored = picture.width, picture.height
        if stored != self._stored:
            if picture.width * picture.height > self._limits.max_pixels:
                self._cut_short = "a picture is larger than limits.max_pixels"
                return
            self._stored = stored
            self._sizes.append((second, *geometry_of(picture, pixel_aspect(self._video)).shown_size(*stored)))
        self._faulty_pictures += picture.is_corrupt
        self.picture.push(second, picture)
        self._glances.push(second, picture)
        self.cuts.push(second, picture)

    def probe(self) -> Probe:
        """What was found by decoding."""
        video_end, sound_end = self.picture.end_seconds, self.sound.end_seconds
        _second, width, height = self._sizes[0]
        return Probe(
            duration_seconds=max(video_end, min(sound_end, container_seconds(self._container) or sound_end)),
            width_px=width,
            height_px=height,
            mean_fps=mean_fps(self._video) or (self.picture.count / video_end if video_end else 0.0),
            video_streams=len(self._container.streams.video),
            audio_streams=len(self._container.streams.audio),
            audio_stream_index=audio_place(self._container, self._audio),
        )

    def notes(self) -> list[str]:
        """In words what is missing, damaged or odd; empty for a file that is as it should be."""
        late = "a stream begins midway, which was not read" if self._packets.late_stream else ""
        streams = (late, self._other_sizes(), self._lone_sound())
        return [note for note in (self._damage(), self._faults(), self._leaps(), self._gaps(), *streams) if note]

    def _damage(self) -> str:
        # FFmpeg itself reports no error for a file that is cut off.
        claimed, reached = claimed_seconds(self._video), self.picture.end_seconds
        if claimed is None:
            claimed, reached = container_seconds(self._container), max(reached, self.sound.end_seconds)
        if claimed is not None and not self._clock.leaps and reached < claimed - max(1.0, 0.02 * claimed):
            why = f" ({self._cut_short})" if self._cut_short else ""
            return f"truncated: {reached:.1f} of {claimed:.1f} s decode{why}, and these were kept"
        if self._cut_short:
            return f"damaged: reading stopped at {reached:.1f} s ({self._cut_short}); what came before was kept"
        if claimed is None and keeps_times(self._container):
            return f"its header holds no length: if it is cut off, {reached:.1f} s were kept"
        lost = self._lost_packets + self.sound.lost_blocks
        return f"damaged: {lost} packets did not decode and were passed over" if lost else ""

    def _faults(self) -> str:
        faulty = self._faulty_pictures
        return f"damaged: {faulty} pictures decode with faults, which may last to the next key frame" if faulty else ""

    def _leaps(self) -> str:
        leaps = self._clock.leaps
        often = f" and {len(leaps) - 1} times later" if len(leaps) > 1 else ""
        return f"its timestamps leap at {leaps[0]:.1f} s{often}: seconds go on from there" if leaps else ""

    def _gaps(self) -> str:
        first, last = self.picture.longest_gap
        if last - first > _LONG_GAP_SECONDS:
            return f"no new picture from {first:.1f} to {last:.1f} s"
        filled = self.sound.filled_seconds
        return f"sound is missing for {filled:.1f} s: silence stands there" if filled > _LONG_GAP_SECONDS else ""

    def _other_sizes(self) -> str:
        if len(self._sizes) < 2:
            return ""
        (_, *first), (second, *other) = self._sizes[:2]
        return (
            f"pictures of {first[0]} x {first[1]} pixels become {other[0]} x {other[1]} at {second:.1f} s: "
            "all are shown in the first size"
        )

    def _lone_sound(self) -> str:
        lone = self.sound.end_seconds - self.picture.end_seconds
        return f"sound goes on for {lone:.1f} s after the last picture" if lone > _LONE_SOUND_SECONDS else ""
