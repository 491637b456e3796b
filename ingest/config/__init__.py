"""Every option of `ophclip ingest`: typed, explained where it stands, torch-free. `conf/ingest.yaml` sets them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.engines import RayCluster, RayConfig, SlurmConfig, WorkConfig, WorkEngine
from ingest.config.pictures import DuplicatesConfig, OverlayConfig, Reader, ScreenConfig, ScreenKind, ShardsConfig
from ingest.config.sources import FetchConfig, LimitsConfig
from ingest.config.speech import AsrConfig, Engine, Foreign, VadConfig
from ingest.config.text import (
    CorrectConfig,
    FilterConfig,
    GatesConfig,
    IdentifiersConfig,
    RewriteConfig,
    SegmentConfig,
)
from ingest.options import Option

__all__ = [
    "AsrConfig",
    "CorrectConfig",
    "DuplicatesConfig",
    "Engine",
    "FetchConfig",
    "FilterConfig",
    "Foreign",
    "GatesConfig",
    "IdentifiersConfig",
    "IngestConfig",
    "LimitsConfig",
    "OverlayConfig",
    "RayCluster",
    "RayConfig",
    "Reader",
    "Retry",
    "RewriteConfig",
    "ScreenConfig",
    "ScreenKind",
    "SegmentConfig",
    "ShardsConfig",
    "SlurmConfig",
    "VadConfig",
    "WorkConfig",
    "WorkEngine",
]


class Retry(Option):
    """Which videos of earlier runs are tried again although nothing changed."""

    NONE = "none"
    FAILED = "failed"


@dataclass(kw_only=True, slots=True)
class IngestConfig(WorkConfig):
    """Everything that `ophclip ingest` takes besides the two folders."""

    asr: AsrConfig = field(default_factory=AsrConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    gates: GatesConfig = field(default_factory=GatesConfig)
    lexicons: list[str] = field(default_factory=lambda: ["ophthalmology"])
    """Terms of the speciality: shipped ones (`ophthalmology`, `laparoscopy`) and YAML files of the same form."""
    correct: CorrectConfig = field(default_factory=CorrectConfig)
    filter: FilterConfig = field(default_factory=FilterConfig)
    identifiers: IdentifiersConfig = field(default_factory=IdentifiersConfig)
    rewrite: RewriteConfig = field(default_factory=RewriteConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    screen: ScreenConfig = field(default_factory=ScreenConfig)
    overlays: OverlayConfig = field(default_factory=OverlayConfig)
    shards: ShardsConfig = field(default_factory=ShardsConfig)
    fetch: FetchConfig = field(default_factory=FetchConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    reader: Reader = Reader.PYAV
    """`pyav` reads pictures and sound in one pass; `decord` and `torchcodec` read the pictures in a second one."""
    ray: RayConfig = field(default_factory=RayConfig)
    retry: Retry = Retry.NONE
    """`failed`: try again the videos that failed in an earlier run."""
    transcripts: str = ""
    """Folder of transcripts that came with the videos: `NAME.csv` (`start,end,text`), `NAME.srt`, `NAME.vtt`;
    several of one video as `NAME.WHOSE.csv`."""

    against: list[str] = field(default_factory=list)
    """Folders or lists of evaluation videos: what shows the same recording is refused."""
