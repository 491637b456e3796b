"""What an evaluation returns and how it is written: every figure with its protocol, hashes, seed and intervals.

Shapes: T scored seconds of one video, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from ingest.atomic import write_json
from ophclip.config import PresenceThreshold
from ophclip.evaluation.clips import Clip
from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.metrics import Floats, PhaseScore
from ophclip.evaluation.operating import OperatingPoint
from ophclip.evaluation.receipts import Receipt
from ophclip.evaluation.records import Source, Task
from ophclip.evaluation.scored_files import ScoredFile
from ophclip.evaluation.scores import VideoScores
from ophclip.evaluation.timelines import Timeline
from ophclip.evaluation.transitions import Transitions
from ophclip.smoothing_options import SmoothingConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Everything that a figure depends on."""

    protocol: str
    fps: float
    window_seconds: float
    dataset: Source
    split_sha256: str
    prompts_name: str
    prompts_author: str
    prompts_date: str
    prompts_sha256: str
    model_name: str
    weights_sha256: str
    code_version: str
    seed: int
    bootstrap_samples: int
    chance_samples: int
    split: str = ""
    """The part of the dataset that was scored; empty: all of it."""
    fit_split: str = ""
    """The part from which thresholds and transitions were learned; empty: nothing was."""
    fit_split_sha256: str = ""
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    """Transitions that were given are named as what lies beside the result, whatever their file was called."""
    fit_recall: float = 0.0
    transitions_sha256: str = ""
    """Hash of the transitions between phases; empty where none were used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Throughput:
    """How fast it went; `frames` counts those decoded and encoded now, not those that came from the cache."""

    frames: int
    video_seconds: float
    wall_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocolFigures:
    """What one protocol says of the same predictions."""

    rule: str
    figures: Mapping[str, Estimate]
    videos: Mapping[str, Mapping[str, float]]
    """Figures by video, where they are means over videos."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmoothedFigures:
    """What is said of predictions that take other seconds of the video into account, apart from the plain ones."""

    method: str
    summary: Mapping[str, Estimate]
    class_f1: Mapping[str, Estimate]
    videos: Mapping[str, PhaseScore]
    undefined: int
    protocols: Mapping[str, ProtocolFigures]
    calibration: Mapping[str, Estimate]

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """Plain tree."""
        return {
            "method": self.method,
            "summary": _estimates(self.summary),
            "class_f1": _estimates(self.class_f1),
            "videos": [{"video_id": name, **_score_row(score, classes)} for name, score in self.videos.items()],
            "undefined": self.undefined,
            "protocols": {name: asdict(figures) for name, figures in self.protocols.items()},
            "calibration": _estimates(self.calibration),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupFigures:
    """Figures of the videos that share an attribute: `video_macro_v1` of phases, of clips those of the summary."""

    videos: int
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseResult:
    """Zero-shot phase recognition over a dataset. `summary` is the ensemble of all prompt styles, unsmoothed."""

    provenance: Provenance
    throughput: Throughput
    classes: tuple[str, ...]
    summary: Mapping[str, Estimate]
    chance: Mapping[str, float]
    styles: Mapping[str, Mapping[str, Estimate]]
    smoothed: Mapping[str, SmoothedFigures]
    """`causal` and `offline`, as far as they were asked for."""
    class_f1: Mapping[str, Estimate]
    videos: Mapping[str, PhaseScore]
    undefined: int
    """Precision cells without a prediction, over all videos; they count as 0."""
    absent: int
    """Cells of classes absent from a video's ground truth; they are left out."""
    timelines: tuple[Timeline, ...]
    transitions: Transitions | None
    """How phases follow each other, as the smoothing was told; None where it was not asked for."""
    clips: tuple[Clip, ...]
    protocols: Mapping[str, ProtocolFigures]
    """Every named protocol that applies, unsmoothed."""
    calibration: Mapping[str, Estimate]
    """`ece` and `aurc`; empty without confidences."""
    attributes: Mapping[str, Mapping[str, str]]
    """What the dataset says of each video: surgeon, experience, ..."""
    groups: Mapping[str, Mapping[str, GroupFigures]]
    """By attribute and its value, and by length."""
    past_the_end: Mapping[str, float] = field(default_factory=dict)
    """By how many seconds the labels of a video outlast it, where they do: those are not scored."""
    last_lines: Mapping[str, str] = field(default_factory=dict)
    """File and line of the label that ends last, of the videos in `past_the_end`, for the headline."""
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def headline(self) -> str:
        """Its main figures in one line."""
        f1, accuracy = self.summary["f1"], self.summary["accuracy"]
        return (
            f"{self.provenance.protocol}: macro F1 {f1} "
            f"(chance {self.chance['f1']:.3f}), accuracy {accuracy.mean:.3f}, {len(self.videos)} videos"
            f"{_outlasted(self.past_the_end, self.last_lines)}{self.receipt.leakage.alarm}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain tree without timelines and transitions; undefined figures are null."""
        rows = [
            {"video_id": name, "attributes": dict(self.attributes[name]), **_score_row(score, self.classes)}
            for name, score in self.videos.items()
        ]
        tree = {
            "task": "phases",
            "provenance": asdict(self.provenance),
            "throughput": asdict(self.throughput),
            "classes": list(self.classes),
            "summary": _estimates(self.summary),
            "chance": dict(self.chance),
            "styles": {style: _estimates(figures) for style, figures in self.styles.items()},
            "smoothed": {name: figures.to_json(self.classes) for name, figures in self.smoothed.items()},
            "class_f1": _estimates(self.class_f1),
            "videos": rows,
            "undefined": self.undefined,
            "absent": self.absent,
            "past_the_end": dict(self.past_the_end),
            "protocols": {name: asdict(figures) for name, figures in self.protocols.items()},
            "calibration": _estimates(self.calibration),
            "groups": {
                attribute: {value: asdict(figures) for value, figures in values.items()}
                for attribute, values in self.groups.items()
            },
            **self.receipt.to_json(),
        }
        return {key: nulled(value) for key, value in tree.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class PresenceVideoScore:
    """One video's figures by class [C]; NaN where the video has no positive (or no negative, for the rate)."""

    seconds: int
    average_precision_c: Floats
    false_positive_rate_c: Floats
    evidence: VideoScores
    """The labels and scores that it was made from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PresenceResult:
    """Zero-shot presence over a dataset: `instrument_video_map` of the ensemble of all prompt styles."""

    provenance: Provenance
    throughput: Throughput
    classes: tuple[str, ...]
    mean_average_precision: Estimate
    chance: float
    threshold: PresenceThreshold
    false_positive_rate: Estimate
    styles: Mapping[str, Estimate]
    class_average_precision: Mapping[str, Estimate]
    videos: Mapping[str, PresenceVideoScore]
    nulls: int
    """Cells of class and video without a positive; they are left out."""
    unseen: tuple[str, ...]
    """Classes without a positive in any video: no part of the mean."""
    operating_point: OperatingPoint | None = None
    """Presence as yes or no, by bars learned from `fit_split`; None without one."""
    past_the_end: Mapping[str, float] = field(default_factory=dict)
    """By how many seconds the labels of a video outlast it, where they do: those are not scored."""
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def headline(self) -> str:
        """Its main figure in one line."""
        precision = self.mean_average_precision
        return (
            f"{self.provenance.protocol}: mAP {precision} "
            f"(chance {self.chance:.3f}), {len(self.videos)} videos"
            f"{_outlasted(self.past_the_end, {})}{self.receipt.leakage.alarm}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain tree; undefined figures are null."""
        rows = [
            {
                "video_id": name,
                "seconds": score.seconds,
                "average_precision": _by_class(self.classes, score.average_precision_c),
                "false_positive_rate": _by_class(self.classes, score.false_positive_rate_c),
            }
            for name, score in self.videos.items()
        ]
        tree = {
            "task": "presence",
            "provenance": asdict(self.provenance),
            "throughput": asdict(self.throughput),
            "classes": list(self.classes),
            "summary": {"mean_average_precision": asdict(self.mean_average_precision)},
            "chance": {"mean_average_precision": self.chance},
            "threshold": self.threshold.value,
            "false_positive_rate": asdict(self.false_positive_rate),
            "styles": _estimates(self.styles),
            "class_average_precision": _estimates(self.class_average_precision),
            "videos": rows,
            "nulls": self.nulls,
            "unseen": list(self.unseen),
            "past_the_end": dict(self.past_the_end),
            "operating_point": self.operating_point.to_json() if self.operating_point else None,
            **self.receipt.to_json(),
        }
        return {key: nulled(value) for key, value in tree.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class FileResult:
    """Zero-shot recognition of files that are labelled as a whole. `summary` is the ensemble of all prompt styles."""

    provenance: Provenance
    throughput: Throughput
    task: Task
    classes: tuple[str, ...]
    summary: Mapping[str, Estimate]
    chance: Mapping[str, float]
    styles: Mapping[str, Mapping[str, Estimate]]
    class_figures: Mapping[str, Mapping[str, Estimate]]
    """Of clips F1 and recall, of pictures and procedures average precision, by class."""
    class_files: Mapping[str, int]
    """How many files are labelled with each class; one without any is no part of a mean."""
    protocols: Mapping[str, ProtocolFigures]
    groups: Mapping[str, Mapping[str, GroupFigures]]
    """Clips of a dataset of several tasks, task by task."""
    videos: Mapping[str, Mapping[str, Any]]
    """How many files of each, and its own figures where it has any."""
    nulls: int
    """Cells of class and video without a positive picture; they are left out."""
    files: tuple[ScoredFile, ...]
    receipt: Receipt = field(default_factory=Receipt)

    @property
    def headline(self) -> str:
        """Its main figures in one line."""
        name, first = next(iter(self.summary.items()))
        word = "files" if self.task is Task.PROCEDURE else f"{self.task.value}s"
        return (
            f"{self.provenance.protocol}: {name} {first} "
            f"(chance {self.chance[name]:.3f}), {len(self.files)} {word} of {len(self.videos)} videos"
            f"{self.receipt.leakage.alarm}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain tree without the files; undefined figures are null."""
        tree = {
            "task": f"{self.task.value}s",
            "provenance": asdict(self.provenance),
            "throughput": asdict(self.throughput),
            "classes": list(self.classes),
            "summary": _estimates(self.summary),
            "chance": dict(self.chance),
            "styles": {style: _estimates(figures) for style, figures in self.styles.items()},
            **{name: _estimates(figures) for name, figures in self.class_figures.items()},
            "class_files": dict(self.class_files),
            "unseen": [label for label, count in self.class_files.items() if not count],
            "nulls": self.nulls,
            "videos": [{"video_id": name, **row} for name, row in self.videos.items()],
            "scored_files": len(self.files),
            **self.receipt.to_json(),
            "protocols": {name: asdict(figures) for name, figures in self.protocols.items()},
            "groups": {
                attribute: {value: asdict(figures) for value, figures in values.items()}
                for attribute, values in self.groups.items()
            },
        }
        return {key: nulled(value) for key, value in tree.items()}


def code_version() -> str:
    """Version of the installed package."""
    return metadata.version("ophclip")


def write_result(path: Path, result: PhaseResult | PresenceResult | FileResult) -> None:
    """Write the JSON of a result, whole or not at all."""
    write_json(path, result.to_json())


def _score_row(score: PhaseScore, classes: Sequence[str]) -> dict[str, Any]:
    row = {name: getattr(score, name) for name in ("seconds", "accuracy", "precision", "recall", "f1", "jaccard")}
    return {**row, "undefined": score.undefined, "f1_by_class": _by_class(classes, score.f1_c)}


def _outlasted(past_the_end: Mapping[str, float], lines: Mapping[str, str]) -> str:
    if not past_the_end:
        return ""
    worst = max(past_the_end, key=lambda name: past_the_end[name])
    where = f"{lines[worst]}: " if lines.get(worst) else ""
    more = f" and those of {len(past_the_end) - 1} more theirs" if len(past_the_end) > 1 else ""
    told = f"{where}labels of {worst} outlast the video by {past_the_end[worst]:g} s{more}"
    return f"; {told}: not scored, see `ophclip datasets check`"


def _by_class(classes: Sequence[str], values_c: Floats) -> dict[str, float]:
    return {label: float(value) for label, value in zip(classes, values_c, strict=True)}


def _estimates(figures: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in figures.items()}


def nulled(tree: Any) -> Any:
    """JSON has no NaN: undefined becomes null."""
    if isinstance(tree, dict):
        return {key: nulled(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [nulled(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
