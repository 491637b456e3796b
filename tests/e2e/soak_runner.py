"""Everything at once for an hour on two cores: `python soak_runner.py OUT [--minutes 60] [--kill-every-seconds 300]`.

A corpus grows and videos are purged from it, training is killed and started again, the service is asked three times a
second. OUT/soak.log holds a line an event, OUT/soak.md what came of it; the status is 1 if anything was not as it must
be. Before the clock starts, films are made and a first corpus, bundle and index; that much is kept in OUT for the next.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
from filming import film, steady
from serving_process import REPOSITORY, serving
from soak_corpus import INGEST, Corpus
from soak_journal import Journal, Memory, growth, quarters, repeated, warmed
from soak_load import Load
from soak_training import Training, command

FIRST, A_TIME = 4, 2
"""Films in the growing corpus when the clock starts, and that arrive together."""
MOST_GROWTH = 0.05
"""Of memory, as a share of its median, over the last three quarters of a process' life, or over all runs."""
MOST_GROWTH_OF_INGEST = 0.15
"""Of its largest peak: it depends on how much there was to hear in a batch."""
LEAST_SAMPLES = 12
"""Of a life of training, ten seconds apart, that is judged by itself."""
LEAST_GOODPUT = 0.9
PICTURES = ("--height-px", "128", "--max-fps", "10")
OPHCLIP = (sys.executable, "-m", "ophclip.cli")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """What happens when, in seconds since the clock started."""

    end: float
    kill_every: float

    @property
    def arrive_every(self) -> float:
        """Between two arrivals of films."""
        return min(120.0, self.end / 5)

    @property
    def purge_every(self) -> float:
        """Between two purges; never in step with the arrivals."""
        return min(210.0, self.end / 3.5)

    @property
    def arrivals(self) -> int:
        """How often films arrive."""
        return int(self.end / self.arrive_every)

    @property
    def films(self) -> int:
        """How many are wanted for the growing corpus."""
        return FIRST + A_TIME * self.arrivals


def prepare(out: Path, schedule: Schedule) -> list[Path]:
    """Make films, the corpus of training and a bundle, unless they are there; returns the films that are to arrive."""
    base = make_films(out / "base_world", narrated=6, silent=8, seed=0)
    subprocess.run([*OPHCLIP, "ingest", str(base), "--out", str(out / "base"), *INGEST], check=True)
    subprocess.run(command(out / "base", out / "first", steps=8), check=True)
    narrated = schedule.films // 6
    arriving = make_films(out / "world", narrated=narrated, silent=schedule.films - narrated, seed=1)
    return sorted(arriving.glob("*.mp4"))


def make_films(world: Path, *, narrated: int, silent: int, seed: int) -> Path:
    """Simulated operations in small pictures; the folder that they lie in."""
    sizes = ("--narrated", str(narrated), "--silent", str(silent), "--held-out", "0", "--seed", str(seed))
    subprocess.run([*OPHCLIP, "simulate", str(world), *sizes, *PICTURES], check=True)
    return world / "videos"


def everything(
    out: Path, films: list[Path], schedule: Schedule, journal: Journal, least_goodput: float
) -> dict[str, object]:
    """Run the hour, then see what came of it."""
    with Memory(out, journal) as memory:
        corpus = Corpus(out, journal, memory)
        training = Training(out / "base", out, journal, memory, kill_every_seconds=schedule.kill_every)
        corpus.put(films[:FIRST])
        corpus.ingest()
        corpus.add_to_index()
        uploads = {"image": out / "upload.png", "video": film(out / "upload.mp4", steady(6.0))}
        _write_picture(uploads["image"])
        journal.counts.clear()
        with serving(corpus.index, out / "service", "threads=1") as service:
            corpus.url = service.url
            memory.watch("service", service.process.pid)
            journal.start_clock()
            memory.points.clear()
            arriving = [films[at : at + A_TIME] for at in range(FIRST, len(films), A_TIME)]

            def grow(number: int) -> None:
                corpus.grow(arriving[number], number)

            with Load(service.url, uploads, journal, corpus.gone) as load:
                _together(
                    journal,
                    growing=lambda: repeated(journal, schedule.arrive_every, schedule.end, grow),
                    purging=lambda: repeated(journal, schedule.purge_every, schedule.end, corpus.purge),
                    training=lambda: training.go_on_until(schedule.end, keep_after_kills=2),
                )
            journal.say("soak", "the clock is down; what came of it is looked at")
            memory.leave("service")
            faults = [line for line in service.lines() if line["event"] == "fault"]
            journal.require(not faults, "service", f"{len(faults)} faults in its log: {faults[:2]}")
            journal.require(not service.network_used.exists(), "service", "it asked for the network")
            service.process.terminate()
            status = service.process.wait(60)
            journal.require(status == 0, "service", f"told to end, it ended with status {status}")
        used = journal.attempt("memory", lambda: _memory(memory, journal), {})
        corpus.ingest()
        corpus.add_to_index()
        ends = journal.attempt("corpus", corpus.reconcile, {})
        steps = journal.attempt("training", training.require_whole, 0)
        compared: dict[str, int] = {}
        _together(
            journal,
            training=lambda: compared.update(step=training.require_as_undisturbed()),
            corpus=lambda: compared.update(videos=corpus.require_as_undisturbed()),
        )
    goodput = training.goodput
    journal.require(goodput >= least_goodput, "training", f"goodput {goodput:.3f}, at least {least_goodput} wanted")
    latencies = [one.latency_ms for one in load.answers if one.status]
    return {
        "minutes": schedule.end / 60,
        "goodput": round(goodput, 4),
        "steps": steps,
        "kills": len(training.lives) - 1,
        "steps_done_again": sum(life.steps_done - life.steps_kept for life in training.lives),
        "training_seconds": {
            "wall": round(sum(life.wall_seconds for life in training.lives), 1),
            "useful": round(sum(life.useful_seconds for life in training.lives), 1),
            "checkpoints": round(sum(life.checkpoint_seconds for life in training.lives), 1),
            "done again": round(sum(life.done_seconds - life.kept_seconds for life in training.lives), 1),
            "starts": round(sum(life.wall_seconds - life.done_seconds for life in training.lives), 1),
        },
        "videos": {"given": len(corpus.given), **ends},
        "as_undisturbed": compared,
        "answers": {f"{kind} {status}": number for (kind, status), number in sorted(_answers(load).items())},
        "latency_ms": {f"p{share}": round(float(np.percentile(latencies, share)), 1) for share in (50, 99)},
        "events": dict(sorted(journal.counts.items())),
        "memory_mb": used,
    }


