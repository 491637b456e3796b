"""The manifest gives back what was put in, all or nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.manifest import Manifest, State, VideoRow
from ingest.records import Clip, Rejection, Segment, Transcript, Word

ROW = VideoRow(video_id="v", path="/x/v.mp4", source_relative="v.mp4", sha256="ab", stamp="1:2", recipe="r")
CLIPS = tuple(
    Clip(video_id="v", index=n, start_seconds=n * 1.5, end_seconds=n + 1.25, narration=f"Öl {n}") for n in range(3)
)
REJECTIONS = (Rejection(start_seconds=1.0, end_seconds=2.0, text="so so", reason="loop"),)
WORD = Word(start_seconds=0.5, end_seconds=0.75, text="Öl", probability=0.5, interpolated=True)
TRANSCRIPT = Transcript(
    segments=(Segment(start_seconds=0.5, end_seconds=0.75, text="Öl", words=(WORD,)),),
    language="en",
    engine="faster_whisper",
    model="m",
    speech_seconds=0.25,
    duration_seconds=9.0,
)


def test_everything_comes_back(tmp_path: Path) -> None:
    done = replace(ROW, state=State.DONE, narrated=True, vague_title=False, audio_stream_index=1, reason="cut")
    with Manifest(tmp_path / "m.sqlite") as manifest:
        manifest.put([ROW])
        manifest.finish(done, CLIPS, REJECTIONS, TRANSCRIPT)
    with Manifest(tmp_path / "m.sqlite") as manifest:
        assert manifest.videos() == [done]
        assert tuple(manifest.clips("v")) == CLIPS
        assert tuple(manifest.rejections("v")) == REJECTIONS
        assert manifest.transcript("v") == TRANSCRIPT
        assert manifest.transcript("w") is None


def test_a_new_outcome_replaces_the_old_one(tmp_path: Path) -> None:
    with Manifest(tmp_path / "m.sqlite") as manifest:
        manifest.finish(ROW, CLIPS, REJECTIONS, TRANSCRIPT)
        manifest.finish(ROW)
        assert manifest.clips("v") == []
        assert manifest.rejections("v") == []
        assert manifest.transcript("v") is None


def test_half_an_outcome_is_none(tmp_path: Path) -> None:
    with Manifest(tmp_path / "m.sqlite") as manifest:
        manifest.finish(ROW, CLIPS)
        with pytest.raises(sqlite3.IntegrityError):
            manifest.finish(replace(ROW, state=State.DONE), (CLIPS[0], CLIPS[0]))
        assert manifest.videos() == [ROW]
        assert tuple(manifest.clips("v")) == CLIPS


def test_a_file_that_is_no_manifest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(ValueError, match=r"m\.sqlite: not usable as a manifest \(.*\): move it away"):
        Manifest(path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "m.sqlite")
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(ValueError, match="version 9 found, 1 expected"):
        Manifest(tmp_path / "m.sqlite")
