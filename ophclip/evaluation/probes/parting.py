"""Which videos of a dataset are trained on and which are scored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ophclip.evaluation.records import (
    PhaseDataset,
    PhaseVideo,
    PresenceDataset,
    PresenceVideo,
    phase_split_hash,
    presence_split_hash,
)
from ophclip.probe_options import ProbeConfig

Labelled = PhaseDataset | PresenceDataset
_LEAST = 2


@dataclass(frozen=True, slots=True)
class Parted:
    """A dataset in two, by video."""

    train: Labelled
    test: Labelled
    rule: str
    """Whose split it is, in words."""
    left_out: int
    """Videos of other splits."""

    @property
    def sha256(self) -> str:
        """Over classes, ids and labels of both parts."""
        return hashlib.sha256(f"train {_hash(self.train)} test {_hash(self.test)}".encode()).hexdigest()


def part(dataset: Labelled, config: ProbeConfig) -> Parted:
    """The dataset's own split where it names one, else a split that is drawn by video.

    Raises:
        ValueError: fewer than two videos, a split that is not there, or one video file in both parts.
    """
    name, videos = dataset.source.name, dataset.videos
    if len(videos) < _LEAST:
        raise ValueError(
            f"{name}: {len(videos)} labelled video(s); a probe needs at least one to train on and one more"
        )
    known = {video.split for video in videos} - {""}
    own = bool(known) and bool(config.train_split)
    if own:
        train, test = (_of_split(dataset, split) for split in (config.train_split, config.test_split))
        rule = f"the dataset's own: {config.train_split} and {config.test_split}"
    else:
        train, test = _drawn(videos, config)
        rule = f"drawn by video, {config.test_share:g} of them for test, seed {config.seed}"
    places = {video.path.resolve() for video in train}
    if shared := [video for video in test if video.path.resolve() in places]:
        raise ValueError(
            f"{shared[0].path}: this file is in both parts of {name}; what is trained on must not be scored"
        )
    left_out = len(videos) - len(train) - len(test)
    return Parted(_with(dataset, train), _with(dataset, test), rule=rule, left_out=left_out)


def _of_split(dataset: Labelled, split: str) -> Sequence[PhaseVideo | PresenceVideo]:
    kept = [video for video in dataset.videos if video.split == split]
    if not kept:
        known = ", ".join(sorted({video.split for video in dataset.videos} - {""}))
        raise ValueError(
            f"{dataset.source.name}: no video of split {split!r}, splits in the annotations: {known}; give train_split "
            "and test_split, or both empty for a split that is drawn"
        )
    return kept


def _drawn(
    videos: Sequence[PhaseVideo | PresenceVideo], config: ProbeConfig
) -> tuple[Sequence[PhaseVideo | PresenceVideo], Sequence[PhaseVideo | PresenceVideo]]:
    """By a permutation of the ids, so that the order of the files does not matter."""
    ordered = sorted(videos, key=lambda video: video.video_id)
    count = min(max(round(config.test_share * len(ordered)), 1), len(ordered) - 1)
    chosen = set(np.random.default_rng(config.seed).permutation(len(ordered))[:count].tolist())
    train = [video for place, video in enumerate(ordered) if place not in chosen]
    return train, [video for place, video in enumerate(ordered) if place in chosen]


def _with(dataset: Labelled, videos: Sequence[PhaseVideo | PresenceVideo]) -> Labelled:
    named = {video.video_id for video in videos}
    if isinstance(dataset, PhaseDataset):
        return replace(dataset, videos=tuple(video for video in dataset.videos if video.video_id in named))
    return replace(dataset, videos=tuple(video for video in dataset.videos if video.video_id in named))


def _hash(dataset: Labelled) -> str:
    return phase_split_hash(dataset) if isinstance(dataset, PhaseDataset) else presence_split_hash(dataset)
