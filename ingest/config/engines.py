"""Where the work of an ingest is done: on this machine, on a Ray cluster or in SLURM jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.config.checks import require
from ingest.options import Option


class WorkEngine(Option):
    """Who does the batches; the corpus is the same whoever does."""

    LOCAL = "local"
    """Processes on this machine."""
    RAY = "ray"
    """Actors of a Ray cluster, or of a Ray that is started here for the run."""
    SLURM = "slurm"
    """Job arrays that take batches from the manifest and go on without this process."""


@dataclass(kw_only=True, slots=True)
class RayConfig:
    """What a Ray cluster is asked for. All of its machines must see sources and corpus under the same paths."""

    address: str = ""
    """Of a cluster that runs (`auto`, `HOST:6379`, `ray://HOST:10001`); empty starts one here and stops it at the
    end."""
    transcribers: int = 0
    """Actors that do nothing but hear, beside the workers that decode. 0: as many as the cluster's GPUs hold at
    `ray.gpus_per_transcriber`; without a GPU the workers hear for themselves, as local ones do."""
    gpus_per_transcriber: float = 0.25
    """Share of a GPU that each of them takes. Default decided here: the model and its batch fit four times into 24
    GB."""

    def __post_init__(self) -> None:
        require(self.transcribers >= 0, "ray.transcribers", self.transcribers, "0 or more")
        share = self.gpus_per_transcriber
        whole = share >= 1.0 and share == int(share)
        require(0.0 < share < 1.0 or whole, "ray.gpus_per_transcriber", share, "a share below 1, or whole GPUs")


@dataclass(kw_only=True, slots=True)
class SlurmConfig:
    """What each element of the job array asks for. Its logs and scripts lie in `CORPUS/slurm`."""

    cluster: str = "slurm"
    """`slurm`; or `local`, which runs the same elements as processes here, to try things out."""
    array_size: int = 16
    """Elements; each takes batches from the manifest until none is left. More than there are batches are not asked
    for."""
    partition: str = ""
    """Empty leaves the choice to SLURM, as everywhere here."""
    account: str = ""
    cpus: int = 4
    """CPUs of an element: it runs one worker for every `asr.threads` of them, and a single one with a GPU."""
    gpus: int = 0
    """GPUs of an element, which its workers hear on."""
    memory_gb: float = 16.0
    hours: float = 24.0
    """Time limit. What an element was at when it ends is done again by another."""
    requeues: int = 3
    """So many times an element that reached its time limit or was preempted is put back into the queue."""
    setup: list[str] = field(default_factory=list)
    """Lines for the script before the work begins, such as `source /shared/venv/bin/activate`."""
    dry_run: bool = False
    """Write `CORPUS/slurm/submission.sh` as it would be submitted, and submit nothing."""

    def __post_init__(self) -> None:
        require(self.cluster in ("slurm", "local"), "slurm.cluster", self.cluster, "slurm or local")
        for name in ("array_size", "cpus"):
            require(getattr(self, name) >= 1, f"slurm.{name}", getattr(self, name), "at least 1")
        for name in ("gpus", "requeues"):
            require(getattr(self, name) >= 0, f"slurm.{name}", getattr(self, name), "0 or more")
        for name in ("memory_gb", "hours"):
            require(getattr(self, name) > 0.0, f"slurm.{name}", getattr(self, name), "more than 0")
