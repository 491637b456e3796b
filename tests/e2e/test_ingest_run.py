"""A folder of videos becomes a corpus: once, whatever happens on the way."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filming import film, number_of, steady, tone

from ingest.config import (
    AsrConfig,
    DuplicatesConfig,
    FetchConfig,
    IngestConfig,
    OverlayConfig,
    Retry,
    ScreenConfig,
    ScreenKind,
    ShardsConfig,
)
from ingest.manifest import Manifest, State
from ingest.media import Reader, installed_readers
from ingest.pack import NEW, OLD, SHARDS, pack, recover, staged_path
from ingest.records import VIDEO_SUFFIXES, Level, Sample
from ingest.run import ingest
from ingest.shards import ShardReader, decode_jpeg, write_staged

PLAIN = {
    "screen": ScreenConfig(kind=ScreenKind.OFF),
    "duplicates": DuplicatesConfig(enabled=False),
    "overlays": OverlayConfig(enabled=False),
}
"""The pictures here are numbers: no surgery, all alike, and full of text."""
CONFIG = IngestConfig(workers=2, shards=ShardsConfig(fps=2.0, video_frames=4, short_side_px=48), **PLAIN)
ALONE = replace(CONFIG, workers=1)
"""The same shards from one process, which is half as dear to start."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    film(folder / "b.mp4", steady(4.0), [(tone(4.0), 16_000)])
    film(folder / "more" / "a.mkv", steady(3.0))
    facts = {"title": "Trabeculectomy with mitomycin C", "license": "CC BY 4.0", "uploader": "U"}
    (folder / "b.info.json").write_text(json.dumps(facts))
    return folder


def shard_bytes(corpus: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((corpus / SHARDS).iterdir())}


