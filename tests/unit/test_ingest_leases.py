"""Leases: one batch is entered by one worker, whoever else is at work, dies or comes late."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ingest.manifest import Manifest, Outcome, Stage, State, VideoRow
from ingest.records import Chapter

ROW = VideoRow(video_id="v", path="/x/v.mp4", source_relative="v.mp4", sha256="", stamp="1:2", recipe="r", batch=1)
OTHER = replace(ROW, video_id="w", source_relative="w.mp4", batch=2)
NOW = "2026-01-01T00:00:00+00:00"


def test_what_one_holds_no_other_gets_until_it_expires(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest, Manifest(manifest_place) as second:
        manifest.put([ROW, OTHER])
        first = manifest.claim([1, 2], "a", 60.0, "r")
        assert first is not None
        assert (first.batch, first.rows, first.losses) == (1, (ROW,), 0)
        taken = second.claim([1, 2], "b", 0.0, "r")
        assert taken is not None
        assert taken.batch == 2
        assert manifest.leased() == {1}, "that of b expired at once"
        over = manifest.claim([2], "a", 60.0, "r")
        assert over is not None
        assert over.losses == 1
        assert second.claim([1, 2], "b", 60.0, "r") is None
        assert manifest.claim([1], "a", 60.0, "another recipe") is None
        manifest.release("a")
        assert manifest.leased() == set()


def test_a_note_renews_a_lease_and_tells_who_was_last_at_what(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.put([ROW, replace(OTHER, batch=1)])
        lease = manifest.claim([1], "a", 0.4, "r")
        assert lease is not None
        assert [row.video_id for row in lease.rows] == ["v", "w"]
        for _ in range(3):
            time.sleep(0.2)
            assert manifest.enter_stage(["w"], Stage.DECODE, NOW, lease)
        assert manifest.leased() == {1}
        time.sleep(0.5)
        over = manifest.claim([1], "b", 60.0, "r")
        assert over is not None
        assert (over.losses, over.suspects) == (1, ("w",))
        assert not manifest.enter_stage(["v"], Stage.WRITE, NOW, lease)
        assert [row.stage for row in manifest.videos()] == [Stage.KNOWN, Stage.DECODE]


def test_who_lost_a_lease_or_whose_video_changed_enters_nothing(manifest_place: Path | str) -> None:
    done = replace(ROW, state=State.DONE)
    late = Outcome(chapters=(Chapter(start_seconds=0.0, end_seconds=1.0, title="late"),))
    with Manifest(manifest_place) as manifest:
        manifest.put([ROW])
        slow = manifest.claim([1], "slow", 0.0, "r")
        quick = manifest.claim([1], "quick", 60.0, "r")
        assert slow
        assert quick
        assert not manifest.finish(done, late, slow)
        assert not manifest.part(slow, ["v"])
        assert manifest.videos() == [ROW]
        assert manifest.finish(done, None, quick)
        assert not manifest.finish(done, late, quick), "a lease is good for one entry"
        assert manifest.videos() == [done]
        assert manifest.chapters("v") == []
        manifest.put([ROW])
        stale = manifest.claim([1], "stale", 60.0, "r")
        manifest.put([replace(ROW, recipe="s")])
        assert not manifest.finish(done, late, stale)
        assert manifest.videos() == [replace(ROW, recipe="s")]


def test_those_of_a_batch_get_one_each_that_no_other_has(manifest_place: Path | str) -> None:
    with Manifest(manifest_place) as manifest:
        manifest.put([ROW, replace(OTHER, batch=1), replace(OTHER, video_id="x", source_relative="x.mp4", batch=7)])
        lease = manifest.claim([1], "a", 60.0, "r")
        assert lease
        assert manifest.part(lease, ["v", "w"])
        assert {row.video_id: row.batch for row in manifest.videos()} == {"v": 8, "w": 9, "x": 7}
        assert manifest.leased() == set()


def contend(place: Path | str, worker: str) -> list[str]:
    """Claim and enter until nothing is left; with a lease so short that others take over in between."""
    entered = []
    with Manifest(place) as manifest:
        while any(row.state is State.PENDING for row in manifest.videos()):
            lease = manifest.claim(range(1, 13), worker, 0.02, "r")
            if lease is None:
                continue
            (row,) = lease.rows
            if lease.batch % 4 == 0 and lease.losses < 1:
                time.sleep(0.05)
            done = replace(row, state=State.DONE, attempts=row.attempts + 1, title=worker)
            if manifest.finish(done, Outcome(fingerprint=worker.encode()), lease):
                entered.append(row.video_id)
    return entered


def test_many_writers_enter_each_batch_once(manifest_place: Path | str) -> None:
    rows = [replace(ROW, video_id=f"v{n:02}", source_relative=f"{n}.mp4", batch=n) for n in range(1, 13)]
    with Manifest(manifest_place) as manifest:
        manifest.put(rows)
    with ThreadPoolExecutor(3) as pool:
        entered = list(pool.map(contend, [manifest_place] * 3, ["a", "b", "c"]))
    assert Counter(name for names in entered for name in names) == {row.video_id: 1 for row in rows}
    with Manifest(manifest_place) as manifest:
        for row in manifest.videos():
            assert (row.state, row.attempts) == (State.DONE, 1)
            assert manifest.fingerprint(row.video_id).decode() == row.title
        assert manifest.leased() == set()
