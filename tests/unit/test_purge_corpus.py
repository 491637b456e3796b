"""A video leaves manifest, shards and everything else of a corpus, and its bytes with it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from small_corpus import sample, write_corpus
from sqlalchemy import text

from ingest.card import write_card
from ingest.export import export_parquet
from ingest.ledger import INTENT_NAME, LEDGER_NAME, append_record, purged_contents, read_ledger
from ingest.manifest import MANIFEST_NAME, Manifest, Outcome, Stage, State, VideoRow
from ingest.pack import SHARDS, pack, staged_path
from ingest.records import Clip, Evidence, Level, Rejection, Segment, Transcript
from ingest.removal import find_held, remove_held, without_purged
from ingest.shards import ShardReader, remove_videos, sha256_of, write_staged
from ingest.sources import find_videos

SHARED = "the anterior chamber is filled with viscoelastic"


def _sentence(name: str, number: int) -> str:
    return f"secret sentence {number} spoken over {name} by the surgeon"


def _corpus(root: Path) -> Path:
    """Videos `one`, `two` (a repeat of `one`), `one1` (a longer name), `three`, and a copy of `one` by bytes."""
    (root / "staging").mkdir(parents=True)
    source = root.parent / "videos"
    source.mkdir()
    with Manifest(root / MANIFEST_NAME) as manifest:
        for name in ("one", "one1", "three"):
            (source / f"{name}.mp4").write_bytes(name.encode() * 100)
            manifest.finish(_row(source, name), _outcome(name))
            whole = replace(
                sample(name, level=Level.VIDEO, text=f"title of video {name} alone"), source_sha256=_hash(name)
            )
            clip = replace(
                sample(f"{name}-00004000", level=Level.CLIP, text=_sentence(name, 0)), source_sha256=_hash(name)
            )
            write_staged(staged_path(root, name), [whole, clip])
        repeat = _row(source, "two", state=State.REJECTED, reason="repeats one (90% of the pictures, mirrored)")
        manifest.finish(repeat, Outcome(fingerprint=b"FP two two two"))
        copy = _row(source, "copy/one", state=State.REJECTED, reason="the same bytes as one.mp4")
        manifest.finish(replace(copy, video_id="one-12345678", sha256=""), None)
    pack(root, ["one", "one1", "three"], 2, lambda *_: None)
    write_card(root)
    export_parquet(root, root / "tables")
    return root


def _hash(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def _row(source: Path, name: str, state: State = State.DONE, reason: str = "") -> VideoRow:
    return VideoRow(
        video_id=name,
        path=str(source / f"{name}.mp4"),
        source_relative=f"{name}.mp4",
        sha256=_hash(name),
        stamp="old",
        state=state,
        stage=Stage.COMPLETE,
        reason=reason,
        narrated=True,
        title=f"title of video {name} alone",
    )


def _outcome(name: str) -> Outcome:
    said = [_sentence(name, number) for number in range(200)]
    segments = tuple(Segment(start_seconds=n, end_seconds=n + 1, text=text) for n, text in enumerate([*said, SHARED]))
    heard = Transcript(
        segments=segments, language="en", engine="e", model="m", speech_seconds=1.0, duration_seconds=300.0
    )
    return Outcome(
        clips=(Clip(video_id=name, index=0, start_seconds=0.0, end_seconds=4.0, narration=said[0]),),
        rejections=(Rejection(start_seconds=4.0, end_seconds=5.0, text=said[1], reason="no surgery"),),
        evidence=(Evidence(attribute="procedure", value="cataract surgery", origin="title", quote="cataract surgery"),),
        transcripts=(heard,),
        fingerprint=f"FP {name}".encode() * 40,
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return _corpus(tmp_path / "corpus")


def _files_with(corpus: Path, needle: bytes) -> list[str]:
    return [
        str(path.relative_to(corpus)) for path in corpus.rglob("*") if path.is_file() and needle in path.read_bytes()
    ]


def test_no_byte_of_a_video_is_left_and_the_others_are_whole(corpus: Path) -> None:
    before = ShardReader(corpus)
    others = {key: before.read(key) for key in ("one1", "one1-00004000", "three", "three-00004000")}
    before.close()
    held = find_held(corpus, "one")
    assert held is not None
    assert held.video_ids == ("one", "one-12345678", "two"), "copies go with it: they would come back in its place"
    assert held.contents == tuple(sorted((_hash("one"), _hash("two"))))
    assert held.rows == {
        "videos": 3, "clips": 1, "rejections": 1, "evidence": 1, "transcripts": 1, "fingerprints": 2
    }  # fmt: skip
    assert held.samples == {"clip": 1, "video": 1}
    assert SHARED not in held.texts
    assert len(held.texts) == 200 + 3, "its sentences, and the titles of it and its copies"
    assert _files_with(corpus, _sentence("one", 150).encode())
    remove_held(corpus, held)
    for needle in (
        *(_sentence("one", number) for number in (0, 1, 150)),
        "title of video one alone",
        "FP two",
        "FP oneFP",
    ):
        assert not _files_with(corpus, needle.encode()), needle
    assert not [path for path in corpus.rglob(f"{MANIFEST_NAME}-*") if path.stat().st_size]
    reader = ShardReader(corpus)
    reader.verify()
    assert {entry.video_id for level in Level for entry in reader.entries(level)} == {"one1", "three"}
    assert {key: reader.read(key) for key in others} == others
    assert reader.fingerprint != held.fingerprint
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        assert [row.video_id for row in manifest.videos()] == ["one1", "three"]
        assert manifest.table("fingerprints")[1] == [(name, f"FP {name}".encode() * 40) for name in ("one1", "three")]
    assert find_held(corpus, "one") is None
    again = {path: path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    remove_held(corpus, held)
    changed = {path for path, data in again.items() if path.read_bytes() != data}
    assert changed <= {corpus / MANIFEST_NAME}, "done again it changes nothing but SQLite's counter"


def test_the_last_video_leaves_an_empty_corpus(corpus: Path) -> None:
    for name in ("one", "one1", "three"):
        held = find_held(corpus, name)
        assert held is not None
        remove_held(corpus, held)
    assert ShardReader(corpus).shards == ()
    assert not list((corpus / "card").glob("example-*"))
    assert not _files_with(corpus, b"secret sentence")


def test_only_shards_that_hold_it_are_written_anew_and_an_open_reader_never_mixes(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "corpus", clips=(3, 2, 4), samples_per_shard=3)
    folder = root / SHARDS
    old = ShardReader(root)
    first = next(entry.key for entry in old.entries(Level.CLIP) if entry.video_id == "narrated0")
    held_open = old.read(first)
    untouched = {shard.name for shard in old.shards} - {
        old.place_of(entry.key).shard.name
        for level in Level
        for entry in old.entries(level)
        if entry.video_id == "narrated1"
    }
    assert untouched
    remove_videos(folder, ["narrated1"])
    new = ShardReader(root)
    assert untouched < {shard.name for shard in new.shards}
    assert {path.name for path in folder.iterdir()} == {"index.json", *(shard.name for shard in new.shards)}
    new.verify()
    assert old.read(first) == held_open, "what was open before reads the old file to its end"
    gone = next(entry.key for entry in old.entries(Level.VIDEO) if entry.video_id == "narrated1")
    with pytest.raises(ValueError, match="is gone: the shards were written anew since they were opened"):
        old.read(gone)
    old.close()
    for name in ("narrated0", "narrated2", "silent0", "silent1", "silent2"):
        remove_videos(folder, [name])
    assert ShardReader(root).shards == ()


def test_a_shard_that_is_purged_twice_has_one_mark(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "corpus", clips=(1, 1, 1, 1), silent=0, untitled=0)
    for name in ("narrated0", "narrated1"):
        remove_videos(root / SHARDS, [name])
    names = [shard.name for shard in ShardReader(root).shards]
    assert [name[: len("clip-000000-")] for name in names] == ["clip-000000-", "video-000000"]
    assert all(name.count("-") == 2 for name in names)


def test_a_manifest_that_another_process_reads_is_not_called_clean(corpus: Path) -> None:
    with sqlite3.connect(corpus / MANIFEST_NAME, isolation_level=None) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM videos").fetchall()
        with Manifest(corpus / MANIFEST_NAME) as manifest:
            manifest._database.rows(text("PRAGMA busy_timeout=10"))
            with pytest.raises(ValueError, match="let what reads or writes it end, then run the same command again"):
                manifest.remove(["one"])
        reading.execute("COMMIT")
    reading.close()
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        manifest.remove(["one"])
    assert _sentence("one", 150).encode() not in (corpus / MANIFEST_NAME).read_bytes()


def test_purged_bytes_do_not_come_in_again_under_any_name(tmp_path: Path) -> None:
    corpus, source = tmp_path / "corpus", tmp_path / "videos"
    corpus.mkdir()
    source.mkdir()
    (source / "a.mp4").write_bytes(b"the film")
    (source / "b.mp4").write_bytes(b"another film")
    digest = sha256_of(source / "a.mp4")
    facts = {"purge": "p", "when": "2026-01-02T03:04:05+00:00", "signed_off_by": "N. N.", "reason": "consent withdrawn"}
    append_record(corpus, {**facts, "content_sha256": [digest]})
    (source / "a.mp4").rename(source / "renamed.mp4")
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        kept, refused = without_purged(find_videos(str(source)), manifest, corpus)
    assert [file.relative for file in kept] == ["b.mp4"]
    assert refused == {"renamed.mp4": "purged on 2026-01-02, signed off by N. N.: consent withdrawn"}
    (corpus / INTENT_NAME).write_text("{}")
    with pytest.raises(ValueError, match="a purge has not ended; run the same `ophclip purge` again"):
        purged_contents([corpus])


@pytest.mark.parametrize("fault", ["changed", "dropped", "swapped", "inserted", "damaged"])
def test_a_ledger_that_was_tampered_with_is_told_by_its_line(tmp_path: Path, fault: str) -> None:
    hashes = [append_record(tmp_path, {"purge": str(n), "content_sha256": [f"{n}"]}) for n in range(4)]
    assert append_record(tmp_path, {"purge": "2", "content_sha256": []}) == hashes[2], "one line a purge"
    assert [line["sha256"] for line in read_ledger(tmp_path)] == hashes
    path = tmp_path / LEDGER_NAME
    lines = path.read_text().splitlines()
    if fault == "changed":
        lines[2] = lines[2].replace('"purge": "2"', '"purge": "9"')
    elif fault == "dropped":
        del lines[1]
    elif fault == "swapped":
        lines[1], lines[2] = lines[2], lines[1]
    elif fault == "inserted":
        lines.insert(1, json.dumps({**json.loads(lines[1]), "purge": "x"}))
    else:
        lines[3] = lines[3][:-9]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=r"purged\.jsonl, line [234]: not as it was written"):
        read_ledger(tmp_path)
    with pytest.raises(ValueError, match="not as it was written"):
        append_record(tmp_path, {"purge": "5"})


def test_a_corpus_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no corpus: name its folder"):
        find_held(tmp_path, "one")
