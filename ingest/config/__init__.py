"""Every option of `ophclip ingest`: typed, explained where it stands, torch-free. `conf/ingest.yaml` sets them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.config.pictures import Reader, ShardsConfig
from ingest.config.speech import AsrConfig, Engine, VadConfig
from ingest.config.text import CorrectConfig, GatesConfig, SegmentConfig

__all__ = [
    "AsrConfig",
    "CorrectConfig",
    "Engine",
    "GatesConfig",
    "IngestConfig",
    "Reader",
    "SegmentConfig",
    "ShardsConfig",
    "VadConfig",
]


@dataclass(kw_only=True, slots=True)
class IngestConfig:
    """Everything that `ophclip ingest` takes besides the two folders."""

    asr: AsrConfig = field(default_factory=AsrConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    gates: GatesConfig = field(default_factory=GatesConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    shards: ShardsConfig = field(default_factory=ShardsConfig)
    reader: Reader = Reader.PYAV
    """`pyav` reads pictures and sound in one pass; `decord` and `torchcodec` read the pictures in a second one."""
    workers: int = 0
    """Worker processes; 0 takes as many as there are CPUs for `asr.threads` each."""
    videos_per_worker: int = 500
    """A worker is replaced after so many videos, which contains what decoders leak."""
    retry_failed: bool = False
    """Try again the videos that failed in an earlier run."""

    def __post_init__(self) -> None:
        require(self.workers >= 0, "workers", self.workers, "0 or more")
        require(self.videos_per_worker >= 1, "videos_per_worker", self.videos_per_worker, "at least 1")
