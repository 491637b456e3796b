"""What a decoding process does: an uploaded file to a few small pictures, within limits that the system enforces.

Whatever it raises or dies of costs one upload. It never sees the model, and reads no file but the one it is given.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.config.sources import LimitsConfig
from ingest.pool import Tell
from ophclip.evaluation.vectors import grid_seconds
from ophclip.serving_options import UploadLimits

_LONGEST_SIDES = 4
"""A picture is cut to this many times its short side around its middle; the model sees the middle square."""


class Kind(StrEnum):
    """What is uploaded."""

    PICTURE = "picture"
    CLIP = "clip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file to decode."""

    path: Path
    kind: Kind
    short_side_px: int
    """What pictures are brought down to."""
    fps: float
    """At which a clip is read, if that does not make too many frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfit:
    """Why a file is refused, in words that do not name it."""

    reason: str


Decode = Callable[[Upload, Tell], "list[NDArray[np.uint8]] | Unfit"]


def is_known(head: bytes, kind: Kind) -> bool:
    """Whether the first bytes (at least 400, where there are as many) are those of a format that is read.

    Playlists and the like, which would make the decoder open other files, have none of these.
    """
    if kind is Kind.PICTURE:
        return head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")) or _is_riff(head, b"WEBP")
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
    begins = (b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")
    return head[4:8] in boxes or head.startswith(begins) or _is_riff(head, b"AVI ") or _is_transport_stream(head)


def _is_riff(head: bytes, form: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == form


def _is_transport_stream(head: bytes) -> bool:
    return any(head[at : at + 1] == head[at + step : at + step + 1] == b"G" for at, step in ((0, 188), (4, 192)))


def build_decoder(limits: UploadLimits) -> Decode:
    """Called once in the process: bounds its memory, and returns what decodes."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the service lets it finish, and ends it
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(limits.max_pixels)  # read when OpenCV is first used
    import ingest.media.readers  # noqa: F401  loaded before memory is bounded, so that the bound is the upload's alone

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries say of a file's content is nobody's business
    for what, most in ((resource.RLIMIT_AS, limits.decode_memory_mb << 20), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))
    return lambda upload, _tell: _decode(upload, limits)


def _decode(upload: Upload, limits: UploadLimits) -> list[NDArray[np.uint8]] | Unfit:
    _allow_seconds(limits.decode_seconds)
    try:
        found = _picture(upload) if upload.kind is Kind.PICTURE else _clip(upload, limits)
    except ValueError as error:
        return Unfit(reason=str(error).removeprefix(f"{upload.path}: "))
    return [_middle(pixels_hwc) for pixels_hwc in found]


def _allow_seconds(seconds: float) -> None:
    """So much more of the processor's time, then the system ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _picture(upload: Upload) -> list[NDArray[np.uint8]]:
    import cv2

    from ingest.media.geometry import scaled_size

    try:
        pixels = cv2.imdecode(np.fromfile(upload.path, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError("a picture that is damaged or too large; expected a JPEG, PNG or WebP of less") from error
    if pixels is None:
        raise ValueError("a picture that cannot be read; expected an undamaged JPEG, PNG or WebP")
    size = scaled_size(pixels.shape[1], pixels.shape[0], upload.short_side_px)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if size != pixels.shape[1::-1] else pixels
    return [np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), dtype=np.uint8)]


def _clip(upload: Upload, limits: UploadLimits) -> list[NDArray[np.uint8]]:
    # This process is the upload's own already: `ingest.media` would decode in one more.
    from ingest.media.container import opened, require_within, video_stream
    from ingest.media.probe import probe
    from ingest.media.readers import frame_blocks

    allowed = LimitsConfig(
        max_pixels=limits.max_pixels, max_hours=limits.clip_seconds / 3600, max_streams=limits.clip_streams
    )
    with opened(upload.path) as container:
        require_within(container, video_stream(container, upload.path), upload.path, allowed)
    duration_seconds = probe(upload.path).duration_seconds
    if duration_seconds > limits.clip_seconds:
        raise ValueError(f"a clip of {duration_seconds:.0f} s; expected {limits.clip_seconds:g} s at most: cut it")
    seconds_t = grid_seconds(duration_seconds, min(upload.fps, limits.clip_frames / max(duration_seconds, 1e-3)))
    blocks = frame_blocks(
        upload.path, seconds_t[: limits.clip_frames], limits.clip_frames, short_side_px=upload.short_side_px
    )
    return [pixels_hwc for block in blocks for pixels_hwc in block.pixels_thwc]


def _middle(pixels_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels_hwc.shape[:2]
    longest = _LONGEST_SIDES * min(height, width)
    top, left = max(height - longest, 0) // 2, max(width - longest, 0) // 2
    return np.ascontiguousarray(pixels_hwc[top : top + longest, left : left + longest])
