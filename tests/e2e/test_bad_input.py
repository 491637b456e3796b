"""What a user gets wrong is told in one line that names it, and harms nothing else."""

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


def test_an_empty_folder(tmp_path: Path) -> None:
    source = tmp_path / "empty"
    source.mkdir()
    told_in_one_line(ophclip("ingest", str(source), "--out", str(tmp_path / "corpus")), str(source))


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


def test_an_output_that_is_a_file(tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file\n")
    told_in_one_line(ophclip("demo", "--out", str(occupied)), "occupied")


def test_a_missing_speech_model(tmp_path: Path) -> None:
    source = tmp_path / "videos"
    source.mkdir()
    (source / "a.mp4").write_bytes(b"")
    run = ophclip("ingest", str(source), "--out", str(tmp_path / "corpus"), f"asr.model={tmp_path / 'no_model'}")
    told_in_one_line(run, "no_model")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("search", "{tmp}/no_index", "lens injector"), "no_index"),
        (("zeroshot", "{tmp}/no_bundle", "--video", "{tmp}/a.mp4"), "no_bundle"),
        (("zeroshot", "{tmp}/no_bundle"), "--dataset"),
        (("index", "{tmp}/no_bundle", "{tmp}/no_corpus", "--out", "{tmp}/i"), "no_corpus"),
        (("bundle", "{tmp}/no_run", "--out", "{tmp}/b"), "no_run"),
        (("train", "data.root={tmp}/no_corpus", "+exp=demo"), "no_corpus"),
        (("train", "data.rot=x"), "rot"),
        (("ingest", "{tmp}", "--out", "{tmp}/c", "asr.egnine=x"), "egnine"),
    ],
)
def test_what_is_missing_is_named(words: tuple[str, ...], part: str, tmp_path: Path) -> None:
    told_in_one_line(ophclip(*(word.format(tmp=tmp_path) for word in words)), part)
