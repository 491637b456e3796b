"""Every option of training, evaluation and search: typed, explained where it stands, torch-free.

Schemas are keyword-only and slotted but not frozen, because Hydra composes over them (`ophclip/composing.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from ingest.config import RayCluster, WorkConfig
from ingest.config.engines import require_share
from ingest.options import Option
from ophclip.model_options import ModelConfig
from ophclip.monitoring import ValidationConfig
from ophclip.objectives import Contrastive, LossConfig, RetrievalConfig, RetrievalMode, SelfSupervision
from ophclip.smoothing_options import Causal, SmoothingConfig


class Precision(Option):
    """Arithmetic of the forward and backward pass."""

    FP32 = "fp32"
    BF16 = "bf16"


class RankStrategy(Option):
    """How several ranks hold what is trained."""

    DDP = "ddp"
    """Each holds all of it."""
    FSDP = "fsdp"
    """Each holds its part of the towers' weights, gradients and moments, and gathers a block's weights while it
    computes with them."""


class MetricsLogger(Option):
    """Where the rows of `metrics.csv` go besides; nothing is sent anywhere unless asked for."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"


class ScoredUnit(Option):
    """What of labelled phases is scored."""

    SECOND = "second"
    """Every second by itself, or by a window of frames around it."""
    SEGMENT = "segment"
    """Every labelled segment as a clip of its own, one vector pooled over its frames."""


class PresenceThreshold(Option):
    """Where a presence score becomes a yes."""

    MEAN_PROMPT = "mean_prompt"
    """The class scores above the mean of all classes at that second: needs no labels."""
    RECALL_90 = "recall_90"
    """The highest bar, per class and video, that still finds 90 % of the positives: needs labels."""


@dataclass(kw_only=True, slots=True)
class LevelsConfig:
    """Alternation of levels, counted in steps: each cycle is `clip` clip steps, then `video` video steps."""

    clip: int = 3
    """Clip steps in a cycle. Default decided here; the paper alternates, its ratio is not public."""
    video: int = 1
    """Video steps in a cycle."""

    def __post_init__(self) -> None:
        if self.clip < 0 or self.video < 0 or self.clip + self.video == 0:
            raise ValueError("data.levels: clip and video must not be negative, and one of them must be positive")


@dataclass(kw_only=True, slots=True)
class DataConfig:
    """What is read from the corpus and how batches are made of it."""

    root: str = MISSING
    """Corpus folder that `ophclip ingest` wrote, or the address of a copy of it (`s3://BUCKET/CORPUS`, `gs://...`)."""
    cache: str = ""
    """Folder that keeps the shards of an address; empty: `ophclip/shards` in the user's cache directory."""
    cache_gb: float = 500.0
    """Most gigabytes (10^9 bytes) that it keeps, all corpora together; it should hold all of the corpus."""
    clip_batch: int = 120
    """Clips in a batch. Default: the ancestors' 120."""
    video_batch: int = 25
    """Videos in a batch. Default: the ancestors' 25."""
    clip_frames: int = 4
    """Frames drawn from each clip, anew at each visit. Default: the ancestors' 4."""
    video_frames: int = 16
    """Frames drawn uniformly from each whole video. The ancestors draw up to 64."""
    max_clips_per_video: int = 4
    """Most clips of one video in a batch: clips of one video are near-duplicates of each other."""
    levels: LevelsConfig = field(default_factory=LevelsConfig)
    silent_share: float = 1.0
    """Share of the silent videos that training may use, the same ones always; for measuring what more of them bring."""
    workers: int = 2
    """Loader processes; the batches do not depend on it."""

    def __post_init__(self) -> None:
        for name in ("clip_batch", "video_batch", "clip_frames", "video_frames", "max_clips_per_video"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name}: must be at least 1")
        if self.workers < 0:
            raise ValueError("data.workers: must not be negative; 0 loads in the training process")
        if not 0 <= self.silent_share <= 1:
            raise ValueError("data.silent_share: must lie in 0 (none) to 1 (all)")
        if self.cache_gb <= 0:
            raise ValueError("data.cache_gb: must be positive")


