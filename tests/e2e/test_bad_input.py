"""What only a whole process shows of a user's mistakes; the mistakes themselves are in `contract`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def ophclip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ophclip.cli", *words], capture_output=True, text=True, check=False, timeout=120
    )


def told_in_one_line(run: subprocess.CompletedProcess[str], *parts: str) -> None:
    lines = [line for line in run.stderr.splitlines() if line.startswith("ophclip: ")]
    assert run.returncode == 2, run.stderr
    assert len(lines) == 1
    assert "Traceback" not in run.stderr
    for part in parts:
        assert part in lines[0]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    told_in_one_line(ophclip("demo", "--videos", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")), "nowhere")


def test_nothing_but_a_text_file_named_mp4(tmp_path: Path) -> None:
    source = tmp_path / "videos"
    source.mkdir()
    (source / "notes.mp4").write_text("these are notes, not a video\n")
    run = ophclip("ingest", str(source), "--out", str(tmp_path / "corpus"))
    assert run.returncode != 0
    assert "notes.mp4" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_by_permission(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    told_in_one_line(ophclip("demo", "--out", str(locked / "demo")), "locked")
