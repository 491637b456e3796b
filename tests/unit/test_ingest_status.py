"""What is said of a corpus: status, Parquet, data card, calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from ingest.calibrate import calibrate
from ingest.card import gather, write_card
from ingest.config import IngestConfig
from ingest.export import TABLES, export_parquet
from ingest.manifest import Manifest, Outcome, Stage, State, VideoRow
from ingest.records import Clip, Correction, Level, Rejection, Sample, Segment, Transcript, Word
from ingest.shards import ShardWriter, encode_jpeg
from ingest.status import read_status


def row(name: str, **facts: object) -> VideoRow:
    plain = VideoRow(video_id=name, path=f"/x/{name}.mp4", source_relative=f"{name}.mp4", sha256="", stamp="1:2")
    return replace(plain, **facts)  # type: ignore[arg-type]


def spoken(words: int, seconds: float) -> Transcript:
    step = seconds / max(words, 1)
    said = tuple(
        Word(start_seconds=n * step, end_seconds=(n + 1) * step, text=f"word{n}.", probability=0.9)
        for n in range(words)
    )
    segment = Segment(start_seconds=0.0, end_seconds=seconds, text="", words=said)
    return Transcript(
        segments=(segment,) if words else (),
        language="en",
        engine="faster_whisper",
        model="m",
        speech_seconds=seconds,
        duration_seconds=60.0,
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    clip = Clip(video_id="a", index=0, start_seconds=1.0, end_seconds=4.0, narration="The rhexis | is begun.")
    outcome = Outcome(
        clips=(clip,),
        rejections=(Rejection(start_seconds=5.0, end_seconds=6.0, text="So.", reason="loop: the same phrase 9 times"),),
        corrections=(Correction(start_seconds=1.0, end_seconds=2.0, before="hexis", after="rhexis", reason="sound"),),
        transcripts=(spoken(100, 50.0),),
    )
    times = {"decode_seconds": 6.0, "asr_seconds": 3.0, "write_seconds": 1.0, "duration_seconds": 60.0}
    with Manifest(tmp_path / "manifest.sqlite") as manifest:
        done = row("a", state=State.DONE, narrated=True, clips=1, speech_seconds=50.0, license="CC0", **times)
        manifest.finish(done, outcome)
        silent = row("b", state=State.DONE, **times)
        manifest.finish(silent, Outcome(transcripts=(spoken(2, 1.0),)))
        manifest.finish(row("c", state=State.REJECTED, reason="not surgery: 90% of the pictures, most for flat"))
        manifest.put([row("d", stage=Stage.TRANSCRIBE), row("e")])
    picture = encode_jpeg(np.full((24, 32, 3), 90, dtype=np.uint8))
    with ShardWriter(tmp_path / "shards") as writer:
        for name, level, text in (
            ("a-00001000", Level.CLIP, clip.narration),
            ("a", Level.VIDEO, ""),
            ("b", Level.VIDEO, ""),
        ):
            writer.add(
                Sample(
                    key=name,
                    level=level,
                    video_id=name[0],
                    narrated=name[0] == "a",
                    start_seconds=1.0,
                    end_seconds=4.0,
                    text=text,
                    frame_seconds=(1.0, 2.0),
                    jpegs=(picture, picture),
                )
            )
    return tmp_path


def test_status_counts_every_video_once_and_knows_what_is_left(corpus: Path) -> None:
    found = read_status(corpus)
    counts = {one.name: one.videos for one in found.counts}
    assert counts == {"narrated": 1, "silent": 1, "pending (known)": 1, "pending (transcribe)": 1, "rejected": 1}
    assert found.reasons == ((State.REJECTED, "not surgery: 90% of the pictures, most for flat", 1),)
    assert (found.rejected_texts, found.corrected_texts, found.pending) == (1, 1, 2)
    assert (found.busy_seconds_per_video, found.real_time_factor) == (10.0, 6.0)
    assert found.seconds_left(workers=2) == 10.0


def test_no_corpus_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no manifest\.sqlite here, no corpus: make one with"):
        read_status(tmp_path)


def test_parquet_holds_what_the_manifest_holds(corpus: Path, tmp_path: Path) -> None:
    paths = export_parquet(corpus, tmp_path / "out")
    assert [path.stem for path in paths] == list(TABLES)
    videos = pyarrow.parquet.read_table(tmp_path / "out" / "videos.parquet").to_pylist()
    assert [video["video_id"] for video in videos] == ["a", "b", "c", "d", "e"]
    assert (videos[0]["narrated"], videos[0]["license"], videos[0]["duration_seconds"]) == (True, "CC0", 60.0)
    assert videos[0]["audio_stream_index"] is None
    changes = pyarrow.parquet.read_table(tmp_path / "out" / "corrections.parquet").to_pylist()
    assert [(one["before"], one["after"], one["start_seconds"]) for one in changes] == [("hexis", "rhexis", 1.0)]
    chapters = pyarrow.parquet.read_table(tmp_path / "out" / "chapters.parquet")
    assert chapters.num_rows == 0
    assert str(chapters.schema.field("start_seconds").type) == "double"


def test_the_card_says_what_there_is_and_what_was_lost(corpus: Path) -> None:
    markdown, page = write_card(corpus)
    words = markdown.read_text(encoding="utf-8")
    assert "| narrated | 1 | 0.02 | 0.01 | 1 | 0 | 1 |" in words
    assert "| CC0 | unknown | none | none | 1 |" in words
    assert "| not surgery | 1 |" in words
    assert "| sentence | loop | 1 |" in words
    assert "| hexis | rhexis | 1 |" in words
    assert "a, 1.0 to 4.0 s: “The rhexis | is begun.”" in words
    assert gather(corpus).fingerprint in page.read_text(encoding="utf-8")
    for name in ("example-00.jpg", "clip_lengths.png"):
        assert f"card/{name}" in words
        assert (corpus / "card" / name).is_file()
    before = page.read_bytes()
    write_card(corpus)
    assert page.read_bytes() == before, "the same corpus, the same card"


def test_thresholds_part_what_was_labelled(corpus: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("video,narrated\na,yes\nb.mp4,no\n")
    found = calibrate(corpus, labels, IngestConfig())
    measured = {one.video_id: (one.speech.share, one.speech.words_per_minute) for one in found.measured}
    assert measured["a"] == (pytest.approx(50 / 60), pytest.approx(100.0))
    assert measured["b"] == (pytest.approx(1 / 60), pytest.approx(2.0))
    assert found.wrong == ()
    assert measured["b"][1] < found.min_words_per_minute or measured["b"][0] < found.min_speech_share
    assert found.min_word_probability <= min(one.speech.word_probability for one in found.measured if one.narrated)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("video,label\na,yes\n", "columns video and narrated"),
        ("video,narrated\na,perhaps\nb,no\n", "narrated of a is 'perhaps'"),
        ("video,narrated\nz,yes\nb,no\n", "z is no video of this corpus"),
        ("video,narrated\na,yes\n", "one kind only"),
    ],
)
def test_faulty_labels_are_told_in_one_line(corpus: Path, tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=told):
        calibrate(corpus, tmp_path / "labels.csv", IngestConfig())
