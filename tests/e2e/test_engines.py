"""Whoever does the work, on however many processes: the same shards, byte by byte, and the same manifest."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from filming import film, steady, tone
from postgres_server import PASSWORD

from ingest.manifest import State
from ingest.pack import SHARDS
from ingest.status import open_corpus

CHANGING = ("started_at", "finished_at", "attempts", "decode_seconds", "asr_seconds", "write_seconds")
TABLES = ("clips", "chapters", "rejections", "corrections", "evidence", "transcripts")
PLAIN = (
    "screen.kind=off",
    "duplicates.enabled=false",
    "overlays.enabled=false",
    "shards.fps=2",
    "shards.video_frames=4",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """Five videos: one in which somebody speaks, a transcript, metadata, and a file that is no video."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "words").mkdir()
    shutil.copy(real_data / "video" / "narrated_cataract.mp4", folder / "spoken.mp4")
    for number in range(3):
        film(folder / f"n{number}.mp4", steady(4.0 + number), [(tone(4.0), 16_000)])
    (folder / "none.mp4").write_text("not a video\n" * 50)
    (folder / "n0.info.json").write_text(json.dumps({"title": "Trabeculectomy with mitomycin C", "license": "CC0"}))
    (folder / "words" / "n1.csv").write_text("start,end,text\n0.5,3.0,The keratome makes the corneal incision.\n")
    return folder


def command(source: Path, corpus: Path, options: Sequence[str]) -> list[str]:
    """An ingest of the source with what is common to all."""
    begin = [sys.executable, "-m", "ophclip.cli", "ingest", str(source), "--out", str(corpus)]
    return [*begin, "--transcripts", str(source / "words"), *options, *PLAIN]


def environment() -> dict[str, str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    # Ray's workers are nice, and would wait behind all other tests.
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}


def run(source: Path, corpus: Path, options: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(source, corpus, options), capture_output=True, text=True, check=False, env=environment()
    )


def ingested(source: Path, corpus: Path, *options: str) -> dict[str, Any]:
    """Shards and manifest of a corpus as one engine makes it."""
    done = run(source, corpus, options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert PASSWORD not in done.stdout + done.stderr
    with open_corpus(corpus) as manifest:
        videos = [{k: v for k, v in asdict(row).items() if k not in CHANGING} for row in manifest.videos()]
        fingerprints = [manifest.fingerprint(one["video_id"]) for one in videos]
        tables = [manifest.table(name) for name in TABLES]
        assert manifest.leased() == set()
    assert list((corpus / "staging").iterdir()) == []
    shards = {path.name: path.read_bytes() for path in sorted((corpus / SHARDS).iterdir())}
    return {"shards": shards, "videos": videos, "fingerprints": fingerprints, "tables": tables}


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By one process here."""
    found = ingested(source, tmp_path_factory.mktemp("expected") / "corpus", "workers=1")
    states = {one["video_id"]: one["state"].value for one in found["videos"]}
    assert states == {"n0": "done", "n1": "done", "n2": "done", "none": "rejected", "spoken": "done"}
    assert {row[0] for row in found["tables"][0][1]} == {"n1", "spoken"}
    return found


@pytest.mark.slow
def test_two_processes_into_a_database(source: Path, tmp_path: Path, expected: dict[str, Any], postgres: str) -> None:
    corpus = tmp_path / "corpus"
    assert ingested(source, corpus, "workers=2", f"manifest='{postgres}'") == expected
    assert not (corpus / "manifest.sqlite").exists()
    assert PASSWORD not in (corpus / "manifest.address").read_text()
    again = run(source, corpus, ())
    assert "0 worked on now" in again.stdout
    other = run(source, tmp_path / "other", (f"manifest='{postgres}'",))
    assert "holds another corpus" in other.stderr


@pytest.mark.slow
def test_ray_with_workers_that_hear_for_themselves(source: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    assert ingested(source, tmp_path / "corpus", "--engine", "ray", "workers=2") == expected


@pytest.mark.slow
def test_ray_with_an_actor_that_hears_for_all(source: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    options = ("--engine", "ray", "workers=1", "ray.transcribers=1")
    assert ingested(source, tmp_path / "corpus", *options) == expected


@pytest.mark.slow
def test_an_array_of_slurm(source: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    options = ("--engine", "slurm", "slurm.cluster=local", "slurm.array_size=2", "slurm.cpus=1")
    assert ingested(source, tmp_path / "corpus", *options) == expected
    assert not (tmp_path / "corpus" / "slurm" / "tasks.pickle").exists()


@pytest.mark.slow
def test_elements_go_on_when_what_submitted_them_is_killed_and_the_next_run_packs(
    source: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    corpus = tmp_path / "corpus"
    options = ("--engine", "slurm", "slurm.cluster=local", "slurm.array_size=2", "slurm.cpus=1")
    with subprocess.Popen(command(source, corpus, options), stdout=subprocess.DEVNULL, env=environment()) as driver:
        wait_until(lambda: (corpus / "manifest.sqlite").is_file() and bool(leases_and_pending(corpus)[0]))
        driver.kill()
    wait_until(lambda: leases_and_pending(corpus) == (0, 0))
    assert not (corpus / SHARDS).exists()
    assert ingested(source, corpus) == expected


def leases_and_pending(corpus: Path) -> tuple[int, int]:
    try:
        with open_corpus(corpus, read_only=True) as manifest:
            return len(manifest.leased()), sum(row.state is State.PENDING for row in manifest.videos())
    except (sqlite3.OperationalError, ValueError):  # it is being made
        return 0, 1


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 500.0
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_on_ray_each_task_has_its_own_fate_too() -> None:
    runner = Path(__file__).with_name("ray_runner.py")
    done = subprocess.run([sys.executable, runner], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr[-3000:]
    *news, unfit, full = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert (unfit, full) == (["ended", "asr.model: nowhere to be found"], ["ended", "the disk is full"])
    assert {task for task, kind, _value in news if kind == "Note"} == set(range(8))
    crashes = {task: value for task, kind, value in news if kind == "Crash"}
    assert crashes.keys() == {3, 5, 6}
    assert crashes[3].startswith("was lost (")
    assert crashes[5] == "broke on it: OSError: disk full"
    assert crashes[6] == "stood still for 2 s"
    answers = {task: value for task, kind, value in news if kind == "list"}
    assert {task: value[0] for task, value in answers.items()} == {task: task + 10 for task in (0, 1, 2, 4, 7)}
    assert {value[2] for value in answers.values()} == {"3"}
