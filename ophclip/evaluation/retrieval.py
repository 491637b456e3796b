"""How often a search is right, judged by instrument presence, beside what random stretches would reach.

A hit is right if the instrument is present in the truth at any labelled second within [start, end].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import PromptSet, normal
from ophclip.evaluation.records import PresenceDataset, PresenceVideo

_CLOCK_TOLERANCE = 1e-6


class Stretch(Protocol):
    """What is judged: a span of one video, such as a search hit."""

    @property
    def video_id(self) -> str: ...
    @property
    def start_seconds(self) -> float: ...
    @property
    def end_seconds(self) -> float: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionAtK:
    """One query's score: `right` says of each hit whether it is; missing hits count as wrong."""

    label: str
    k: int
    precision: float
    chance: float
    """Mean over the hits of the share that is right of all stretches as long as the hit, starting at whole seconds."""
    right: tuple[bool, ...]


def truth_label(query: str, classes: Sequence[str], prompts: PromptSet) -> str:
    """The truth's class that a query names, directly or by a synonym.

    Raises:
        ValueError: the query names no class of the truth.
    """
    for label in classes:
        if normal(label) == normal(query):
            return label
    named = prompts.named_in(query)
    if named is not None:
        keys = {normal(text) for text in (named.label, *named.name, *named.synonyms)}
        for label in classes:
            if normal(label) in keys:
                return label
    raise ValueError(f"query {query!r} names no instrument of the truth; it has {', '.join(classes)}")


def precision_at_k(hits: Sequence[Stretch], truth: PresenceDataset, label: str, k: int = 5) -> PrecisionAtK:
    """Share of the first `k` hits that are right.

    Raises:
        ValueError: `label` is not a class of the truth, or a hit lies in a video without truth.
    """
    if label not in truth.classes:
        raise ValueError(f"{label!r} is not a class of the truth; it has {', '.join(truth.classes)}")
    column = truth.classes.index(label)
    videos = {video.video_id: video for video in truth.videos}
    if strange := [hit.video_id for hit in hits[:k] if hit.video_id not in videos]:
        raise ValueError(
            f"a hit lies in {strange[0]}, of which there is no truth; search an index of the labelled videos"
        )
    right = tuple(_present(videos[hit.video_id], column, hit.start_seconds, hit.end_seconds) for hit in hits[:k])
    lengths = [hit.end_seconds - hit.start_seconds for hit in hits[:k]]
    chances = [_share_right(truth, column, length) for length in lengths]
    return PrecisionAtK(
        label=label,
        k=k,
        precision=sum(right) / k,
        chance=float(np.mean(chances)) if chances else 0.0,
        right=right,
    )


def _present(video: PresenceVideo, column: int, start_seconds: float, end_seconds: float) -> bool:
    seconds_n = video.seconds_n
    inside_n = (seconds_n >= start_seconds - _CLOCK_TOLERANCE) & (seconds_n <= end_seconds + _CLOCK_TOLERANCE)
    return bool((video.present_nc[inside_n, column] == 1).any())


def _share_right(truth: PresenceDataset, column: int, length_seconds: float) -> float:
    verdicts = [
        _present(video, column, start, start + length_seconds)
        for video in truth.videos
        for start in _starts(video.seconds_n, length_seconds)
    ]
    return float(np.mean(verdicts))


def _starts(seconds_n: Floats, length_seconds: float) -> Floats:
    last = max(float(seconds_n[-1]) + 1.0 - length_seconds, 0.0)
    return np.arange(0.0, last + _CLOCK_TOLERANCE, 1.0)
