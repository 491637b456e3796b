"""Options of everything that looks: decoding, screening, duplicates, de-identification."""

from __future__ import annotations

from dataclasses import dataclass

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
