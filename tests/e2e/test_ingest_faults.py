"""Broken at two hundred points, an ingest goes on to the same bytes: nothing lost, nothing double, nothing half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filming import film, steady, tone

RUNNER = Path(__file__).with_name("fault_runner.py")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "words").mkdir(parents=True)
    film(folder / "a.mp4", steady(5.0), [(tone(5.0), 16_000)])
    film(folder / "b.mp4", steady(3.0))
    (folder / "no_video.mp4").write_text("not a video\n" * 50)
    lines = "0.0,2.2,Now the capsulorhexis is begun.\n2.4,3.9,It is completed here.\n"
    (folder / "words" / "a.csv").write_text(f"start,end,text\n{lines}")
    (folder / "b.info.json").write_text(json.dumps({"title": "Trabeculectomy", "license": "CC BY 4.0"}))
    return folder


def broken(source: Path, work: Path, step: int) -> list[list[object]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(RUNNER), str(source), str(work), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(found: list[list[object]]) -> None:
    for kind, at, status, said, clean, same, again in found:
        told = f"{kind} at {at}: {said} / {again}"
        assert clean, told
        assert same, told
        assert (status == 9) == (kind == "kill"), told
        assert kind == "kill" or "\n" not in str(said), told
        assert kind != "clock" or not said, told
    struck = [said for kind, _at, _status, said, *_rest in found if kind != "kill" and said]
    assert struck
    odd = [said for said in struck if "what is done is kept" not in str(said) and "cannot be written" not in str(said)]
    assert odd == []


def test_a_few_points(source: Path, tmp_path: Path) -> None:
    check(broken(source, tmp_path / "work", 29))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_two_hundred_points(source: Path, tmp_path: Path) -> None:
    found = broken(source, tmp_path / "work", 1)
    assert len(found) >= 200
    check(found)
