"""Training and index building, broken at any point, end in one clear line and go on to what an unbroken run makes.

Some points of all; `./justw soak` takes every one (OPHCLIP_FAULT_STEP=1).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).with_name("stage_runner.py")


def ran(kind: str, work: Path, step: int) -> list[tuple[str, int, int, str, bool, str]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(RUNNER), kind, str(work), os.environ.get("OPHCLIP_FAULT_STEP", str(step))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def check_broken(found: list[tuple[str, int, int, str, bool, str]]) -> None:
    for kind, at, status, said, same, again in found:
        told = f"{kind} at {at}: {status} {said} / {again}"
        assert same, told
        assert not again, told
        assert status == (9 if kind == "kill" else 0), told
        assert "\n" not in said, told
        assert kind != "clock" or not said, told
    assert {kind for kind, *_rest in found} >= {"clock", "kill", "disk full"}
    assert any(said for kind, _at, _status, said, *_rest in found if kind != "kill")


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("kind", "step"), [("train", 40), ("index", 20)])
def test_a_few_points(kind: str, step: int, tmp_path: Path) -> None:
    check_broken(ran(kind, tmp_path / "work", step))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_damaged_indices_and_checkpoints_end_in_one_line_or_a_result(tmp_path: Path) -> None:
    found = ran("damage", tmp_path / "work", 10)
    assert len(found) >= 20
    for kind, seed, status, said, _same, _again in found:
        told = f"{kind}, seed {seed}: {status} {said}"
        assert status == 0, told
        assert "\n" not in said, told
        assert "Error: " not in said, told
    assert any(said for *_rest, said, _same, _again in found)
