"""Every option of `ophclip ingest`: typed, explained where it stands, torch-free. `conf/ingest.yaml` sets them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.config.engines import RayConfig, SlurmConfig, WorkEngine
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
    "WorkEngine",
]


class Retry(Option):
    """Which videos of earlier runs are tried again although nothing changed."""

    NONE = "none"
    FAILED = "failed"


@dataclass(kw_only=True, slots=True)
class IngestConfig:
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
    engine: WorkEngine = WorkEngine.LOCAL
    """`local`, `ray` or `slurm`: who works. Shards and manifest are the same whoever does."""
    ray: RayConfig = field(default_factory=RayConfig)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    manifest: str = ""
    """Address of the manifest of a new corpus, `postgresql+pg8000://USER@HOST/DATABASE`, where many machines write it;
    the password goes into the variable PGPASSWORD. Empty: what OPHCLIP_MANIFEST says, else a file in the corpus."""
    workers: int = 0
    """Worker processes; 0 takes as many as there are CPUs for `asr.threads` each."""
    videos_per_worker: int = 500
    """A worker is replaced after so many videos, which contains what decoders leak."""
    stall_seconds: float = 900.0
    """A worker that has not moved for so long is ended, and its video fails."""
    error_budget: float = 0.01
    """Share of its videos that may fail before a run is stopped; ten may in any run. Rejected ones do not count."""
    retry: Retry = Retry.NONE
    """`failed`: try again the videos that failed in an earlier run."""
    transcripts: str = ""
    """Folder of transcripts that came with the videos: `NAME.csv` (`start,end,text`), `NAME.srt`, `NAME.vtt`;
    several of one video as `NAME.WHOSE.csv`."""

    against: list[str] = field(default_factory=list)
    """Folders or lists of evaluation videos: what shows the same recording is refused."""

    def __post_init__(self) -> None:
        slurm = self.engine is WorkEngine.SLURM
        require(slurm or not self.slurm.dry_run, "slurm.dry_run", True, "engine=slurm beside it")
        require(self.workers >= 0, "workers", self.workers, "0 or more")
        require(self.stall_seconds > 0.0, "stall_seconds", self.stall_seconds, "more than 0 seconds")
        require(self.videos_per_worker >= 1, "videos_per_worker", self.videos_per_worker, "at least 1")
        require(0.0 <= self.error_budget <= 1.0, "error_budget", self.error_budget, "a share from 0 to 1")
