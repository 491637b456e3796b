"""Opening a video file: which streams are read, how its clock runs, and one clear line when it cannot be read.

Seconds everywhere count from the container's own start, as FFmpeg's tools and players count them, and come from
presentation timestamps, so that variable frame rate is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from ingest.config.sources import LimitsConfig
from ingest.records import Chapter

CLOCK_TOLERANCE_SECONDS = 1e-6
"""Two seconds closer than this are one moment: timestamps are rational, callers' seconds are floats."""


FORMATS = (
    *("mov", "matroska", "avi", "asf", "flv", "mxf", "ogg", "mpeg", "mpegts", "mpegvideo", "h264", "hevc", "m4v"),
    *("wav", "flac", "mp3", "aac"),
)
"""Formats that are opened, as FFmpeg names them: of theatres' recorders, cameras, discs and players. None of them leads
to other files, as playlists do (`hls`, `concat`, `dash`, `sdp`, numbered pictures)."""

_OPENING = {
    "protocol_whitelist": "file,pipe",  # and what is opened cannot make FFmpeg read elsewhere
    "format_whitelist": ",".join(FORMATS),
    "merge_pmt_versions": "1",  # the streams of an MPEG recording that is put together from parts stay the same ones
}
_TIMESTAMPS_MAY_RESTART = 0x0200
"""AVFMT_TS_DISCONT among the flags of a format."""
_STAMPED_FORMATS = ("mov", "matroska", "asf", "flv", "mxf")
"""Formats as FFmpeg names them."""
_AVI = "avi"
_RAW_FPS = 25.0
"""Frame rate where a file says none."""
_COUNTED_FROM_ZERO = "matroska"
"""A format whose length counts from second zero, wherever its first picture stands."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a media file for reading as an `av.container.InputContainer`.

    Raises ValueError in one line, naming the file and the remedy, if it is missing, is no media file or is damaged
    where nothing can be saved.
    """
    try:
        # An absolute name cannot be taken for a protocol; titles in another encoding than UTF-8 do not matter here.
        with av.open(str(path.absolute()), options=_OPENING, metadata_errors="replace") as container:
            yield container
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: not a readable video ({_words(error)}): replace or remove this file") from error


def _words(error: av.error.FFmpegError) -> str:
    if isinstance(error, av.error.ArgumentError):
        return "damaged, or not one of the formats that are opened"
    return (error.strerror or type(error).__name__).strip()


def start_seconds(container: Any) -> float:
    """Where the container's clock starts."""
    return 0.0 if container.start_time is None else float(container.start_time) / av.time_base


def clock_may_restart(container: Any) -> bool:
    """Whether the format lets timestamps begin anew midway: MPEG streams, which recorders put together from parts."""
    return bool(container.format.flags & _TIMESTAMPS_MAY_RESTART)


def keeps_times(container: Any) -> bool:
    """Whether the format holds the presentation time of every picture, and in its header how long it lasts."""
    name: str = container.format.name
    return name.startswith(_STAMPED_FORMATS)


def can_jump(container: Any, stream: Any) -> bool:
    """Whether after a jump pictures have the seconds that they have when a file is read from the front.

    MPEG streams and AVI do not keep the time of every picture; what FFmpeg guesses after a jump is another time.
    """
    alone = container.format.name == _AVI and bool(stream.codec_context.codec.intra_only)
    return alone or keeps_times(container)


def video_stream(container: Any, path: Path) -> Any:
    """The video stream that players show, cover pictures apart. Raises ValueError if there is none."""
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        raise ValueError(f"{path}: no video stream in this file: replace or remove it")
    moving = [stream for stream in moving if stream.codec_context is not None]
    if not moving:
        raise ValueError(f"{path}: its pictures are coded in a way that FFmpeg does not know: convert this file")
    best = container.streams.best("video")
    return best if best in moving else moving[0]


def audio_stream(container: Any) -> tuple[Any | None, str]:
    """The audio stream to listen to, with the reason where there was a choice (else an empty string).

    Of the streams that the file marks as default (of all, if it marks none) the one with the most to hear, that is the
    highest sample rate, and of equals the first.
    """
    streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not streams:
        return None, "its sound is coded in a way that FFmpeg does not know" if container.streams.audio else ""
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    offered = marked or streams
    chosen = max(offered, key=lambda stream: stream.codec_context.sample_rate or 0)
    if len(streams) == 1:
        return chosen, ""
    rates = {stream.codec_context.sample_rate for stream in offered}
    why = "highest sample rate" if len(rates) > 1 else "first"
    reason = f"{why} of {len(marked)} marked default" if len(marked) > 1 else "marked default" if marked else why
    rate_hz = chosen.codec_context.sample_rate
    place = audio_place(container, chosen)
    return chosen, f"{len(streams)} audio streams: number {place} was taken ({rate_hz} Hz, {reason})"


