"""Options of the dual encoder: its two towers, and how frames become one vector. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from ingest.options import Option


class TowerKind(Option):
    """Which library builds a tower."""

    OPEN_CLIP = "open_clip"
    TIMM = "timm"
    HF = "hf"


class TextPooling(Option):
    """How a Hugging Face text tower makes one vector of many."""

    MEAN = "mean"
    CLS = "cls"
    LAST_FOUR = "last_four"
    """The mean over tokens and over the last four layers, as the ancestors (SurgVLP, PeskaVLP) do."""


class FramePooling(Option):
    """How the frames of a clip or video become one vector; untrained, all are the mean."""

    MEAN = "mean"
    ATTENTION = "attention"
    TEMPORAL_TRANSFORMER = "temporal_transformer"


@dataclass(kw_only=True, slots=True)
class VisualConfig:
    """The visual tower: a frame in, a vector out."""

    kind: TowerKind = TowerKind.OPEN_CLIP
    """`open_clip` (a named architecture's visual half) or `timm`."""
    name: str = MISSING
    """Architecture name in that library."""
    weights: str = ""
    """Local file or folder, hub name or `package:DISTRIBUTION/path`; empty starts from random weights."""
    image_size_px: int = 224
    """Side of the square picture that the tower sees."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Channel means in 0..1. Default: ImageNet, as the ancestors."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Channel standard deviations in 0..1. Default: ImageNet, as the ancestors."""
    frozen_blocks: int = 0
    """How many leading blocks are left as loaded (the stem counts with the first)."""
    frozen_batch_norm: bool = False
    """Keep the loaded statistics of every batch norm also while training: steadier and faster with small batches."""
    patch_dropout: float = 0.0
    """Share of the patches that a transformer leaves out of each picture while training (Li et al. 2023): faster."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, one more forward pass."""

    def __post_init__(self) -> None:
        if self.image_size_px < 1:
            raise ValueError("model.visual.image_size_px: must be at least 1")
        if not 0 <= self.patch_dropout < 1:
            raise ValueError("model.visual.patch_dropout: must lie in 0 (off) up to, not including, 1")
        if self.frozen_blocks < 0:
            raise ValueError("model.visual.frozen_blocks: must not be negative")
        if self.kind is TowerKind.HF:
            raise ValueError("model.visual.kind: expected open_clip or timm, found hf")


@dataclass(kw_only=True, slots=True)
class TextConfig:
    """The text tower: tokens in, a vector out."""

    kind: TowerKind = TowerKind.OPEN_CLIP
    """`open_clip` (a named architecture's text half) or `hf` (a local Hugging Face folder)."""
    name: str = MISSING
    """Architecture name for `open_clip`; for `hf` a local folder, hub name or `package:DISTRIBUTION/path`."""
    weights: str = ""
    """As of the visual tower; for `hf` also `pretrained`, which takes those that lie in its folder."""
    tokenizer: str = ""
    """Folder or hub name of the tokenizer, for `open_clip` architectures that do not use CLIP's (SigLIP)."""
    context_length: int = 77
    """Most tokens of a text. Default: CLIP's 77."""
    frozen_blocks: int = 0
    """How many leading transformer blocks are left as loaded (embeddings count with the first)."""
    pooling: TextPooling = TextPooling.MEAN
    """Of `hf` towers: `mean` over tokens, the first token (`cls`), `last_four`. Default: as sentence encoders do."""

    def __post_init__(self) -> None:
        if self.context_length < 2:
            raise ValueError("model.text.context_length: must be at least 2")
        if self.frozen_blocks < 0:
            raise ValueError("model.text.frozen_blocks: must not be negative")
        if self.kind is TowerKind.TIMM:
            raise ValueError("model.text.kind: expected open_clip or hf, found timm")


@dataclass(kw_only=True, slots=True)
class ModelConfig:
    """The dual encoder."""

    name: str = MISSING
    """Name written into bundles and results."""
    embed_dim: int = 768
    """Width of the common space. Default: the ancestors' 768."""
    visual: VisualConfig = field(default_factory=VisualConfig)
    text: TextConfig = field(default_factory=TextConfig)
    pooling: FramePooling = FramePooling.MEAN
    """Over the frames of a clip or video. Default: the paper's mean; `temporal_transformer` also sees their order."""
    initial_temperature: float = 0.07
    """Initial softmax temperature; learned, clamped so that the scale stays below 100. SigLIP begins at 0.1."""
    learned_temperature: bool = True
    """Whether the temperature is learned; the ancestors fix it at 0.1."""
    download: bool = False
    """Fetch hub names that are not in the Hugging Face cache. Without it nothing is ever fetched."""

    def __post_init__(self) -> None:
        if self.embed_dim < 1:
            raise ValueError("model.embed_dim: must be at least 1")
        if not 0.01 <= self.initial_temperature <= 1:
            raise ValueError("model.initial_temperature: must lie in 0.01 (the clamp at a scale of 100) to 1")
