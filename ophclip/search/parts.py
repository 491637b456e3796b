"""What was made of one video for an index, as one worker hands it to whoever joins the index.

Legend of shapes: n spans, D width, t thumbnails, b bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest import atomic


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Vectors and pictures of one video; what else its spans are follows from the source and its duration."""

    duration_seconds: float
    vectors_nd: NDArray[np.float32]
    """Of the whole video, then of its windows, then of its clips."""
    thumbnails: Mapping[int, bytes]
    """JPEG of each frame of the grid that stands for a span."""


def write_part(path: Path, part: Part) -> None:
    """Write a part, whole or not at all."""
    buffer = io.BytesIO()
    jpegs = list(part.thumbnails.values())
    np.savez(
        buffer,
        duration_seconds=np.float64(part.duration_seconds),
        vectors_nd=part.vectors_nd,
        frames_t=np.array(list(part.thumbnails), dtype=np.int64),
        sizes_t=np.array([len(jpeg) for jpeg in jpegs], dtype=np.int64),
        jpegs_b=np.frombuffer(b"".join(jpegs), dtype=np.uint8),
    )
    atomic.write_bytes(path, buffer.getvalue())


def read_part(path: Path) -> Part:
    """Read what `write_part` wrote.

    Raises:
        ValueError: the file is damaged; it is removed, so that the next run makes it again.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            ends_t = np.cumsum(held["sizes_t"])
            jpegs = held["jpegs_b"].tobytes()
            return Part(
                duration_seconds=float(held["duration_seconds"]),
                vectors_nd=held["vectors_nd"],
                thumbnails={
                    int(frame): jpegs[end - size : end]
                    for frame, size, end in zip(held["frames_t"], held["sizes_t"], ends_t, strict=True)
                },
            )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        path.unlink(missing_ok=True)
        raise ValueError(f"{path}: not as it was written ({error}); run the same command again") from error