@dataclass(kw_only=True, slots=True)
class AugmentConfig:
    """Augmentation of training frames, batched on the device. Defaults: the SSL augmentation of the ancestors."""

    crop_scale_min: float = 0.5
    """Smallest area share of a random crop. The ancestors' 0.08 can cut the instrument away; decided here."""
    colour_jitter: float = 0.4
    """Strength of brightness, contrast and saturation changes (hue: a quarter of it)."""
    colour_probability: float = 0.8
    grey_probability: float = 0.2
    blur_probability: float = 0.5
    flip_probability: float = 0.5


@dataclass(kw_only=True, slots=True)
class OptimConfig:
    """AdamW with warm-up and cosine decay."""

    learning_rate: float = 5e-5
    """Peak rate. Default: the ancestors' 5e-5."""
    text_learning_rate_factor: float = 1.0
    """Rate of the text tower's loaded layers against the peak."""
    layer_decay: float = 1.0
    """Each block of a tower learns at this factor of the rate of the one above it; 1 gives all the same rate."""
    weight_decay: float = 0.05
    """Of matrices; norms, biases, positions, class tokens and the temperature do not decay."""
    warmup_steps: int = 100
    """Steps over which the rate rises from zero; half a cosine over the remaining `trainer.steps` follows."""
    clip_gradient_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 leaves them."""
    ema_decay: float = 0.0
    """Share of the old value that stays in a running average of the weights after each step. The average is what is
    validated and exported; 0 keeps none. Usual: 0.999."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError("optim.learning_rate: must be positive")
        if not 0 <= self.ema_decay < 1:
            raise ValueError("optim.ema_decay: must lie in 0 (no average) up to, not including, 1")
        if not 0 < self.layer_decay <= 1:
            raise ValueError("optim.layer_decay: must lie above 0 and up to 1 (all blocks alike)")
        if self.weight_decay < 0 or self.warmup_steps < 0 or self.clip_gradient_norm < 0:
            raise ValueError("optim: weight_decay, warmup_steps and clip_gradient_norm must not be negative")


@dataclass(kw_only=True, slots=True)
class TrainerConfig:
    """The run itself."""

    steps: int = 10_000
    """Optimiser steps."""
    precision: Precision = Precision.FP32
    micro_batch: int = 0
    """Most samples whose activations are in memory at once. The loss still sees the whole batch: vectors are computed
    without activations and each part is computed again when its gradient is known (Gao et al. 2021, gradient cache),
    one more forward pass. 0 holds the whole batch. Batch norm sees the parts."""
    compile: bool = False
    """Compile both towers with torch.compile: minutes at the start for faster steps on a GPU."""
    checkpoint_every: int = 500
    """Steps between checkpoints; the last one is always written."""
    log_every: int = 10
    """Steps between rows of `metrics.csv`."""
    loggers: list[MetricsLogger] = field(default_factory=lambda: [MetricsLogger.TENSORBOARD])
    """Besides `metrics.csv`: `tensorboard`, `wandb` (offline, into the run folder; `wandb sync` sends it) and `mlflow`
    (into the run folder). The last two want their package installed."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    devices: int = 1
    """Devices of this machine that train together, each with a process of its own and its share of every batch; 0 takes
    all GPUs. Under torchrun or srun as many as these start."""
    nodes: int = 1
    """Machines that train together, with as many devices each; they are started with torchrun or srun, and corpus and
    run folder lie on a disk that all of them see."""
    strategy: RankStrategy = RankStrategy.DDP
    """How several ranks hold what is trained: `ddp`, or `fsdp` for towers that fill the memory of one GPU. One rank
    alone holds everything. Checkpoints and bundles are the same."""
    timeout_minutes: float = 360.0
    """How long ranks wait for one that is slow before the run ends; the first validates and saves alone, which takes
    its time. A rank that dies is noticed at once."""
    threads: int = 0
    """CPU threads of torch; 0 leaves torch's own choice."""

    def __post_init__(self) -> None:
        if self.micro_batch < 0:
            raise ValueError("trainer.micro_batch: must not be negative; 0 holds the whole batch")
        if self.steps < 1 or self.checkpoint_every < 1 or self.log_every < 1:
            raise ValueError("trainer: steps, checkpoint_every and log_every must be at least 1")
        if self.devices < 0 or self.nodes < 1:
            raise ValueError("trainer: devices must not be negative (0 takes all GPUs), nodes must be at least 1")
        if self.timeout_minutes <= 0:
            raise ValueError("trainer.timeout_minutes: must be positive")
        if self.strategy is RankStrategy.FSDP and self.micro_batch:
            told = "trainer.micro_batch: fsdp wants all ranks to compute equally many parts, which these may not be"
            raise ValueError(f"{told}; set it to 0, and model.visual.gradient_checkpointing=true where memory is short")
        if self.strategy is RankStrategy.FSDP and self.compile:
            raise ValueError("trainer.compile: not offered with trainer.strategy=fsdp; set it to false")
        if self.device not in {"auto", "cpu", "cuda"}:
            raise ValueError(f"trainer.device: expected auto, cpu or cuda, found {self.device}")


