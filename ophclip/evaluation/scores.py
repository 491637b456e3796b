"""The score of every class over time, which lies beside a result: for its pictures, and to compute it again.

`scores.npz` holds plain arrays, compressed, all videos one behind the other: `video_ids` [V], `lengths` [V], `seconds`
[T] as 64-bit and `scores` [T, C] as 32-bit floats, and of presence `present` [T, C] as 0, 1, or -1 where nobody said.
An hour at 1 fps takes 173 KB for 10 classes, and of presence 209 KB, before compression.

Shapes: T scored seconds, C classes, V videos.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_bytes
from ophclip.evaluation.metrics import Floats

SCORES = "scores.npz"
_UNSAID = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoScores:
    """Scores of one video; of presence also the labels, NaN where nobody said."""

    video_id: str
    seconds_t: Floats
    scores_tc: NDArray[np.float32]
    present_tc: Floats | None = None


def write_scores(path: Path, videos: Sequence[VideoScores]) -> None:
    """Write them whole or not at all; the same scores give the same bytes. All videos have labels, or none has."""
    arrays: dict[str, NDArray[np.generic]] = {
        "video_ids": np.array([video.video_id for video in videos]),
        "lengths": np.array([len(video.seconds_t) for video in videos]),
        "seconds": np.concatenate([video.seconds_t for video in videos]).astype(np.float64),
        "scores": np.concatenate([video.scores_tc for video in videos]).astype(np.float32),
    }
    labels = [video.present_tc for video in videos if video.present_tc is not None]
    if labels:
        arrays["present"] = np.nan_to_num(np.concatenate(labels), nan=_UNSAID).astype(np.int8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_scores(path: Path, classes: int) -> tuple[VideoScores, ...]:
    """Read what `write_scores` wrote.

    Raises:
        ValueError: the file is damaged, or holds other classes.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            names, lengths = arrays["video_ids"], arrays["lengths"]
            seconds, scores = arrays["seconds"], arrays["scores"]
            present = arrays.get("present")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not the scores of an evaluation ({error}); evaluate again") from error
    if scores.shape != (len(seconds), classes) or lengths.sum() != len(seconds) or len(names) != len(lengths):
        wanted = f"{len(seconds)} seconds of {classes} classes"
        raise ValueError(f"{path}: scores of shape {scores.shape}, expected {wanted}; evaluate again")
    cuts = np.cumsum(lengths)[:-1]
    labels = [None] * len(names) if present is None else np.split(_labels(present), cuts)
    parts = zip(names.tolist(), np.split(seconds, cuts), np.split(scores, cuts), labels, strict=True)
    return tuple(
        VideoScores(video_id=name, seconds_t=seconds_t, scores_tc=scores_tc, present_tc=present_tc)
        for name, seconds_t, scores_tc, present_tc in parts
    )


def _labels(present_tc: NDArray[np.int8]) -> Floats:
    return np.where(present_tc == _UNSAID, np.nan, present_tc).astype(np.float64)
