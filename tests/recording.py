"""Media files as cameras, discs and recorders write them: pictures carry a number and four colours, sound sets in.

A picture shows its number in its upper half, as `filming` draws it, and `COLOURS` in the lower one; sound is silent for
one second and a tone from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from filming import BITS, number_of, tone
from numpy.typing import NDArray

from ingest.media import Scan, scan
from ingest.records import SAMPLE_RATE_HZ

Picture = NDArray[np.uint8]
COLOURS = np.array([[200, 40, 40], [40, 180, 60], [50, 60, 200], [180, 180, 180]], dtype=np.uint8)
ONSET_SECONDS = 1.0
FPS = 25


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorder:
    """What a device writes."""

    suffix: str
    codec: str
    pix_fmt: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: {"g": "12", "threads": "1"})
    sound: tuple[str, int, str] | None = None
    """Codec, rate, layout."""
    matrix: int | None = None
    """AVColorSpace of the pictures."""
    colour_range: int | None = None
    told: bool = True
    """Whether the file says what matrix and range are."""
    size: tuple[int, int] = (128, 96)
    title: str = ""
    container_options: Mapping[str, str] = field(default_factory=dict)


REORDERED = {"g": "12", "bf": "2", "threads": "1"}
HEVC = {"x265-params": "log-level=none"}
QUICK = {"deadline": "realtime", "cpu-used": "8"}
AAC, MP2, AC3 = ("aac", 48_000, "stereo"), ("mp2", 48_000, "stereo"), ("ac3", 48_000, "5.1")
H264 = Recorder(suffix=".mp4", codec="libx264", options=REORDERED, sound=AAC)
TRANSPORT = replace(H264, suffix=".ts", sound=MP2)
PROGRAM = Recorder(suffix=".mpg", codec="mpeg2video", options=REORDERED, sound=MP2)

RECORDERS = {
    "h264": H264,
    "10 bit": replace(H264, pix_fmt="yuv420p10le", sound=None),
    "4:2:2": replace(H264, pix_fmt="yuv422p", sound=None),
    "4:4:4": replace(H264, pix_fmt="yuv444p", sound=None),
    "grey": replace(H264, pix_fmt="gray", sound=None),
    "full range": replace(H264, pix_fmt="yuvj420p", sound=None),
    "full range, tagged": replace(H264, colour_range=2, sound=None),
    "BT.709": replace(H264, matrix=1, sound=None),
    "BT.709, full range": replace(H264, matrix=1, colour_range=2, sound=None),
    "BT.601": replace(H264, matrix=5, sound=None),
    "HD that says nothing": replace(H264, matrix=1, told=False, size=(1280, 64), sound=None),
    "HEVC, 10 bit": Recorder(suffix=".mov", codec="libx265", pix_fmt="yuv420p10le", options=HEVC),
    "ProRes": Recorder(suffix=".mov", codec="prores_ks", pix_fmt="yuv422p10le", sound=("pcm_s24le", 48_000, "stereo")),
    "MJPEG, 8 kHz": Recorder(suffix=".avi", codec="mjpeg", pix_fmt="yuvj422p", sound=("pcm_s16le", 8_000, "mono")),
    "u-law": replace(H264, suffix=".mov", sound=("pcm_mulaw", 8_000, "mono")),
    "DivX": Recorder(suffix=".avi", codec="mpeg4", options={"bf": "2"}, sound=AC3),
    "h264 in AVI": replace(H264, suffix=".avi", sound=("libmp3lame", 44_100, "stereo")),
    "MPEG-1": replace(PROGRAM, codec="mpeg1video"),
    "MPEG-2": PROGRAM,
    "MPEG-2, AC-3": replace(PROGRAM, sound=AC3),
    "DVD": replace(PROGRAM, suffix=".vob", sound=AC3),
    "WMV": Recorder(suffix=".wmv", codec="wmv2", sound=("wmav2", 44_100, "stereo")),
    "transport stream": TRANSPORT,
    "AVCHD": replace(TRANSPORT, suffix=".m2ts", sound=AC3),
    "MPEG-2 transport stream": replace(PROGRAM, suffix=".ts", sound=AC3),
    "Matroska, 5.1": replace(H264, suffix=".mkv", sound=("ac3", 48_000, "5.1")),
    "WebM": Recorder(suffix=".webm", codec="libvpx-vp9", options=QUICK, sound=("libopus", 48_000, "stereo")),
    "Flash": replace(H264, suffix=".flv", sound=("aac", 44_100, "mono")),
    "MXF": Recorder(suffix=".mxf", codec="mpeg2video", pix_fmt="yuv422p", sound=("pcm_s16le", 48_000, "mono")),
    "in fragments": replace(H264, container_options={"movflags": "frag_keyframe+empty_moov"}),
    "raw RGB": Recorder(suffix=".avi", codec="rawvideo", pix_fmt="bgr24"),
    "bare h264": replace(H264, suffix=".h264", sound=None),
    "bare MPEG-2": replace(PROGRAM, suffix=".m2v", sound=None),
}


def coloured_picture(number: int, size: tuple[int, int] = (128, 96)) -> Picture:
    """A picture of this width and height, uint8 RGB [H, W, 3]."""
    width, height = size
    columns = np.arange(width)
    bars = np.array([255 * (number >> (BITS - 1 - bit) & 1) for bit in range(BITS)], dtype=np.uint8)
    picture = np.empty((height, width, 3), dtype=np.uint8)
    picture[: height // 2] = bars[columns * BITS // width][:, None]
    picture[height // 2 :] = COLOURS[columns * len(COLOURS) // width]
    return picture


def number_in(pixels_hwc: Picture) -> int:
    """The number in a picture of any size."""
    return number_of(pixels_hwc[: 2 * len(pixels_hwc) // 5])


def colours_in(pixels_hwc: Picture) -> NDArray[np.float64]:
    """Mean colours [4, 3] of the patches, by their inner parts."""
    height, width = pixels_hwc.shape[:2]
    band = pixels_hwc[round(0.65 * height) : round(0.85 * height)]
    count = len(COLOURS)
    parts = [band[:, round((n + 0.3) * width / count) : round((n + 0.7) * width / count)] for n in range(count)]
    return np.array([part.reshape(-1, 3).mean(axis=0) for part in parts])


def record(
    path: Path,
    made: Recorder,
    *,
    numbers: Sequence[int] = range(50),
    start_seconds: float = 0.0,
    sound_seconds: float | None = None,
) -> Path:
    """Write pictures of these numbers at 25 a second, and sound of the same length unless told otherwise."""
    with av.open(str(path), "w", options=dict(made.container_options)) as container:
        container.metadata["title"] = made.title
        video = container.add_stream(made.codec, rate=FPS)
        (video.width, video.height), video.pix_fmt = made.size, made.pix_fmt
        video.options = dict(made.options)
        if made.told and made.matrix is not None:
            video.codec_context.colorspace = made.matrix
        if made.told and made.colour_range is not None:
            video.codec_context.color_range = made.colour_range
        track = None
        if made.sound is not None:
            codec, rate, layout = made.sound
            track = container.add_stream(codec, rate=rate, layout=layout, options={"b": "128k"})
        packets = _video_packets(video, made, numbers, start_seconds)
        if track is not None:
            packets += _sound_packets(track, start_seconds, sound_seconds or len(numbers) / FPS)
        for packet in sorted(packets, key=lambda one: float((one.dts or 0) * one.time_base)):
            container.mux(packet)
    return path


def _video_packets(video: Any, made: Recorder, numbers: Sequence[int], start_seconds: float) -> list[Any]:
    packets = []
    for place, number in enumerate(numbers):
        drawn = av.VideoFrame.from_ndarray(coloured_picture(number, made.size), format="rgb24")
        frame = drawn.reformat(format=made.pix_fmt, dst_colorspace=made.matrix, dst_color_range=made.colour_range)
        if made.pix_fmt == "gray":  # FFmpeg itself would use the full range, and H.264 not say so
            luma = drawn.reformat(format="yuv420p").to_ndarray()[: drawn.height]
            frame = av.VideoFrame.from_ndarray(luma, format="gray")
        if not made.told:
            frame.colorspace = 2
        frame.pts, frame.time_base = place + round(start_seconds * FPS), Fraction(1, FPS)
        packets += video.encode(frame)
    return [*packets, *video.encode(None)]


def _sound_packets(track: Any, start_seconds: float, seconds: float) -> list[Any]:
    rate = track.codec_context.sample_rate
    quiet = np.zeros(round(min(ONSET_SECONDS, seconds) * rate), np.float32)
    samples = np.concatenate([quiet, tone(max(0.0, seconds - ONSET_SECONDS), rate)])
    block = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    block.sample_rate, block.pts, block.time_base = rate, 0, Fraction(1, rate)
    form = av.AudioResampler(track.codec_context.format.name, track.codec_context.layout.name, rate)
    queue = av.AudioFifo()
    for piece in (*form.resample(block), *form.resample(None)):
        piece.pts = None
        queue.write(piece)
    packets, begun = [], round(start_seconds * rate)
    while queue.samples:
        piece = queue.read(track.codec_context.frame_size or 1024, partial=True)
        piece.pts, piece.time_base = begun, Fraction(1, rate)
        begun += piece.samples
        packets += track.encode(piece)
    return [*packets, *track.encode(None)]


def seen(path: Path, fps: float) -> tuple[Scan, list[float], list[Picture]]:
    """What a scan at so many pictures a second finds, and these pictures with their seconds."""
    seconds: list[float] = []
    pictures: list[Picture] = []

    def keep(second: float, pixels: Picture) -> None:
        seconds.append(second)
        pictures.append(pixels)

    found = scan(path, keep, fps=fps, short_side_px=None)
    return found, seconds, pictures


def onset_seconds(audio: NDArray[np.float32]) -> float:
    """When sound sets in."""
    loud = np.abs(audio[: len(audio) // 160 * 160].reshape(-1, 160)).mean(axis=1) > 0.05
    return float(np.argmax(loud)) * 160 / SAMPLE_RATE_HZ
