"""A folder as it comes out of an operating theatre: everything in it stands in the corpus or in the manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recording import H264, PROGRAM, RECORDERS, TRANSPORT, Recorder, number_in, record

from ingest.config import (
    DuplicatesConfig,
    FilterConfig,
    IngestConfig,
    OverlayConfig,
    ScreenConfig,
    ScreenKind,
    ShardsConfig,
)
from ingest.manifest import Manifest
from ingest.records import Refused
from ingest.run import ingest
from ingest.shards import ShardReader, decode_jpeg

CONFIG = IngestConfig(
    workers=1,
    shards=ShardsConfig(fps=2.0, video_frames=4, short_side_px=48),
    screen=ScreenConfig(kind=ScreenKind.OFF),
    duplicates=DuplicatesConfig(enabled=False),
    overlays=OverlayConfig(enabled=False),
    filter=FilterConfig(enabled=False),
)
LINES = "0.2,1.6,The keratome makes the corneal incision.\n4.0,5.5,The capsulorhexis is torn with forceps.\n"
REASONS = {
    "anew.ts": "its timestamps leap at 2.0 s: seconds go on from there",
    "cut.avi": "truncated: 4.9 of 10.0 s decode, and these were kept",
    "disc.vob": "",
    "empty.mp4": "not a readable video (Invalid data found when processing input): replace or remove this file",
    "one.wmv": "",
    "outlasts.mp4": "sound goes on for 4.0 s after the last picture",
    "unknown.mov": "its pictures are coded in a way that FFmpeg does not know: convert this file",
    "wider.mpg": "pictures of 128 x 96 pixels become 192 x 96 at 1.5 s: all are shown in the first size",
}


def joined(path: Path, folder: Path, first: Recorder, second: Recorder, start_seconds: float) -> None:
    one = record(folder / f"one{first.suffix}", first)
    other = record(folder / f"other{second.suffix}", second, numbers=range(50, 100), start_seconds=start_seconds)
    path.write_bytes(one.read_bytes() + other.read_bytes())


def fill(folder: Path, beside: Path) -> None:
    record(folder / "disc.vob", RECORDERS["DVD"])
    record(folder / "one.wmv", RECORDERS["WMV"], numbers=[7])
    record(folder / "outlasts.mp4", H264, sound_seconds=6.0)
    (beside / "outlasts.csv").write_text(f"start,end,text\n{LINES}")
    joined(folder / "anew.ts", beside, TRANSPORT, TRANSPORT, 0.0)
    joined(folder / "wider.mpg", beside, PROGRAM, replace(PROGRAM, size=(192, 96)), 2.0)
    (folder / "empty.mp4").write_bytes(b"")
    long = record(beside / "long.avi", RECORDERS["MJPEG, 8 kHz"], numbers=range(250)).read_bytes()
    (folder / "cut.avi").write_bytes(long[: len(long) // 2])
    known = record(beside / "known.mov", replace(H264, sound=None)).read_bytes()
    (folder / "unknown.mov").write_bytes(known.replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC"))


@pytest.mark.slow
def test_nothing_is_lost_without_a_word(tmp_path: Path) -> None:
    folder, beside, corpus = tmp_path / "videos", tmp_path / "beside", tmp_path / "corpus"
    folder.mkdir()
    beside.mkdir()
    fill(folder, beside)
    summary = ingest(folder, corpus, replace(CONFIG, transcripts=str(beside)))
    assert (summary.videos, summary.done, summary.rejected, summary.failed) == (8, 6, 2, 0)
    with Manifest(corpus / "manifest.sqlite") as manifest:
        rows = {row.source_relative: row for row in manifest.videos()}
        assert {name: row.reason for name, row in rows.items()} == REASONS
        assert [row.narrated for row in rows.values()] == [name == "outlasts.mp4" for name in rows]
        (clip,) = manifest.clips("outlasts")
        assert clip.narration == "The keratome makes the corneal incision."
        (refused,) = manifest.rejections("outlasts")
        assert (refused.kind, refused.reason) == (Refused.CLIP, "no picture: they end at 2.0 s")
    reader = ShardReader(corpus)
    anew = reader.read("anew")
    assert [number_in(decode_jpeg(one)) for one in anew.jpegs] == pytest.approx([12, 37, 62, 87], abs=1)
    assert anew.frame_seconds == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.1)
    assert {decode_jpeg(one).shape for one in reader.read("wider").jpegs} == {(48, 64, 3)}
    assert [number_in(decode_jpeg(one)) for one in reader.read("one").jpegs] == [7]
    reader.close()
