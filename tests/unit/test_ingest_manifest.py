"""The manifest gives back what was put in, all or nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.manifest import Manifest, Outcome, Stage, State, VideoRow
from ingest.records import Chapter, Clip, Correction, Evidence, Refused, Rejection, Segment, Transcript, Word

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
OUTCOME = Outcome(
    clips=(replace(CLIPS[0], alternatives=("Oel", "All")), *CLIPS[1:]),
    chapters=(Chapter(start_seconds=0.0, end_seconds=3.0, title="Rhexis"),),
    rejections=(*REJECTIONS, replace(REJECTIONS[0], kind=Refused.CLIP, reason="short")),
    corrections=(Correction(start_seconds=0.5, end_seconds=0.75, before="oil", after="Öl", reason="sound 1.0"),),
    evidence=(
        Evidence(attribute="phases", value="rhexis", origin="chapter", quote="Rhexis", start_seconds=0.0),
        Evidence(attribute="procedure", value="phaco", origin="title", quote="Phaco"),
    ),
    transcripts=(TRANSCRIPT, replace(TRANSCRIPT, engine="given")),
    fingerprint=b"\x00\x01",
)


def test_everything_comes_back(manifest_place: Path | str) -> None:
    done = replace(ROW, state=State.DONE, narrated=True, vague_title=False, audio_stream_index=1, reason="cut")
    with Manifest(manifest_place) as manifest:
        manifest.put([ROW])
        manifest.finish(done, OUTCOME)
    with Manifest(manifest_place) as manifest:
        assert manifest.videos() == [done]
        assert outcome_of(manifest, "v") == OUTCOME
        assert outcome_of(manifest, "w") == Outcome()
        columns, rows = manifest.table("corrections")
        assert dict(zip(columns, rows[0], strict=True))["before"] == "oil"


def test_reading_only_leaves_everything_as_it_is_and_sees_what_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with Manifest(path) as writing:
        writing.finish(ROW, OUTCOME)
        with Manifest(path, read_only=True) as manifest:
            assert manifest.videos() == [ROW]
    before = path.read_bytes()
    with Manifest(path, read_only=True) as manifest:
        assert outcome_of(manifest, "v") == OUTCOME
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            manifest.put([ROW])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(sqlite3.OperationalError):
        Manifest(tmp_path / "none.sqlite", read_only=True)
    assert list(tmp_path.iterdir()) == [path]


def outcome_of(manifest: Manifest, video_id: str) -> Outcome:
    return Outcome(
        clips=tuple(manifest.clips(video_id)),
        chapters=tuple(manifest.chapters(video_id)),
        rejections=tuple(manifest.rejections(video_id)),
        corrections=tuple(manifest.corrections(video_id)),
        evidence=tuple(manifest.evidence(video_id)),
        transcripts=tuple(manifest.transcripts(video_id)),
        fingerprint=manifest.fingerprint(video_id),
    )


def test_a_stage_that_was_begun_is_known(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.put([ROW, replace(ROW, video_id="w", source_relative="w.mp4")])
        manifest.enter_stage(["v", "w"], Stage.DECODE, "2026-01-01T00:00:00+00:00")
        manifest.enter_stage(["v"], Stage.WRITE, "2026-01-01T00:00:09+00:00")
        found = [(row.stage, row.started_at) for row in manifest.videos()]
        began = "2026-01-01T00:00:00+00:00"
        assert found == [(Stage.WRITE, began), (Stage.DECODE, began)]


def test_evaluation_videos_are_remembered(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.put_evaluation_video("/x/e.mp4", "1:2", b"a")
        manifest.put_evaluation_video("/x/e.mp4", "1:3", b"b")
        assert manifest.evaluation_videos() == {"/x/e.mp4": ("1:3", b"b")}


def test_a_new_outcome_replaces_the_old_one(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.finish(ROW, OUTCOME)
        manifest.finish(ROW)
        assert outcome_of(manifest, "v") == Outcome()


def test_what_is_removed_is_counted_before_and_gone_after(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.finish_all([(ROW, OUTCOME), (replace(ROW, video_id="w", source_relative="w.mp4"), OUTCOME)])
        assert manifest.counts(["v", "w"])["clips"] == 2 * len(CLIPS)
        assert manifest.counts(["v"]) == manifest.counts(["w"])
        manifest.remove(["v"])
        assert set(manifest.counts(["v"]).values()) == {0}
        assert [row.video_id for row in manifest.videos()] == ["w"]
        assert replace(outcome_of(manifest, "w"), clips=()) == replace(OUTCOME, clips=())


def test_half_an_outcome_is_none(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.finish(ROW, OUTCOME)
        nameless = replace(ROW, video_id=None)  # type: ignore[arg-type]
        with pytest.raises(Exception, match=r"NOT NULL|null value"):
            manifest.finish_all([(replace(ROW, state=State.DONE), None), (nameless, OUTCOME)])
        assert manifest.videos() == [ROW]
        assert outcome_of(manifest, "v") == OUTCOME


def test_a_file_that_is_no_manifest_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(ValueError, match=r"m\.sqlite: not usable as a manifest \(.*\): move it away"):
        Manifest(path)


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "m.sqlite")
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(ValueError, match="version 9 found, 2 expected"):
        Manifest(tmp_path / "m.sqlite")
