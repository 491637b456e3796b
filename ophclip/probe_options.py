"""Options of `ophclip probe`: what is trained on frozen features, and on how many labels. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.options import Option


class ProbeHead(Option):
    """What is trained on labelled seconds."""

    LINEAR = "linear"
    """Logistic regression on frozen features."""
    KNN = "knn"
    """A weighted vote of the nearest frozen features; nothing is trained."""
    TCN = "tcn"
    """A causal temporal convolutional network over the frozen features of a whole video."""
    FINETUNE = "finetune"
    """The visual tower itself, under a linear layer."""


@dataclass(kw_only=True, slots=True)
class TemporalHeadConfig:
    """The causal temporal convolutional network: one stage of MS-TCN (Farha & Gall, CVPR 2019) that sees the past."""

    layers: int = 8
    """Dilated layers; layer n looks 2^n frames further back, so that 8 see about 500 frames."""
    width: int = 64
    """Channels. Default: MS-TCN's 64."""
    dropout: float = 0.5
    """In every layer. Default: MS-TCN's 0.5."""
    learning_rate: float = 1e-3
    """Of Adam."""
    epochs: int = 60
    """Most passes over the training videos."""
    patience: int = 10
    """Passes without a better loss on the training videos that are kept aside, after which training stops. From one or
    two videos nothing can be kept aside, and half of the passes are made."""

    def __post_init__(self) -> None:
        for name in ("layers", "width", "epochs", "patience", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"temporal.{name}: must be positive")
        if not 0 <= self.dropout < 1:
            raise ValueError("temporal.dropout: must lie in 0 (none) up to, not including, 1")


@dataclass(kw_only=True, slots=True)
class FineTuneConfig:
    """Training of the visual tower; it takes part where `heads` holds `finetune`."""

    steps: int = 500
    """Optimiser steps for every training set, large or small."""
    batch: int = 32
    """Frames in a step."""
    fps: float = 0.2
    """Labelled frames per second that are decoded of the training videos and kept, at the tower's size, under
    `OUT/frames`. Test videos are predicted at `fps` as by every other head."""
    learning_rate: float = 3e-5
    """Peak rate of AdamW for the tower; a tenth of the steps rises to it and half a cosine follows."""
    head_learning_rate: float = 1e-3
    """Peak rate of the linear layer, which begins at zero."""
    weight_decay: float = 0.05
    """Of matrices."""
    checkpoint_every: int = 100
    """Steps between checkpoints of an unfinished training set; they go when it is finished."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "fps", "learning_rate", "head_learning_rate", "checkpoint_every"):
            if getattr(self, name) <= 0:
                raise ValueError(f"finetune.{name}: must be positive")
        if self.weight_decay < 0:
            raise ValueError("finetune.weight_decay: must not be negative")


@dataclass(kw_only=True, slots=True)
class ProbeConfig:
    """Probes: how well labels are learned from a model's features, by how many videos are labelled."""

    heads: list[ProbeHead] = field(default_factory=lambda: [ProbeHead.LINEAR, ProbeHead.KNN, ProbeHead.TCN])
    """What is trained: `linear`, `knn`, `tcn`, `finetune`."""
    shares_percent: list[float] = field(default_factory=lambda: [1.0, 5.0, 10.0, 25.0, 50.0, 100.0])
    """Shares of the training videos, in percent; at least one video, and larger sets hold the smaller."""
    shots: list[int] = field(default_factory=lambda: [1, 4, 16])
    """Labelled seconds of each class, for `linear` and `knn`; empty leaves them out."""
    draws: int = 5
    """Times that each training set is drawn."""
    train_split: str = "train"
    """Split of the dataset that is trained on. A dataset without splits is split here, by video."""
    test_split: str = "test"
    """Split that is scored. With both empty a dataset that has splits is split anew."""
    test_share: float = 0.3
    """Share of the videos that is drawn for test where the dataset names no splits."""
    scratch: bool = True
    """Whether the same architecture with random weights is probed as well, for the gain over it."""
    fps: float = 1.0
    """Frames per second of video, by timestamp. Default: `video_macro_v1`."""
    neighbours: int = 20
    """Training frames that vote in `knn`. Default: DINO's 20 (Caron et al., ICCV 2021)."""
    temperature: float = 0.07
    """A neighbour votes with exp(cosine / temperature). Default: DINO's 0.07."""
    temporal: TemporalHeadConfig = field(default_factory=TemporalHeadConfig)
    finetune: FineTuneConfig = field(default_factory=FineTuneConfig)
    batch_frames: int = 64
    """Frames encoded at once."""
    bootstrap_samples: int = 1000
    """Resamples of test videos for 95 % intervals."""
    chance_samples: int = 200
    """Random predictions of every test video from which chance is estimated."""
    seed: int = 0
    """Of the split, the draws, random weights, training and resamples."""

    def __post_init__(self) -> None:
        counts = ("draws", "neighbours", "batch_frames", "bootstrap_samples", "chance_samples")
        for name in (*counts, "fps", "temperature"):
            if getattr(self, name) <= 0:
                raise ValueError(f"probe.{name}: must be positive")
        if not self.heads or len(set(self.heads)) < len(self.heads):
            raise ValueError("probe.heads: expected each of linear, knn, tcn, finetune once at most, and one at least")
        if not self.shares_percent or not all(0 < share <= 100 for share in self.shares_percent):
            raise ValueError("probe.shares_percent: expected shares above 0 and up to 100")
        if any(shots < 1 for shots in self.shots):
            raise ValueError("probe.shots: must be at least 1; an empty list leaves them out")
        if not 0 < self.test_share < 1:
            raise ValueError("probe.test_share: must lie between 0 and 1")
        if bool(self.train_split) != bool(self.test_split) or (
            self.train_split and self.train_split == self.test_split
        ):
            raise ValueError("probe.train_split, probe.test_split: expected two different names, or both empty")
