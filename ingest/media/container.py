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
from ingest.media.geometry import geometry_of, pixel_aspect
from ingest.records import Chapter, Probe

CLOCK_TOLERANCE_SECONDS = 1e-6
"""Two seconds closer than this are one moment: timestamps are rational, callers' seconds are floats."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a media file for reading as an `av.container.InputContainer`.

    Raises ValueError in one line, naming the file and the remedy, if it is missing or is no media file.
    """
    try:
        # An absolute name cannot be taken for a protocol, and a playlist cannot make FFmpeg read elsewhere.
        container = av.open(str(path.absolute()), options={"protocol_whitelist": "file"})
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: not a readable video ({_words(error)}): replace or remove this file") from error
    with container:
        yield container


def _words(error: av.error.FFmpegError) -> str:
    return (error.strerror or type(error).__name__).strip()


def start_seconds(container: Any) -> float:
    """Where the container's clock starts."""
    return 0.0 if container.start_time is None else float(container.start_time) / av.time_base


def video_stream(container: Any, path: Path) -> Any:
    """The video stream that players show, cover pictures apart. Raises ValueError if there is none."""
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        raise ValueError(f"{path}: no video stream in this file: replace or remove it")
    best = container.streams.best("video")
    return best if best in moving else moving[0]


def audio_stream(container: Any) -> tuple[Any | None, str]:
    """The audio stream to listen to, with the reason where there was a choice (else an empty string).

    Of the streams that the file marks as default (of all, if it marks none) the one with the most to hear, that is the
    highest sample rate, and of equals the first.
    """
    streams = list(container.streams.audio)
    if not streams:
        return None, ""
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    offered = marked or streams
    chosen = max(offered, key=lambda stream: stream.codec_context.sample_rate or 0)
    if len(streams) == 1:
        return chosen, ""
    rates = {stream.codec_context.sample_rate for stream in offered}
    why = "highest sample rate" if len(rates) > 1 else "first"
    reason = f"{why} of {len(marked)} marked default" if len(marked) > 1 else "marked default" if marked else why
    rate_hz = chosen.codec_context.sample_rate
    return chosen, f"{len(streams)} audio streams: number {streams.index(chosen)} was taken ({rate_hz} Hz, {reason})"


def audio_place(container: Any, stream: Any | None) -> int | None:
    """Index of a stream among the audio streams."""
    return None if stream is None else list(container.streams.audio).index(stream)


def decoded(packet: Any) -> tuple[list[Any], bool]:
    """The pictures or blocks of sound of one packet, and whether it was whole."""
    try:
        return packet.decode(), True
    except av.error.EOFError:
        return [], True
    except av.error.FFmpegError:
        return [], False


def frame_seconds(frame: Any, start: float) -> float | None:
    """Presentation second of a decoded picture or block of sound, None if it carries none."""
    second: float | None = frame.time
    return None if second is None else second - start


def claimed_seconds(stream: Any) -> float | None:
    """How long the container says a stream lasts, None where the format keeps no such figure."""
    if stream.duration is None:
        return None
    return float(stream.duration * stream.time_base)


def container_seconds(container: Any) -> float | None:
    """How long the container says it lasts."""
    return None if container.duration is None else float(container.duration) / av.time_base


def mean_fps(stream: Any) -> float:
    """Mean frame rate as the container counts it, 0.0 if it does not."""
    return float(stream.average_rate or stream.guessed_rate or Fraction(0))


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
    hours = max(claimed_seconds(stream) or 0.0, container_seconds(container) or 0.0) / 3600
    excess = {
        "max_pixels": (width * height > limits.max_pixels, f"pictures of {width} x {height} pixels"),
        "max_hours": (hours > limits.max_hours, f"{hours:.1f} hours"),
        "max_streams": (len(container.streams) > limits.max_streams, f"{len(container.streams)} streams"),
    }
    for name, (exceeded, found) in excess.items():
        if exceeded:
            allowed = getattr(limits, name)
            raise ValueError(f"{path}: {found}, limits.{name} is {allowed}: raise it if the file is right")


def probe(path: Path) -> Probe:
    """What the container says of a video, once its first picture has been decoded.

    Raises ValueError in one line if the file cannot be read, has no video stream or no picture that decodes.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        sound, _reason = audio_stream(container)
        picture = _first_picture(container, stream)
        if picture is None:
            raise ValueError(f"{path}: a video stream without a picture that decodes: replace or remove this file")
        width, height = geometry_of(picture, pixel_aspect(stream)).shown_size(picture.width, picture.height)
        duration = claimed_seconds(stream) or container_seconds(container) or 0.0
        return Probe(
            duration_seconds=duration,
            width_px=width,
            height_px=height,
            mean_fps=mean_fps(stream),
            video_streams=len(container.streams.video),
            audio_streams=len(container.streams.audio),
            audio_stream_index=audio_place(container, sound),
        )


def _first_picture(container: Any, stream: Any) -> Any | None:
    pin_threads(stream, 1)
    return next((picture for packet in container.demux(stream) for picture in decoded(packet)[0]), None)
