"""Options of everything that looks: decoding, screening, duplicates, de-identification."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.options import Option


class Reader(Option):
    """Which library decodes pictures."""

    PYAV = "pyav"
    DECORD = "decord"
    TORCHCODEC = "torchcodec"


@dataclass(kw_only=True, slots=True)
class ShardsConfig:
    """What is stored of each sample. Defaults: measured, JPEGs are the cheapest form to train from."""

    fps: float = 2.0
    """Frames per second that are sampled from a video."""
    clip_frames: int = 16
    """Most frames of a clip, uniformly over it."""
    phase_frames: int = 32
    """Most frames of a phase, uniformly over it."""
    video_frames: int = 64
    """Most frames of a whole video, uniformly over it."""
    short_side_px: int = 256
    """Short side of stored pictures; smaller ones are not enlarged."""
    jpeg_quality: int = 85
    samples_per_shard: int = 1000

    def __post_init__(self) -> None:
        require(self.fps > 0.0, "shards.fps", self.fps, "more than 0 frames per second")
        require(1 <= self.jpeg_quality <= 100, "shards.jpeg_quality", self.jpeg_quality, "1 to 100")
        require(self.short_side_px >= 16, "shards.short_side_px", self.short_side_px, "at least 16")
        for name in ("clip_frames", "phase_frames", "video_frames", "samples_per_shard"):
            require(getattr(self, name) >= 1, f"shards.{name}", getattr(self, name), "at least 1")


class ScreenKind(Option):
    """Who judges whether a picture shows surgery."""

    OFF = "off"
    RULES = "rules"
    ZERO_SHOT = "zero_shot"


@dataclass(kw_only=True, slots=True)
class ScreenConfig:
    """Pictures that are not surgery. Thresholds decided here on real frames: beyond every one of them, also blurred,
    dark, overexposed, magnified and masked, since a lost operation costs more than a slide that stays."""

    kind: ScreenKind = ScreenKind.RULES
    """`off`, `rules` (black, flat, lettering, face, no tissue) or `zero_shot` (an open_clip model and prompts)."""
    min_surgery_share: float = 0.3
    """A clip or a video with less than this share of pictures of surgery is rejected."""
    max_black_level: float = 40.0
    """Black below it: the level (0-255) that 99 % of a picture stay under. Surgery at a third of its light: 63."""
    max_flat_share: float = 0.55
    """A slide above it: share of the lit picture that is even. Surgery: up to 0.14, magnified 4 times 0.45."""
    max_edge_share: float = 0.38
    """Lettering above it: share of the lit picture that is hard edge. Surgery: up to 0.16, behind a small mask 0.31."""
    min_tissue_share: float = 0.02
    """Outside the eye below it: share of the lit picture in the warm colours of tissue. Surgery: 0.31 and more,
    simulated surgery 0.07. Grey pictures are not judged by it."""
    faces: bool = True
    """Look for a face that looks into the camera (OpenCV's frontal cascade); grey pictures are not searched."""
    model: str = ""
    """For `zero_shot`: an open_clip architecture such as `ViT-B-32`, or a folder with `open_clip_config.json`."""
    weights: str = ""
    """For `zero_shot` with an architecture: its weights, a local path or `package:DISTRIBUTION/path`."""
    surgery_prompts: list[str] = field(
        default_factory=lambda: [
            "a microscope view of eye surgery",
            "an eye held open by a speculum during an operation",
            "an endoscopic view of surgery inside the body",
            "surgical instruments on living tissue",
        ]
    )
    other_prompts: list[str] = field(
        default_factory=lambda: [
            "a presentation slide with text",
            "a title card",
            "a person talking to the camera",
            "people in an operating room",
            "a black picture",
        ]
    )
    min_surgery_probability: float = 0.3
    """For `zero_shot`: below it a picture is not surgery. Calibrate it on your own frames."""

    def __post_init__(self) -> None:
        for name in ("min_surgery_share", "max_flat_share", "max_edge_share", "min_tissue_share"):
            require(0.0 <= getattr(self, name) <= 1.0, f"screen.{name}", getattr(self, name), "a share from 0 to 1")
        level, probability = self.max_black_level, self.min_surgery_probability
        require(0.0 <= level <= 255.0, "screen.max_black_level", level, "a grey level from 0 to 255")
        require(0.0 <= probability <= 1.0, "screen.min_surgery_probability", probability, "0 to 1")
        if self.kind is ScreenKind.ZERO_SHOT:
            require(
                bool(self.model), "screen.model", self.model, "an architecture or a folder, for screen.kind=zero_shot"
            )
            require(bool(self.surgery_prompts), "screen.surgery_prompts", self.surgery_prompts, "at least one prompt")
            require(bool(self.other_prompts), "screen.other_prompts", self.other_prompts, "at least one prompt")


@dataclass(kw_only=True, slots=True)
class DuplicatesConfig:
    """Which videos count as one recording."""

    enabled: bool = True
    """Whether repeats within the corpus are refused; evaluation videos always are."""
    max_distance: int = 4
    """Two pictures agree if at most so many of the 64 bits of their hashes differ. Default: of 435 pairs of simulated
    operations the most alike then share 33 % of their pictures, 50 % with 5 bits and 70 % with 6; of 160 copies that
    were cropped by up to a fifth a side, mirrored and coded anew the least alike shares 65 %."""
    min_share: float = 0.6
    """Two videos are one recording if this share of the shorter one's pictures agrees at one shift in time."""
    min_pictures: int = 6
    """A video with fewer pictures is not compared."""
    shift_seconds: float = 0.2
    """How finely shifts in time are told apart."""
    changes: bool = False
    """Compare videos by what changes in them too: finds copies that were turned a little or written over. Off by
    default: two still pictures under changing light can agree by chance, and are then refused."""
    min_change_similarity: float = 0.6
    """Two pictures agree in `changes` if the cosine of what changes in their lowest frequencies is at least this.
    Default: of 120 pairs of 45 s of simulated operations the most alike then share 31 % of their pictures; copies with
    a logo or a speaker's window, or turned by 5 to 10 degrees, share 70 % or more."""
    min_changing_seconds: float = 40.0
    """A shorter video is not compared by what changes in it or in its vectors: of pairs of 22 s the most alike share
    46 %."""
    model: str = ""
    """A model whose vectors are compared by how they change too: `efficientnet_lite0`, an open_clip folder or an
    open_clip architecture. None by default: EfficientNet-Lite0 takes 7 ms for every sampled picture, a sixth of
    decoding 720p."""
    weights: str = ""
    """Its weights, a local path or `package:DISTRIBUTION/path`, if `model` is an architecture. Empty for
    `efficientnet_lite0` takes those of the package in the `demo` extra."""
    min_similarity: float = 0.5
    """Two pictures agree if the cosine of what changes in their vectors is at least this. Default, for
    `efficientnet_lite0`: of 120 pairs of 45 s of simulated operations the most alike then share 39 % of their
    pictures. Calibrate it for another model."""

    def __post_init__(self) -> None:
        require(0 <= self.max_distance <= 32, "duplicates.max_distance", self.max_distance, "0 to 32 bits")
        require(0.0 < self.min_share <= 1.0, "duplicates.min_share", self.min_share, "a share above 0, up to 1")
        require(self.min_pictures >= 1, "duplicates.min_pictures", self.min_pictures, "at least 1")
        for name in ("min_change_similarity", "min_similarity"):
            require(0.0 < getattr(self, name) <= 1.0, f"duplicates.{name}", getattr(self, name), "above 0, up to 1")
        least = self.min_changing_seconds
        require(least >= 10.0, "duplicates.min_changing_seconds", least, "at least 10 seconds")
        require(self.shift_seconds > 0.0, "duplicates.shift_seconds", self.shift_seconds, "more than 0 seconds")


@dataclass(kw_only=True, slots=True)
class OverlayConfig:
    """Text burned into pictures, which may name a patient."""

    enabled: bool = True
    frames: int = 6
    """Pictures of each video that are read, spread over it. As many at most are read of each of these too: openings of
    scenes, pictures that look written on, and, once text is painted over, pictures between. One takes about 0.3 s."""
    most_frames: int = 120
    """Pictures that are read at most to follow text that moves. If it is lost even so, the video is refused."""
    min_score: float = 0.5
    """Text of which the recogniser is less sure is passed over. Default: the library's."""
    min_short_score: float = 0.8
    """The same for text of two or three letters and digits, which is sooner seen where none is: a fold of tissue in a
    real laparoscopy was read as `5.4` with 0.57."""
    pad: float = 0.25
    """How far a mask reaches past the text, in heights of its line."""

    def __post_init__(self) -> None:
        require(self.frames >= 1, "overlays.frames", self.frames, "at least 1 picture")
        for name in ("min_score", "min_short_score"):
            require(0.0 <= getattr(self, name) <= 1.0, f"overlays.{name}", getattr(self, name), "0 to 1")
        require(self.pad >= 0.0, "overlays.pad", self.pad, "0 or more heights")