@dataclass(kw_only=True, slots=True)
class TrainConfig:
    """Everything that `python -m ophclip.train` takes."""

    seed: int = 0
    out: str = "outputs/train"
    """Run folder: config, metrics, checkpoints, bundle. An unfinished run in it is continued."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)

    def __post_init__(self) -> None:
        if (
            self.loss.self_supervision is not SelfSupervision.NONE
            and self.data.levels.clip
            and self.data.clip_batch < 2
        ):
            raise ValueError("data.clip_batch: loss.self_supervision needs at least 2 clips in a batch")
        if self.loss.contrastive is Contrastive.NONE and self.retrieval.mode is not RetrievalMode.NONE:
            raise ValueError("retrieval.mode: loss.contrastive=none has no titles to retrieve by; set it to none")


@dataclass(kw_only=True, slots=True)
class ZeroShotConfig:
    """Zero-shot recognition by comparing frames with prompts."""

    split: str = ""
    """Part of the dataset that is scored, such as `test`; empty takes all of it."""
    fit_split: str = ""
    """Part from which thresholds and transitions between phases are learned; it is never scored."""
    fps: float = 1.0
    """Frames per second of video that are scored, by timestamp. Default: `video_macro_v1`."""
    window_seconds: float = 0.0
    """Each second is scored by the frames within this window, pooled; 0 scores single frames."""
    unit: ScoredUnit = ScoredUnit.SECOND
    """What of phases is scored: each `second`, or each labelled `segment` as a clip, pooled over its frames."""
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    """Phases are also predicted from the past, or from the whole video, reported apart; by default they are not."""
    threshold: PresenceThreshold = PresenceThreshold.MEAN_PROMPT
    """Where a presence score becomes a yes, for the false positive rate: `mean_prompt` or `recall_90`."""
    fit_recall: float = 0.0
    """Of presence with a `fit_split`: each class' bar is the highest that finds this share of its seconds there; 0
    takes the bar of the best F1."""
    batch_frames: int = 64
    """Frames encoded at once."""
    bootstrap_samples: int = 1000
    """Resamples of videos for 95 % intervals."""
    chance_samples: int = 200
    """Random predictions of every video from which chance is estimated."""
    seed: int = 0
    """Of the resamples and the random predictions."""

    def __post_init__(self) -> None:
        for name in ("fps", "batch_frames", "bootstrap_samples", "chance_samples"):
            if getattr(self, name) <= 0:
                raise ValueError(f"zeroshot.{name}: must be positive")
        if self.window_seconds < 0:
            raise ValueError("zeroshot.window_seconds: must not be negative; 0 leaves it out")
        if self.window_seconds and self.smoothing.causal is not Causal.NONE:
            raise ValueError("zeroshot.smoothing.causal: a window reaches into the future; set window_seconds=0")
        if self.smoothing.markov and self.smoothing.dwell_seconds * self.fps < 1:
            raise ValueError("zeroshot.smoothing.dwell_seconds: must not be shorter than a frame at zeroshot.fps")
        if not 0 <= self.fit_recall <= 1:
            raise ValueError("zeroshot.fit_recall: must lie in 0 (the best F1) to 1")
        if self.fit_split and self.fit_split == self.split:
            raise ValueError(f"zeroshot.fit_split: {self.fit_split!r} is what is scored; learn from another part")
        if self.fit_split and not self.split:
            raise ValueError("zeroshot.split: give the part that is scored, too; without it all is, fit_split included")


@dataclass(kw_only=True, slots=True)
class MatchingConfig:
    """Retrieval between the texts and the pictures of a corpus."""

    clip_frames: int = 4
    """Pictures of each clip, spread evenly over those in its sample. Default: as training draws."""
    video_frames: int = 16
    """Pictures of each whole video. Default: as training draws."""
    bootstrap_samples: int = 1000
    """Resamples of videos for 95 % intervals."""
    seed: int = 0
    """Of the resamples."""

    def __post_init__(self) -> None:
        for name in ("clip_frames", "video_frames", "bootstrap_samples"):
            if getattr(self, name) < 1:
                raise ValueError(f"retrieval.{name}: must be at least 1")


@dataclass(kw_only=True, slots=True)
class RayIndexConfig(RayCluster):
    """What a Ray cluster is asked for by the making of an index."""

    gpus_per_worker: float = 0.25
    """Share of a GPU that each worker takes, where the cluster has any. Default: that of an ingest, whose workers
    decode as well."""

    def __post_init__(self) -> None:
        require_share("ray.gpus_per_worker", self.gpus_per_worker)


@dataclass(kw_only=True, slots=True)
class IndexConfig(WorkConfig):
    """The search index over windows of video, and who makes it."""

    window_seconds: float = 4.0
    """Length of a window, the unit that is found. Default: the ancestors' clips of 3-5 s."""
    stride_seconds: float = 2.0
    """Distance between the starts of windows."""
    fps: float = 2.0
    """Frames per second that are encoded; a window's vector is pooled from its frames'."""
    batch_frames: int = 64
    """Frames encoded at once."""
    thumbnail_width_px: int = 320
    """Width of the picture kept for each window and clip."""
    ray: RayIndexConfig = field(default_factory=RayIndexConfig)
    workers: int = 0
    """Workers, each of which loads the bundle and takes one video after the other; a single local one is this process.
    0: as many as there are GPUs, or CPUs for `threads` each, and here at most one for every 32 MB of video, because it
    takes seconds to begin."""
    threads: int = 1
    """CPU threads of each worker. Vectors of some models differ in the last digits with another number: it does not
    follow the workers'."""

    def __post_init__(self) -> None:
        WorkConfig.__post_init__(self)  # slots make another class of this one, which `super()` does not know
        for name in ("window_seconds", "stride_seconds", "fps", "batch_frames", "thumbnail_width_px", "threads"):
            if getattr(self, name) <= 0:
                raise ValueError(f"index.{name}: must be positive")
        if self.stride_seconds > self.window_seconds:
            raise ValueError("index.stride_seconds: must not exceed index.window_seconds, or parts are left out")
        if self.window_seconds * self.fps < 1:
            raise ValueError("index.window_seconds: a window must hold at least one frame; raise it or index.fps")


