"""Stages that run once: each leaves a marker with its seconds and memory, and a second run steps over it."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.atomic import write_json
from ophclip.progress import Progress, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A named piece of work; `work` gets the progress callback and leaves its result in files."""

    name: str
    title: str
    work: Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What a finished stage cost."""

    title: str
    seconds: float
    largest_process_gb: float


def run_stages(out: Path, stages: Sequence[Stage]) -> tuple[Done, ...]:
    """Run the stages in order, leaving out those whose marker is there; returns what each cost when it ran."""
    return tuple(_run(out / "stages" / f"{number}_{stage.name}.json", stage) for number, stage in enumerate(stages, 1))


def _run(marker: Path, stage: Stage) -> Done:
    if marker.exists():
        done = Done(**json.loads(marker.read_text(encoding="utf-8")))
        print(f"{stage.title}: done before, in {done.seconds:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
        return done
    began = time.perf_counter()
    with shown(stage.title) as progress:
        stage.work(progress)
    seconds = round(time.perf_counter() - began, 1)
    done = Done(title=stage.title, seconds=seconds, largest_process_gb=_largest_process_gb())
    write_json(marker, asdict(done))
    return done


def _largest_process_gb() -> float:
    """Peak resident memory of the largest process so far, this one or a child, in GB."""
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return round(max(peaks) * bytes_per_unit / 1e9, 2)


def claim(out: Path, options: dict[str, Any]) -> None:
    """Make `out` and write down the options it is made with.

    Raises:
        ValueError: `out` cannot be written, or was made with other options.
    """
    record = out / "demo.json"
    if record.exists():
        before = json.loads(record.read_text(encoding="utf-8"))
        changed = sorted(name for name in options if before.get(name) != options[name])
        if changed:
            raise ValueError(
                f"{out} was made with another {changed[0]} ({before.get(changed[0])!r}, now {options[changed[0]]!r}); "
                "take the same options to continue it, or another --out"
            )
        return
    try:
        write_json(record, options)
    except OSError as error:
        raise ValueError(f"{out} cannot be written ({error.strerror}); give a writable folder as --out") from error
