"""What a container says of a video, once its first picture has been decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av.error
import numpy as np
from numpy.typing import NDArray

from ingest.config.sources import LimitsConfig
from ingest.media.clock import Clock
from ingest.media.container import (
    Packets,
    audio_place,
    audio_stream,
    claimed_seconds,
    clock_may_restart,
    container_seconds,
    decoded,
    keeps_times,
    mean_fps,
    opened,
    picture_step_seconds,
    pin_threads,
    presented_seconds,
    video_stream,
)
from ingest.media.geometry import geometry_of, pixel_aspect
from ingest.records import Probe


def probe(path: Path) -> Probe:
    """What the container says of a video.

    Where it says nothing of the length, or its clock may begin anew, the file is read through without decoding.
    Raises ValueError in one line if the file cannot be read, has no video stream or no picture that decodes.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        sound, _reason = audio_stream(container)
        picture = _first_picture(container, stream)
        if picture is None:
            raise ValueError(f"{path}: a video stream without a picture that decodes: replace or remove this file")
        width, height = geometry_of(picture, pixel_aspect(stream)).shown_size(picture.width, picture.height)
        told = claimed_seconds(stream) or container_seconds(container)
        return Probe(
            duration_seconds=told if told and not clock_may_restart(container) else _walked_seconds(container, stream),
            width_px=width,
            height_px=height,
            mean_fps=mean_fps(stream),
            video_streams=len(container.streams.video),
            audio_streams=len(container.streams.audio),
            audio_stream_index=audio_place(container, sound),
        )


def picture_seconds(path: Path) -> NDArray[np.float64]:
    """Presentation seconds [F] of all pictures, in the order in which they are shown, read without decoding.

    Raises ValueError in one line if the file cannot be read or holds no picture.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        clock, step_seconds, found = Clock(container, LimitsConfig()), picture_step_seconds(stream), []
        try:
            for packet in Packets(container, stream):
                if packet.size and not packet.is_discard:
                    # Packets come in the order of decoding, which a clock that looks for leaps takes for leaps.
                    told = presented_seconds(container, packet) if keeps_times(container) else None
                    found.append(clock.second(stream, packet, step_seconds) if told is None else told)
        except av.error.FFmpegError:
            pass  # a file that is cut off ends here
    if not found:
        raise ValueError(f"{path}: a video stream without a picture: replace or remove this file")
    return np.unique(np.array(found))


def _first_picture(container: Any, stream: Any) -> Any | None:
    pin_threads(stream, 1)
    return next((picture for packet in Packets(container, stream) for picture in decoded(packet)[0]), None)


def _walked_seconds(container: Any, stream: Any) -> float:
    """Where the last packet of a stream ends."""
    clock, step_seconds, reached = Clock(container, LimitsConfig()), picture_step_seconds(stream), 0.0
    try:
        for packet in Packets(container, stream):
            if packet.size:
                reached = max(reached, clock.second(stream, packet, step_seconds) + step_seconds)
    except av.error.FFmpegError:
        return reached  # a file that is cut off ends here
    return reached
