"""Where work on many videos is done: on this machine, on a Ray cluster or in SLURM jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.options import Option


class WorkEngine(Option):
    """Who does the batches; what is made of them is the same whoever does."""

    LOCAL = "local"
    """Processes on this machine."""
    RAY = "ray"
    """Actors of a Ray cluster, or of a Ray that is started here for the run."""
    SLURM = "slurm"
    """Job arrays that take batches from the manifest and go on without this process."""


@dataclass(kw_only=True, slots=True)
class RayCluster:
    """A Ray cluster. All of its machines must see sources and what is made under the same paths."""

    address: str = ""
    """Of a cluster that runs (`auto`, `HOST:6379`, `ray://HOST:10001`); empty starts one here and stops it at the
    end."""


@dataclass(kw_only=True, slots=True)
class RayConfig(RayCluster):
    """What a Ray cluster is asked for by an ingest."""

    transcribers: int = 0
    """Actors that do nothing but hear, beside the workers that decode. 0: as many as the cluster's GPUs hold at
    `ray.gpus_per_transcriber`; without a GPU the workers hear for themselves, as local ones do."""
    gpus_per_transcriber: float = 0.25
    """Share of a GPU that each of them takes. Default decided here: the model and its batch fit four times into 24
    GB."""

    def __post_init__(self) -> None:
        require(self.transcribers >= 0, "ray.transcribers", self.transcribers, "0 or more")
        require_share("ray.gpus_per_transcriber", self.gpus_per_transcriber)


@dataclass(kw_only=True, slots=True)
class SlurmConfig:
    """What each element of the job array asks for. Logs and scripts lie in `CORPUS/slurm`, of an index in
    `INDEX/staging/slurm`."""

    cluster: str = "slurm"
    """`slurm`; or `local`, which runs the same elements as processes here, to try things out."""
    array_size: int = 16
    """Elements; each takes batches from the manifest until none is left. More than there are batches are not asked
    for."""
    partition: str = ""
    """Empty leaves the choice to SLURM, as everywhere here."""
    account: str = ""
    cpus: int = 4
    """CPUs of an element: it runs one worker for so many of them as a worker has threads, and a single one with a
    GPU."""
    gpus: int = 0
    """GPUs of an element, which its workers hear or encode on."""
    memory_gb: float = 16.0
    hours: float = 24.0
    """Time limit. What an element was at when it ends is done again by another."""
    requeues: int = 3
    """So many times an element that reached its time limit or was preempted is put back into the queue."""
    setup: list[str] = field(default_factory=list)
    """Lines for the script before the work begins, such as `source /shared/venv/bin/activate`."""
    dry_run: bool = False
    """Write `submission.sh` there as it would be submitted, and submit nothing."""

    def __post_init__(self) -> None:
        require(self.cluster in ("slurm", "local"), "slurm.cluster", self.cluster, "slurm or local")
        for name in ("array_size", "cpus"):
            require(getattr(self, name) >= 1, f"slurm.{name}", getattr(self, name), "at least 1")
        for name in ("gpus", "requeues"):
            require(getattr(self, name) >= 0, f"slurm.{name}", getattr(self, name), "0 or more")
        for name in ("memory_gb", "hours"):
            require(getattr(self, name) > 0.0, f"slurm.{name}", getattr(self, name), "more than 0")


def require_share(name: str, gpus: float) -> None:
    """Raise ValueError in one line unless Ray can give so much of a GPU to an actor."""
    require(0.0 < gpus < 1.0 or (gpus >= 1.0 and gpus == int(gpus)), name, gpus, "a share below 1, or whole GPUs")


@dataclass(kw_only=True, slots=True)
class WorkConfig:
    """Who does the work of a command, and how long is waited for it; what is made does not depend on any of it."""

    engine: WorkEngine = WorkEngine.LOCAL
    """`local`, `ray` or `slurm`: who works. What is made is the same whoever does."""
    ray: RayCluster = field(default_factory=RayCluster)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    manifest: str = ""
    """Address of the manifest of a new corpus, `postgresql+pg8000://USER@HOST/DATABASE`, where many machines write it;
    the password goes into the variable PGPASSWORD. Empty: what OPHCLIP_MANIFEST says, else a file in the corpus. Of an
    index it is where its work is shared out, a database of its own; empty is a file beside it."""
    workers: int = 0
    """Worker processes; 0 takes as many as there are CPUs for the threads of each."""
    videos_per_worker: int = 500
    """A worker is replaced after so many videos, which contains what decoders leak."""
    stall_seconds: float = 900.0
    """A worker that has not moved for so long is ended, and its video fails."""
    error_budget: float = 0.01
    """Share of its videos that may fail before a run is stopped; ten may in any run. Rejected ones do not count."""

    def __post_init__(self) -> None:
        slurm = self.engine is WorkEngine.SLURM
        require(slurm or not self.slurm.dry_run, "slurm.dry_run", True, "engine=slurm beside it")
        require(self.workers >= 0, "workers", self.workers, "0 or more")
        require(self.stall_seconds > 0.0, "stall_seconds", self.stall_seconds, "more than 0 seconds")
        require(self.videos_per_worker >= 1, "videos_per_worker", self.videos_per_worker, "at least 1")
        require(0.0 <= self.error_budget <= 1.0, "error_budget", self.error_budget, "a share from 0 to 1")