def test_a_folder_becomes_a_corpus_and_a_second_run_does_nothing(source: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    messages: list[tuple[int, int, str]] = []
    summary = ingest(source, corpus, CONFIG, lambda *message: messages.append(message))
    assert (summary.videos, summary.processed, summary.done, summary.silent) == (2, 2, 2, 2)
    assert messages[0] == (0, 2, "loading the model")
    assert (2, 2) in [message[:2] for message in messages]
    reader = ShardReader(corpus)
    reader.verify()
    assert [entry.key for entry in reader.entries(Level.VIDEO)] == ["a", "b"]
    sample = reader.read("b")
    assert sample.text == "Trabeculectomy with mitomycin C: a video of trabeculectomy; giving mitomycin C."
    assert (sample.license, sample.source, sample.narrated) == ("CC BY 4.0", "b.mp4", False)
    assert sample.frame_seconds == pytest.approx([0.5, 1.5, 2.5, 3.5])
    assert [number_of(decode_jpeg(one)) for one in sample.jpegs] == [5, 15, 25, 35]
    assert reader.read("a").text == ""
    reader.close()
    before = {path: path.stat().st_mtime_ns for path in (corpus / SHARDS).iterdir()}
    again = ingest(source, corpus, CONFIG)
    assert (again.processed, again.done) == (0, 2)
    assert {path: path.stat().st_mtime_ns for path in (corpus / SHARDS).iterdir()} == before
    assert list((corpus / "staging").iterdir()) == []


def test_files_that_cannot_be_used_are_named_and_harm_no_other(source: Path, tmp_path: Path) -> None:
    (source / "text.mp4").write_text("not a video\n" * 50)
    (source / "nothing.mp4").write_bytes(b"")
    whole = (source / "b.mp4").read_bytes()
    (source / "headless.mp4").write_bytes(whole[: len(whole) // 2])
    film(tmp_path / "long.mkv", steady(20.0), b_frames=0)
    cut = (tmp_path / "long.mkv").read_bytes()
    (source / "cut.mkv").write_bytes(cut[: int(len(cut) * 0.6)])
    (source / "copy").mkdir()
    shutil.copy(source / "b.mp4", source / "copy" / "b.mp4")
    (source / "more" / "a.info.json").write_text("{")
    summary = ingest(source, tmp_path / "corpus", ALONE)
    assert (summary.done, summary.rejected, summary.failed) == (3, 4, 0)
    reports = {one.file: one for one in summary.reports}
    refused = {file for file, one in reports.items() if one.state is State.REJECTED}
    assert refused == {"text.mp4", "nothing.mp4", "headless.mp4", "copy/b.mp4"}
    assert reports["copy/b.mp4"].reason == "the same bytes as b.mp4"
    assert (
        reports["text.mp4"].reason
        == "not a readable video (Invalid data found when processing input): replace or remove this file"
    )
    assert reports["cut.mkv"].state is State.DONE
    assert reports["cut.mkv"].reason.startswith("truncated: ")
    assert reports["more/a.mkv"].reason.startswith("a.info.json is not readable as JSON")
    assert all("\n" not in one.reason for one in summary.reports)
    assert str(summary).count("\n") == len(summary.reports)
    assert ingest(source, tmp_path / "corpus", ALONE).processed == 0


@pytest.mark.slow
def test_new_and_changed_files_are_taken_up_to_the_same_bytes_as_a_fresh_run(source: Path, tmp_path: Path) -> None:
    ingest(source, tmp_path / "corpus", ALONE)
    film(source / "c.mp4", steady(2.0))
    film(source / "b.mp4", steady(5.0))
    os.utime(source / "more" / "a.mkv")
    summary = ingest(source, tmp_path / "corpus", CONFIG)
    assert (summary.processed, summary.done) == (2, 3)
    ingest(source, tmp_path / "fresh", ALONE)
    assert shard_bytes(tmp_path / "corpus") == shard_bytes(tmp_path / "fresh")
    smaller = IngestConfig(workers=1, shards=ShardsConfig(fps=2.0, video_frames=2, short_side_px=48), **PLAIN)
    assert ingest(source, tmp_path / "corpus", smaller).processed == 3


@pytest.mark.slow
def test_a_failed_video_is_tried_again_when_asked(source: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    ingest(source, corpus, ALONE)
    with Manifest(corpus / "manifest.sqlite") as manifest:
        (row,) = (row for row in manifest.videos() if row.video_id == "a")
        manifest.finish(replace(row, state=State.FAILED, reason="the worker was ended by SIGSEGV"))
    summary = ingest(source, corpus, ALONE)
    assert (summary.processed, summary.done, summary.failed) == (0, 1, 1)
    assert [entry.key for entry in ShardReader(corpus).entries(Level.VIDEO)] == ["b"]
    again = IngestConfig(workers=1, shards=CONFIG.shards, retry=Retry.FAILED, **PLAIN)
    assert ingest(source, corpus, again).done == 2
    assert [entry.key for entry in ShardReader(corpus).entries(Level.VIDEO)] == ["a", "b"]


def test_what_cannot_begin_is_said_in_one_line(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"file/corpus: cannot be written \(Not a directory\): choose another"):
        ingest(source, tmp_path / "file" / "corpus", ALONE)
    with pytest.raises(ValueError, match="no video files in it: expected files ending in " + VIDEO_SUFFIXES[0]):
        ingest(tmp_path / "empty", tmp_path / "corpus", ALONE)
    missing = IngestConfig(workers=1, asr=AsrConfig(model="package:not-there-at-all/model"))
    with pytest.raises(ValueError, match=r"asr\.model: .* not-there-at-all is not installed: install it"):
        ingest(source, tmp_path / "corpus", missing)
    absent = [reader for reader in Reader if reader not in installed_readers()]
    for reader in absent:
        with pytest.raises(ValueError, match=f"reader: {reader.value} is not installed: install it or choose"):
            ingest(source, tmp_path / "corpus", replace(ALONE, reader=reader))
    assert ingest(source, tmp_path / "corpus", ALONE).done == 2


SCRIPT = """
import sys
from pathlib import Path
from ingest.config import DuplicatesConfig, IngestConfig, OverlayConfig, ScreenConfig, ScreenKind, ShardsConfig
from ingest.run import ingest

if __name__ == "__main__":
    shards = ShardsConfig(fps=2.0, video_frames=4, short_side_px=48)
    config = IngestConfig(
        workers=2,
        shards=shards,
        screen=ScreenConfig(kind=ScreenKind.OFF),
        duplicates=DuplicatesConfig(enabled=False),
        overlays=OverlayConfig(enabled=False),
    )
    ingest(Path(sys.argv[1]), Path(sys.argv[2]), config, lambda *message: print(*message, flush=True))
"""


def run_and_kill(script: Path, source: Path, corpus: Path, after_messages: int) -> int:
    """Run ingest in a process of its own and end it without warning once it has said so much: how many it finished."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(script), str(source), str(corpus)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(after_messages)]
        process.send_signal(signal.SIGKILL)
    assert all(said)
    return max(int(line.split()[0]) for line in said if b"packing" not in line)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_shards(source: Path, tmp_path: Path) -> None:
    for number in range(6):
        film(source / f"n{number}.mp4", steady(6.0, 25.0))
    ingest(source, tmp_path / "whole", ALONE)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for after_messages in (1, 4, 9, 15, 22, 28):
        corpus = tmp_path / f"killed_after_{after_messages}"
        finished = run_and_kill(script, source, corpus, after_messages)
        summary = ingest(source, corpus, ALONE)
        assert summary.done == 8
        assert summary.processed <= 8 - finished
        assert shard_bytes(corpus) == shard_bytes(tmp_path / "whole"), after_messages


def test_a_second_ingest_of_one_corpus_waits_outside(source: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    with (corpus / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another ingest is writing it"):
            ingest(source, corpus, CONFIG)


def staged_sample(video_id: str) -> Sample:
    return Sample(
        key=video_id,
        level=Level.VIDEO,
        video_id=video_id,
        narrated=False,
        start_seconds=0.0,
        end_seconds=1.0,
        text="",
        frame_seconds=(0.0,),
        jpegs=(b"picture",),
    )


@pytest.mark.parametrize("moment", ["before", "old moved", "both moved", "half written"])
def test_an_exchange_of_shards_that_stops_half_way_is_finished(tmp_path: Path, moment: str) -> None:
    recover(tmp_path)
    write_staged(staged_path(tmp_path, "a"), [staged_sample("a")])
    pack(tmp_path, ["a"], 10, lambda *_message: None)
    first = shard_bytes(tmp_path)
    write_staged(staged_path(tmp_path, "b"), [staged_sample("b")])
    staged = staged_path(tmp_path, "b").read_bytes()
    shutil.copytree(tmp_path / SHARDS, tmp_path / "kept")
    pack(tmp_path, ["a", "b"], 10, lambda *_message: None)
    second = shard_bytes(tmp_path)
    assert second != first
    staged_path(tmp_path, "b").write_bytes(staged)
    if moment == "before":
        (tmp_path / SHARDS).rename(tmp_path / NEW)
        (tmp_path / "kept").rename(tmp_path / SHARDS)
    elif moment == "old moved":
        (tmp_path / SHARDS).rename(tmp_path / NEW)
        (tmp_path / "kept").rename(tmp_path / OLD)
    elif moment == "both moved":
        (tmp_path / "kept").rename(tmp_path / OLD)
    else:
        (tmp_path / SHARDS).rename(tmp_path / NEW)
        (tmp_path / NEW / "index.json").unlink()
        (tmp_path / "kept").rename(tmp_path / OLD)
    recover(tmp_path)
    pack(tmp_path, ["a", "b"], 10, lambda *_message: None)
    assert shard_bytes(tmp_path) == second
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "kept") == [SHARDS, "staging"]


@pytest.mark.slow
def test_repeats_and_evaluation_videos_stay_out_whatever_their_container(tmp_path: Path) -> None:
    folder, evaluation, corpus = tmp_path / "videos", tmp_path / "evaluation", tmp_path / "corpus"
    folder.mkdir()
    evaluation.mkdir()
    film(folder / "a.mp4", steady(9.0))
    film(folder / "b.mkv", steady(8.0, 25.0))
    film(folder / "short.mp4", steady(2.0))
    wary = replace(ALONE, duplicates=DuplicatesConfig())
    summary = ingest(folder, corpus, wary)
    (told,) = summary.reports
    assert (told.file, told.state) == ("b.mkv", State.REJECTED)
    assert told.reason.startswith("repeats a (")
    assert [entry.key for entry in ShardReader(corpus).entries(Level.VIDEO)] == ["a", "short"]
    assert ingest(folder, corpus, wary).processed == 0
    film(evaluation / "held_out.mp4", steady(9.0, 20.0))
    guarded = replace(wary, against=[str(evaluation)])
    reasons = {one.file: one.reason for one in ingest(folder, corpus, guarded).reports}
    assert set(reasons) == {"a.mp4", "b.mkv"}
    assert all(reason.startswith(f"evaluation video {evaluation}/held_out.mp4 (") for reason in reasons.values())
    assert [entry.key for entry in ShardReader(corpus).entries(Level.VIDEO)] == ["short"]
    assert list((corpus / "staging").iterdir()) == []
    film(evaluation / "short.mp4", steady(2.0))
    strict = replace(guarded, duplicates=DuplicatesConfig(min_pictures=2))
    assert ingest(folder, corpus, strict).done == 0
    assert not ShardReader(corpus).entries(Level.VIDEO), "the last one leaves the shards too"
    assert ingest(folder, corpus, guarded).processed == 1
    # Without the guard the longer one is let in again.
    assert ingest(folder, corpus, wary).processed == 1
    assert [entry.key for entry in ShardReader(corpus).entries(Level.VIDEO)] == ["a", "short"]


@pytest.mark.slow
def test_a_transcript_that_came_with_a_video_makes_its_clips_and_a_chapter_its_phase(tmp_path: Path) -> None:
    folder, words, corpus = tmp_path / "videos", tmp_path / "words", tmp_path / "corpus"
    folder.mkdir()
    words.mkdir()
    film(folder / "a.mp4", steady(12.0))
    lines = "0.5,3.0,The keratome makes the corneal incision.\n5.0,8.0,The capsulorhexis is torn with forceps.\n"
    asked = "8.5,11.0,Please subscribe to my channel and leave a comment.\n"
    (words / "a.csv").write_text(f"start,end,text\n{lines}{asked}")
    chapters = [{"start_time": 4.0, "end_time": 99.0, "title": "Capsulorhexis"}]
    (folder / "a.info.json").write_text(json.dumps({"title": "Cataract surgery", "chapters": chapters}))
    summary = ingest(folder, corpus, replace(ALONE, transcripts=str(words)))
    assert (summary.narrated, summary.clips) == (1, 2)
    reader = ShardReader(corpus)
    (phase,) = reader.entries(Level.PHASE)
    clips = [reader.read(entry.key) for entry in reader.entries(Level.CLIP)]
    assert [clip.parent for clip in clips] == ["a", phase.key]
    whole = reader.read(phase.key)
    assert (whole.text, whole.end_seconds) == (
        "Capsulorhexis",
        pytest.approx(12.0, abs=0.1),
    )
    assert clips[1].text == "The capsulorhexis is torn with forceps."
    reader.close()
    with Manifest(corpus / "manifest.sqlite") as manifest:
        (refused,) = manifest.rejections("a")
        assert refused.text.startswith("Please subscribe")
        assert {(one.attribute, one.value) for one in manifest.evidence("a")} >= {("phases", "capsulorhexis")}


def test_a_list_of_addresses_becomes_a_corpus_and_one_that_fails_is_tried_again_when_asked(
    source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("yt_dlp")
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_words: object) -> None:
            asked.append(self.path)

    corpus, table = tmp_path / "corpus", tmp_path / "list.csv"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(source))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        here = f"http://127.0.0.1:{server.server_port}"
        rows = [f"{here}/b.mp4?token=SECRET,Trabeculectomy with mitomycin C,CC0", f"{here}/later.mp4?token=SECRET,,"]
        table.write_text("\n".join(["path,title,license", *rows]))
        config = replace(ALONE, fetch=FetchConfig(enabled=True, hosts=["127.0.0.1"]))
        summary = ingest(table, corpus, config)
        assert (summary.videos, summary.done, summary.failed) == (2, 1, 1)
        assert summary.reports[-1].file == f"{here}/later.mp4"
        (source / "b.mp4").rename(source / "later.mp4")
        requests = len(asked)
        again = ingest(table, corpus, config)
        assert (again.processed, again.done, again.failed, len(asked)) == (0, 1, 1, requests)
        last = ingest(table, corpus, replace(config, retry=Retry.FAILED))
        server.shutdown()
        thread.join()
    assert (last.processed, last.done, last.failed) == (1, 2, 0)
    assert all(path.startswith("/later.mp4") for path in asked[requests:])
    reader = ShardReader(corpus)
    assert [entry.key for entry in reader.entries(Level.VIDEO)] == ["b", "later"]
    sample = reader.read("b")
    reader.close()
    assert (sample.source, sample.license) == (f"{here}/b.mp4", "CC0")
    assert sample.text.startswith("Trabeculectomy with mitomycin C")
    assert "SECRET" not in f"{summary}{again}{last}"
    assert not any(b"SECRET" in path.read_bytes() for path in corpus.rglob("*") if path.is_file())


def test_a_host_that_is_not_allowed_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("https://user:SECRET@example.org/x.mp4\n")
    command = ["ingest", str(tmp_path / "list.txt"), "--out", str(tmp_path / "corpus"), "--fetch"]
    done = subprocess.run([sys.executable, "-m", "ophclip.cli", *command], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "row 1: example.org is not among fetch.hosts: allow it with 'fetch.hosts=[example.org]'" in done.stderr
    assert "SECRET" not in done.stdout + done.stderr
    assert not (tmp_path / "corpus").exists()
