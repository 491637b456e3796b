"""How well two videos agree picture after picture, once one of them is shifted in time.

T and T' are the pictures of the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

APART_SECONDS = 4.0
"""A shift that differs by more is another one."""

Seconds = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One video that shows what another shows."""

    video_id: str
    of: str
    score: float
    """Share of the pictures of the shorter, or the more sparsely sampled, video that agree at one shift in time."""
    why: str
    """`same` or `mirrored`, whether one is a crop of the other, and the shift in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """What two videos have in common at the shift at which they agree best."""

    share: float = 0.0
    """Of the pictures of the video with fewer to show."""
    shift_seconds: float = 0.0
    elsewhere: float = 0.0
    """The largest share at another shift."""


def agreement(
    differing: NDArray[np.uint8] | NDArray[np.float32],
    most: float,
    seconds: tuple[Seconds, Seconds],
    shift_seconds: float,
) -> Agreement:
    """Where two videos with pictures at these `seconds` [T] and [T'] agree best.

    Of `differing` [T, T'] at most `most` is agreement; shifts are told apart as finely as `shift_seconds`.
    """
    mine, theirs = seconds
    rows, columns = np.nonzero(differing <= most)
    if not len(rows):
        return Agreement()
    bins = np.round((theirs[columns] - mine[rows]) / shift_seconds).astype(np.int64)
    least = int(bins.min()) - 1
    expected = _expected(mine, theirs), _expected(theirs, mine)
    agreeing = _distinct(bins - least, rows if expected[0] <= expected[1] else columns)
    # Where nothing moves many shifts agree: the one of them at which the pictures are closest.
    close = np.bincount(bins - least, most + 1.0 - differing[rows, columns], minlength=len(agreeing))
    best = int(np.argmax(agreeing + close / (close.max() + 1.0)))
    apart = np.abs(np.arange(len(agreeing)) - best) > APART_SECONDS / shift_seconds
    return Agreement(
        share=min(1.0, float(agreeing[best] / min(expected))),
        shift_seconds=(best + least) * shift_seconds,
        elsewhere=float(agreeing[apart].max(initial=0) / min(expected)),
    )


def _expected(seconds: Seconds, other: Seconds) -> int:
    """How many pictures of a video another can show at most, given how long that is."""
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    return min(len(seconds), int((other[-1] - other[0]) / step + 1.5))


def _distinct(bins: NDArray[np.int64], pictures: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many pictures stand in each bin or in the one before or after it; bins count from 1."""
    length = int(pictures.max()) + 1
    near = np.concatenate([bins - 1, bins, bins + 1])
    seen = np.unique(near * length + np.tile(pictures, 3))
    return np.bincount(seen // length, minlength=int(bins.max()) + 2)
