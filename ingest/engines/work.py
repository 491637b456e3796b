"""All of some videos done by whatever engine was asked for: the one way in which ingest and index have work done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path

from ingest.batches import P, R, Told
from ingest.config import WorkConfig, WorkEngine
from ingest.manifest import Manifest, State
from ingest.shift import Crew, Progress, Shift

DRIVER = "driver"
"""Name on the leases of whoever holds the folder that is made: there is one at a time."""
_POLL_SECONDS = 2.0


def work_off(
    told: Mapping[str, Told[P]],
    manifest: Manifest,
    folder: Path,
    config: WorkConfig,
    crew: Crew[P, R],
    *,
    on_ray: Callable[[], AbstractContextManager[Crew[P, R]]],
    report: Progress,
) -> None:
    """Have all of `told` done; what other workers hold is waited for, and taken over if they vanish.

    `crew` are those of this machine, `on_ray` hires them on a cluster; `folder` is where job arrays keep their files.
    """
    _require_engine(config.engine)
    if config.engine is WorkEngine.SLURM:
        from ingest.engines.slurm import run_array

        run_array(told, manifest, folder, config, crew.trade, report=report)
        return
    with on_ray() if config.engine is WorkEngine.RAY else nullcontext(crew) as hired:
        shift = Shift(manifest, config, crew=hired, worker=DRIVER, report=report)
        shift.work(told)
        while any(row.state is State.PENDING and row.video_id in told for row in manifest.videos()):
            time.sleep(_POLL_SECONDS)
            shift.work(told)


def _require_engine(engine: WorkEngine) -> None:
    library = {WorkEngine.RAY: "ray", WorkEngine.SLURM: "submitit"}.get(engine)
    if library and find_spec(library) is None:
        raise ValueError(f"engine: {library} is not installed: pip install 'ophclip[{engine.value}]'")


def let_others_end(manifest: Manifest, report: Progress) -> None:
    """Wait for workers of other runs: what they stage must not be joined or swept away half done."""
    while others := len(manifest.leased()):
        report(0, others, "waiting for workers of another run")
        time.sleep(_POLL_SECONDS)
