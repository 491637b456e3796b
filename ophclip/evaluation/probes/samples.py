"""Labelled seconds of videos with the features of the frames that are shown at them.

Shapes: T frames, N labelled seconds, C classes, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import PhaseDataset, PhaseVideo, PresenceDataset, PresenceVideo, class_ids_at
from ophclip.progress import Progress

Features = NDArray[np.float32]


class Embedded(Protocol):
    """Frames of one video as vectors."""

    @property
    def seconds_t(self) -> Floats:
        """When each is shown [T]."""
        ...

    @property
    def vectors_td(self) -> Features:
        """Vectors [T, D]."""
        ...


class Source(Protocol):
    """What gives the vectors of a video."""

    def video(self, path: Path) -> Embedded:
        """The vectors of one."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeVideo:
    """One video: frames `vectors_td` [T, D] and labels `truth_nc` [N, C], 0 or 1, NaN where nobody said.

    Label n belongs to frame `rows_n[n]` [N]. Of phases every frame has a row, all NaN where no segment covers it.
    """

    video_id: str
    path: Path
    seconds_n: Floats
    rows_n: Ints
    truth_nc: Floats
    vectors_td: Features

    @property
    def samples_nd(self) -> Features:
        """The vector at each labelled second [N, D]."""
        return self.vectors_td[self.rows_n]

    @property
    def known_n(self) -> NDArray[np.bool_]:
        """Where anything is said [N]."""
        return np.asarray(~np.isnan(self.truth_nc).all(axis=1))


def probe_videos(
    source: Source, dataset: PhaseDataset | PresenceDataset, progress: Progress | None = None
) -> tuple[ProbeVideo, ...]:
    """Labels and features of every video of a dataset.

    Raises:
        ValueError: a video cannot be read, has no labelled second, or a feature is not a number.
    """
    videos: Sequence[PhaseVideo | PresenceVideo] = dataset.videos
    found = []
    for done, video in enumerate(videos):
        if progress is not None:
            progress(done, len(videos), video.path.name)
        found.append(_probe_video(source.video(video.path), video, dataset.classes))
    return tuple(found)


def _probe_video(embedded: Embedded, video: PhaseVideo | PresenceVideo, classes: Sequence[str]) -> ProbeVideo:
    seconds_t = embedded.seconds_t
    bad_t = np.asarray(~np.isfinite(embedded.vectors_td).all(axis=1))
    if bad_t.any():
        second = seconds_t[int(np.argmax(bad_t))]
        raise ValueError(
            f"{video.path}: {int(bad_t.sum())} of {len(bad_t)} frame vectors hold NaN or infinity, the first at "
            f"{second:g} s; check the weights or make the embeddings anew"
        )
    if isinstance(video, PhaseVideo):
        seconds_n, rows_n = seconds_t, np.arange(len(seconds_t))
        truth_nc = one_hot(class_ids_at(video.segments, classes, seconds_t), len(classes))
    else:
        step = float(np.median(np.diff(seconds_t))) if len(seconds_t) > 1 else 1.0
        inside_n = (video.seconds_n >= seconds_t[0]) & (video.seconds_n < seconds_t[-1] + step)
        seconds_n, truth_nc = video.seconds_n[inside_n], video.present_nc[inside_n]
        rows_n = np.searchsorted(seconds_t, seconds_n + 1e-6, side="right") - 1
    if not len(truth_nc) or np.isnan(truth_nc).all():
        raise ValueError(
            f"{video.path}: no labelled second of {video.video_id} lies within the file; is it this video?"
        )
    return ProbeVideo(
        video_id=video.video_id,
        path=video.path,
        seconds_n=seconds_n,
        rows_n=rows_n.astype(np.int64),
        truth_nc=truth_nc,
        vectors_td=embedded.vectors_td.astype(np.float32, copy=False),
    )


def one_hot(ids_n: Ints, classes: int) -> Floats:
    """Class ids [N] as rows [N, C] of 0 and 1, of NaN where an id is negative."""
    rows_nc = np.where(ids_n[:, None] == np.arange(classes), 1.0, 0.0)
    rows_nc[ids_n < 0] = np.nan
    return rows_nc


def ids_of(truth_nc: Floats) -> Ints:
    """The opposite of `one_hot` [N]."""
    known_n = ~np.isnan(truth_nc).any(axis=1)
    return np.where(known_n, np.nan_to_num(truth_nc).argmax(axis=1), -1).astype(np.int64)