def _together(journal: Journal, **actors: Callable[[], None]) -> None:
    """Run all actors to their ends; what one raises is a failure and ends that one."""

    threads = [threading.Thread(target=journal.attempt, args=(name, work, None)) for name, work in actors.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _answers(load: Load) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for one in load.answers:
        found[one.kind, one.status] = found.get((one.kind, one.status), 0) + 1
    return found


def _memory(memory: Memory, journal: Journal) -> dict[str, dict[str, float]]:
    """Of service, training and ingest: median of the first and of the last quarter in MB, and growth, which is bounded.

    A life of training that was too short to be warm is not judged. Of ingest, whose peak depends on whether there was
    anything to hear, the largest of the second half of its runs is compared with that of the first.
    """
    lives = {name: points for name, points in memory.points.items() if name.startswith("training")}
    grown = {name: growth(warmed(points)) for name, points in lives.items() if len(points) >= LEAST_SAMPLES}
    told = {"service": memory.points["service"], "training, at the end of each life": _ends(lives.values())}
    grown |= {name: growth(warmed(points)) for name, points in told.items()}
    told["ingest, peak of each run"] = peaks = memory.points["ingest"]
    half = len(peaks) // 2
    grown["ingest, peak of each run"] = _largest(peaks[half:]) / _largest(peaks[:half] or peaks) - 1
    for name, share in grown.items():
        most = MOST_GROWTH_OF_INGEST if name.startswith("ingest") else MOST_GROWTH
        journal.require(share < most, name, f"memory grows by {share:.1%}, less than {most:.0%} allowed")
    found = {}
    for name, points in told.items():
        first, last = quarters(points)
        found[name] = {"first": round(first, 1), "last": round(last, 1), "growth": round(grown[name], 4)}
    worst = max((share for name, share in grown.items() if name in lives), default=0.0)
    found["training, within a life"] = {
        "largest growth": round(worst, 4),
        "lives judged": len(grown.keys() & lives.keys()),
    }
    return found


def _ends(lives: Iterable[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    return [(points[-1][0], quarters(points)[1]) for points in lives if len(points) >= 4]


def _largest(points: Sequence[tuple[float, float]]) -> float:
    return max(value for _, value in points)


def _write_picture(path: Path) -> None:
    import cv2

    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8))


def page(found: dict[str, object], failures: list[str]) -> str:
    """The figures as a Markdown table, then what failed."""
    lines = ["| what | found |", "|---|---|"]
    for name, value in found.items():
        if isinstance(value, dict):
            told = {key: json.dumps(one).strip("{}").replace('"', "") for key, one in value.items()}
            lines += [f"| {name}: {key} | {one} |" for key, one in told.items()]
        else:
            lines.append(f"| {name} | {value} |")
    failed = [f"- {one}" for one in failures] or ["Nothing failed."]
    return "\n".join([*lines, "", *failed, ""])


def main() -> None:
    """Read the options, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--kill-every-seconds", type=float, default=300)
    parser.add_argument("--least-goodput", type=float, default=LEAST_GOODPUT)
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if (out / "soak.log").exists():
        sys.exit(f"{out}: holds the log of another soak; give another folder")
    # As an installation has it, compiled modules are kept: a start does not compile torch anew.
    os.environ.update(OMP_NUM_THREADS="1", PYTHONPATH=str(REPOSITORY), PYTHONPYCACHEPREFIX=str(out / "bytecode"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    schedule = Schedule(end=60 * given.minutes, kill_every=given.kill_every_seconds)
    films = prepare(out, schedule)
    journal = Journal(out)
    found = everything(out, films, schedule, journal, given.least_goodput)
    found = {"failures": len(journal.failures), **found}
    told = page(found, journal.failures)
    (out / "soak.md").write_text(told)
    print(told)  # noqa: T201
    print(json.dumps(found))  # noqa: T201
    journal.close()
    sys.exit(1 if journal.failures else 0)


if __name__ == "__main__":
    main()