def audio_place(container: Any, stream: Any | None) -> int | None:
    """Index of a stream among the audio streams."""
    return None if stream is None else list(container.streams.audio).index(stream)


class Packets:
    """All packets of some streams of a container, last the empty ones that make decoders give up what they hold."""

    def __init__(self, container: Any, *streams: Any) -> None:
        self._container = container
        self._streams = streams
        self.late_stream = False
        """Whether a stream has begun midway; PyAV cannot read it, and trips over it."""

    def __iter__(self) -> Iterator[Any]:
        ended = False
        while not ended:
            try:
                for packet in self._container.demux(*self._streams):
                    ended = ended or (packet.dts is None and not packet.size)
                    yield packet
                return
            except IndexError:
                self.late_stream = True


def decoded(packet: Any) -> tuple[list[Any], bool]:
    """The pictures or blocks of sound of one packet, and whether it was whole."""
    try:
        return packet.decode(), True
    except av.error.EOFError:
        return [], True
    except av.error.FFmpegError:
        return [], False


def presented_seconds(container: Any, block: Any) -> float | None:
    """Presentation second of a packet, picture or block of sound, None if it carries none."""
    # AVI numbers pictures as they are stored; presentation times that FFmpeg makes of that can be out of order.
    ticks = block.dts if container.format.name == _AVI else block.pts
    if ticks is None:
        return None
    base = block.time_base
    return float(ticks * base.numerator / base.denominator) - start_seconds(container)


def claimed_seconds(stream: Any) -> float | None:
    """How long the container says a stream lasts, None where the format keeps no such figure."""
    if stream.container.format.name == _AVI and stream.type == "video":
        return float(stream.frames * picture_step_seconds(stream))  # as its header says, however much is there
    return None if stream.duration is None else float(stream.duration * stream.time_base)


def container_seconds(container: Any) -> float | None:
    """How long the container says it lasts."""
    if container.duration is None:
        return None
    before = start_seconds(container) if container.format.name.startswith(_COUNTED_FROM_ZERO) else 0.0
    return float(container.duration) / av.time_base - before


def mean_fps(stream: Any) -> float:
    """Mean frame rate as the container counts it, 0.0 if it does not."""
    return float(stream.average_rate or stream.guessed_rate or Fraction(0))


def picture_step_seconds(stream: Any) -> float:
    """From one picture to the next where pictures carry no timestamps."""
    return 1.0 / (mean_fps(stream) or _RAW_FPS)


def pin_threads(stream: Any, threads: int) -> None:
    """Let a stream's decoder use so many threads; 1 keeps it on the calling one."""
    stream.codec_context.thread_count = threads
    stream.thread_type = "AUTO" if threads > 1 else "NONE"


def container_chapters(container: Any) -> tuple[Chapter, ...]:
    """The named chapters that the container holds, by their start."""
    start, found = start_seconds(container), []
    for entry in container.chapters():
        first, last = (float(entry[name] * entry["time_base"]) - start for name in ("start", "end"))
        title = " ".join(str(entry["metadata"].get("title", "")).split())
        if title and last > max(first, 0.0):
            found.append(Chapter(start_seconds=max(first, 0.0), end_seconds=last, title=title))
    return tuple(sorted(found, key=lambda one: one.start_seconds))


def require_within(container: Any, stream: Any, path: Path, limits: LimitsConfig) -> None:
    """Raise ValueError in one line if the header of a file asks for more than `limits`."""
    width, height = stream.codec_context.width, stream.codec_context.height
    # Where the clock may begin anew, its last reading less its first is no length.
    told = (
        0.0 if clock_may_restart(container) else max(claimed_seconds(stream) or 0.0, container_seconds(container) or 0)
    )
    hours = told / 3600
    excess = {
        "max_pixels": (width * height > limits.max_pixels, f"pictures of {width} x {height} pixels"),
        "max_hours": (hours > limits.max_hours, f"{hours:.1f} hours"),
        "max_streams": (len(container.streams) > limits.max_streams, f"{len(container.streams)} streams"),
    }
    for name, (exceeded, found) in excess.items():
        if exceeded:
            raise ValueError(f"{path}: {too_much(name, found, limits)}")


def too_much(name: str, found: str, limits: LimitsConfig) -> str:
    """How it is told that a file goes beyond the limit of this name."""
    return f"{found}, limits.{name} is {getattr(limits, name)}: raise it if the file is right"


def require_size(size_bytes: int, limits: LimitsConfig) -> None:
    """Raise ValueError in one line if a file is larger than `limits` allow."""
    if size_bytes > limits.max_file_gb * 1e9:
        raise ValueError(too_much("max_file_gb", f"{size_bytes / 1e9:.3g} GB", limits))
