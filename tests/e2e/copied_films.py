"""Copies of real recordings as they go round: smaller, cropped, mirrored, trimmed, in another codec."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

FPS = 10


def pictures(path: Path, first_second: float) -> Iterator[NDArray[np.uint8]]:
    """Ten a second, from a moment on."""
    due = first_second
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= due:
                due += 1.0 / FPS
                yield frame.to_ndarray(format="rgb24")


def copy(source: Path, target: Path, *, margins: tuple[float, float, float, float], mirror: bool, trim: float) -> None:
    """Without `margins` (above, below, left, right), turned if wanted, smaller, in another codec, without sound."""
    above, below, left, right = margins
    with av.open(str(target), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 224, "yuv420p", 400_000
        for number, picture in enumerate(pictures(source, trim)):
            height, width = picture.shape[:2]
            part = picture[round(above * height) : round((1 - below) * height)]
            part = part[:, round(left * width) : round((1 - right) * width)]
            small = cv2.resize(np.ascontiguousarray(part[:, :: -1 if mirror else 1]), (320, 224))
            frame = av.VideoFrame.from_ndarray(small, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
