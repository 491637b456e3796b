"""What evaluation passes around: labelled videos, torch-free. Seconds are presentation seconds, as float.

Shapes: N labelled seconds, C classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNLABELLED = -1
"""Class id of a second that no segment covers: it is left out of every score."""

SLACK_SECONDS = 1.0
"""A label may end so long after its video: annotations are rounded to seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where a dataset comes from and how its labels are read where the files leave a choice."""

    name: str
    license: str
    citation: str
    obtain: str
    overlap_rule: str = (
        "where segments overlap, the one that starts last holds; of those that start together, the one that ends first"
    )
    background_rule: str = "seconds outside every segment are unlabelled and not scored"


class Task(StrEnum):
    """What a dataset asks."""

    PHASE = "phase"
    """Which phase is it, second by second?"""
    PRESENCE = "presence"
    """Which instruments are seen, at given seconds of a video?"""
    CLIP = "clip"
    """Which one class does a clip that was cut beforehand show?"""
    PICTURE = "picture"
    """Which instruments are seen in a single picture?"""
    PROCEDURE = "procedure"
    """Which operations does a whole video show?"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of a dataset before its files are read."""

    source: Source
    task: Task
    classes: int
    """How many there are; 0 where the table that is read decides."""
    protocol: str
    """Name of the rule by which it is scored; empty where none is settled."""
    prompts: str = ""
    """Shipped prompts; empty where you give your own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSegment:
    """A phase over the half-open span [start, end) of one video."""

    start_seconds: float
    end_seconds: float
    label: str
    where: str = field(default="", compare=False)
    """File and line from which it was read, for messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseVideo:
    """One video with its phases, ordered by start; `attributes` are for subgroups (surgeon, experience)."""

    video_id: str
    path: Path
    segments: tuple[LabelSegment, ...]
    split: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseDataset:
    """Videos labelled with one phase at a time; `classes` in the owner's order are the list that is predicted over."""

    source: Source
    classes: tuple[str, ...]
    videos: tuple[PhaseVideo, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PresenceVideo:
    """One video with 0/1 presence of each class at given seconds; `present_nc` holds NaN where nobody said."""

    video_id: str
    path: Path
    seconds_n: NDArray[np.float64]
    present_nc: NDArray[np.float64]
    split: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PresenceDataset:
    """Videos labelled with any number of classes at a time."""

    source: Source
    classes: tuple[str, ...]
    videos: tuple[PresenceVideo, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledFile:
    """A file labelled as a whole: a clip with its class, a picture with its instruments, a video with its operations.

    `video_id` is the video that it was taken from, over which intervals are drawn; `group` tells apart tasks that share
    a dataset.
    """

    file_id: str
    path: Path
    labels: tuple[str, ...]
    video_id: str
    split: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileDataset:
    """Files labelled as a whole, with one label each (clips) or any number of them (pictures, procedures)."""

    source: Source
    task: Task
    """`CLIP`, `PICTURE` or `PROCEDURE`."""
    classes: tuple[str, ...]
    files: tuple[LabelledFile, ...]


Dataset = PhaseDataset | PresenceDataset | FileDataset


def outlasting_seconds(video: PhaseVideo | PresenceVideo, duration_seconds: float) -> float:
    """By how much the labels of a video outlast it; 0 within `SLACK_SECONDS`."""
    if isinstance(video, PhaseVideo):
        last = max((part.end_seconds for part in video.segments), default=0.0)
    else:
        last = float(video.seconds_n.max(initial=0.0))
    return last - duration_seconds if last - duration_seconds > SLACK_SECONDS else 0.0


def last_line(video: PhaseVideo | PresenceVideo) -> str:
    """File and line of the label that ends last, empty where they are not known."""
    segments = video.segments if isinstance(video, PhaseVideo) else ()
    return max(segments, key=lambda part: part.end_seconds).where if segments else ""


def labelled_files(dataset: Dataset) -> dict[str, Path]:
    """Every labelled file by its id."""
    if isinstance(dataset, FileDataset):
        return {file.file_id: file.path for file in dataset.files}
    return {video.video_id: video.path for video in dataset.videos}


def class_ids_at(
    segments: Sequence[LabelSegment], classes: Sequence[str], seconds_n: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Class id [N] at each second, UNLABELLED outside every segment.

    Of overlapping ones the last to start holds, of those that start together the first to end: no label is lost.
    """
    ids_n = np.full(len(seconds_n), UNLABELLED, dtype=np.int64)
    number = {label: index for index, label in enumerate(classes)}
    for segment in sorted(segments, key=lambda item: (item.start_seconds, -item.end_seconds)):
        inside_n = (seconds_n >= segment.start_seconds) & (seconds_n < segment.end_seconds)
        ids_n[inside_n] = number[segment.label]
    return ids_n


def phase_split_hash(dataset: PhaseDataset) -> str:
    """SHA-256 over class list, video ids and labels, so that two results can be told to be of the same split."""
    lines = ["|".join(dataset.classes)]
    for video in sorted(dataset.videos, key=lambda item: item.video_id):
        spans = (f"{part.start_seconds:.3f},{part.end_seconds:.3f},{part.label}" for part in video.segments)
        lines.append(f"{video.video_id}|{video.split}|" + "|".join(spans))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def presence_split_hash(dataset: PresenceDataset) -> str:
    """SHA-256 over class list, video ids, seconds and labels."""
    digest = hashlib.sha256("|".join(dataset.classes).encode())
    for video in sorted(dataset.videos, key=lambda item: item.video_id):
        digest.update(f"\n{video.video_id}\n".encode())
        digest.update(np.ascontiguousarray(video.seconds_n, dtype="<f8").tobytes())
        digest.update(np.nan_to_num(video.present_nc, nan=-1.0).astype("<f8").tobytes())
    return digest.hexdigest()


def file_split_hash(dataset: FileDataset) -> str:
    """SHA-256 over class list, files and labels."""
    lines = ["|".join(dataset.classes)]
    lines += (
        "|".join((file.file_id, file.video_id, file.split, file.group, *file.labels))
        for file in sorted(dataset.files, key=lambda item: item.file_id)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