@dataclass(kw_only=True, slots=True)
class DemoConfig:
    """The whole pipeline in one command."""

    out: str = "demo"
    """Folder of everything the demo makes; the page is `report.html` in it."""
    videos: str = ""
    """Your own folder of videos; empty simulates a world and knows the truth about it."""
    seed: int = 0
    narrated: int = 14
    """Simulated narrated videos at site A."""
    silent: int = 16
    """Simulated silent videos at site A."""
    held_out: int = 7
    """Simulated held-out videos at each of the sites A and B."""
    max_fps: float = 12.5
    """Highest frame rate of the simulated videos."""
    workers: int = 2
    """Processes that simulate and ingest."""
    ingest: list[str] = field(default_factory=list)
    """Overrides of `conf/ingest.yaml`."""
    train: list[str] = field(default_factory=list)
    """Overrides of `conf/train.yaml` with `+exp=demo`."""
    zeroshot: list[str] = field(default_factory=list)
    """Overrides of `conf/zeroshot.yaml`."""
    index: list[str] = field(default_factory=list)
    """Overrides of `conf/index.yaml`."""
    queries: list[str] = field(default_factory=list)
    """Instrument searches shown in the report, scored where the truth is known."""

    def __post_init__(self) -> None:
        if min(self.narrated, self.silent, self.held_out - 1) < 1:
            raise ValueError("narrated, silent, held_out: expected at least 1, 1 and 2 (cataract surgery and another)")
