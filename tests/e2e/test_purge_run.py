"""A video is purged from everything that was made from it, whatever happens on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filming import film, steady
from purge_world import NARRATED, SILENT, VICTIM, make_world, said_over, title_of

from ingest.ledger import INTENT_NAME, LEDGER_NAME, read_ledger
from ingest.manifest import MANIFEST_NAME, Manifest
from ingest.pack import DOWNLOADS
from ingest.records import Level
from ingest.removal import without_purged
from ingest.run import ingest
from ingest.shards import ShardReader, sha256_of
from ingest.sources import find_videos
from ophclip.models.training_record import read_training_record
from ophclip.purging.plan import Folders
from ophclip.purging.record import hashed_id
from ophclip.purging.run import Purged, plan_purge, purge
from ophclip.search.build import build_index, changing, remove_video
from ophclip.search.index import open_index
from ophclip.training.checkpoints import newest_checkpoint
from ophclip.training.run_folder import RunFolder

SIGNED = {"by": "A. Person", "reason": "consent was withdrawn"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("purge") / "world")


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Path:
    return copied(template, tmp_path / "world")


def copied(template: Path, root: Path) -> Path:
    """The world at another place; its manifest says where the files lie now."""
    shutil.copytree(template, root)
    with Manifest(root / "corpus" / MANIFEST_NAME) as manifest:
        rows = manifest.videos()
        manifest.put(replace(row, path=row.path.replace(str(template), str(root))) for row in rows)
        manifest._database.wipe([])
    return root


def folders(root: Path) -> Folders:
    return Folders(
        corpus=str(root / "corpus"),
        indices=(str(root / "index"),),
        runs=(str(root / "run"),),
        caches=(str(root / "cache"),),
        results=(str(root / "results"),),
    )


def purged(root: Path, video_id: str = VICTIM) -> Purged:
    return purge(plan_purge(video_id, folders(root), **SIGNED))


def thumbnails(root: Path, video_id: str) -> list[bytes]:
    with open_index(root / "index") as index:
        return [
            hit.thumbnail_jpeg
            for hit in index.search(vector=np.ones(16), k=500, merge=False)
            if hit.video_id == video_id
        ]


def raw_leftovers(root: Path, needles: list[bytes], video_id: str = VICTIM) -> list[str]:
    """Files that hold what must be gone; the longer name `...x` of another video apart."""
    found = []
    for path in (path for path in root.rglob("*") if path.is_file() and "results" not in path.parts):
        data = path.read_bytes().replace(f"{video_id}x".encode(), b"").replace(title_of(f"{video_id}x").encode(), b"")
        held = [one for one in needles if one in data]
        name = path.name.replace(f"{video_id}x", "")
        found += [f"{path.relative_to(root)}: {held[:1]}"] if held or video_id in name else []
    return found


def test_nothing_is_left_but_a_record_without_content(world: Path) -> None:
    shown = thumbnails(world, VICTIM)
    assert shown
    sentence, title = said_over(VICTIM), title_of(VICTIM)
    needles = [VICTIM.encode(), sentence.encode(), json.dumps(sentence)[1:-1].encode(), title.encode(), *shown]
    content = sha256_of(world / "corpus" / DOWNLOADS / f"{VICTIM}.mp4")
    held = {line.partition(":")[0].split("/")[0] for line in raw_leftovers(world, needles)}
    assert held == {"corpus", "index", "run"}
    cached = {path.name: path for path in (world / "cache").rglob("*.npz")}
    assert sum(name.startswith(content[:32]) for name in cached) == 1
    before = ShardReader(world / "corpus")
    entries = [entry for level in Level for entry in before.entries(level)]
    texts = {entry.key: before.text(entry.key) for entry in entries if entry.video_id != VICTIM}
    done = purged(world)
    assert not raw_leftovers(world, needles)
    assert not (world / "corpus" / INTENT_NAME).exists()
    after = ShardReader(world / "corpus")
    after.verify()
    assert {entry.key: after.text(entry.key) for level in Level for entry in after.entries(level)} == texts
    assert {path.name for path in (world / "cache").rglob("*.npz")} == {
        name for name in cached if not name.startswith(content[:32])
    }
    with open_index(world / "index") as index:
        others = {hit.video_id for hit in index.search(vector=np.ones(16), k=500, group_by_video=True)}
    assert others == {*NARRATED, *SILENT} - {VICTIM}
    (line,) = read_ledger(world / "corpus")
    assert line["sha256"] == done.sha256
    assert (line["signed_off_by"], line["reason"]) == ("A. Person", "consent was withdrawn")
    assert line["content_sha256"] == [content]
    assert line["video_id_scrypt"] == hashed_id(VICTIM, line["purge"]) != hashed_id(VICTIM, "x")
    assert (line["corpus_before"], line["corpus_after"]) == (before.fingerprint, after.fingerprint)
    assert line["removed"]["shards: samples of level clip"] == 1
    assert line["removed"]["index index: windows"] == len(shown)
    assert line["removed"]["cached files"] == 1
    assert line["removed"]["names in training records"] == 2
    seen = {Path(one["folder"]).name: one for one in line["seen_by"]}
    assert seen["run"]["checkpoints"] == ["step-00000003.pt"]
    assert seen["bundle"]["weights_sha256"] == sha256_of(world / "run" / "bundle" / "model.safetensors")
    assert [Path(place).name for place in line["results_that_contain_it"]] == ["a"]
    assert json.loads((world / "results" / "a" / "result.json").read_text())["files"].keys() == {VICTIM}
    assert read_ledger(world / "index") == (line,)
    with pytest.raises(ValueError, match=r"was purged on .*, signed off by A\. Person, and nothing of it is in"):
        plan_purge(VICTIM, folders(world), **SIGNED)


def test_that_weights_saw_it_stays_known_by_its_hash(world: Path) -> None:
    content = sha256_of(world / "corpus" / DOWNLOADS / f"{VICTIM}.mp4")
    before = read_training_record(world / "run")
    assert before is not None
    purged(world)
    for place in (world / "run", world / "run" / "bundle"):
        record = read_training_record(place)
        assert record is not None
        assert record.videos == {
            (f"purged-{content[:12]}" if name == VICTIM else name): sha256 for name, sha256 in before.videos.items()
        }


@pytest.mark.parametrize("same_corpus", [True, False])
def test_a_silent_video_leaves_the_bank(world: Path, same_corpus: bool) -> None:
    before = newest_checkpoint(world / "run" / "checkpoints")
    assert before is not None
    if not same_corpus:
        record = json.loads((world / "run" / "run.json").read_text())
        (world / "run" / "run.json").write_text(json.dumps({**record, "corpus": "another"}))
    purged(world, "quiet_a")
    after = newest_checkpoint(world / "run" / "checkpoints")
    assert after is not None
    place = sorted(SILENT).index("quiet_a")
    if same_corpus:
        for name in ("title_nd", "visual_nd"):
            kept = np.delete(before.bank[name].numpy(), place, axis=0)
            np.testing.assert_array_equal(after.bank[name].numpy(), kept)
    else:
        assert not after.bank["title_nd"].any(), "whose rows they are cannot be told, so none stays"
    gone = before.bank["title_nd"][place].numpy().tobytes()
    assert all(gone not in path.read_bytes() for path in (world / "run" / "checkpoints").iterdir())


def test_it_does_not_come_back_by_ingest_or_index(world: Path) -> None:
    keep = world / "kept.mp4"
    shutil.copy(world / "corpus" / DOWNLOADS / f"{VICTIM}.mp4", keep)
    purged(world)
    assert not (world / "corpus" / DOWNLOADS / f"{VICTIM}.mp4").exists(), "what was downloaded is removed"
    shutil.move(keep, world / "videos" / "other_name.mp4")
    with Manifest(world / "corpus" / MANIFEST_NAME) as manifest:
        _, refused = without_purged(find_videos(str(world / "videos")), manifest, world / "corpus")
    assert list(refused) == ["other_name.mp4"]
    assert "signed off by A. Person: consent was withdrawn" in refused["other_name.mp4"]
    for corpus in (None, world / "corpus"):
        summary = build_index(world / "run" / "bundle", world / "index", corpus=corpus, videos=world / "videos")
        ((path, reason),) = summary.failed
        assert path.name == "other_name.mp4"
        assert "consent was withdrawn" in reason
    fresh = build_index(world / "run" / "bundle", world / "fresh", corpus=world / "corpus", videos=world / "videos")
    assert [path.name for path, _ in fresh.failed] == ["other_name.mp4"]


def test_a_users_own_file_is_named_and_left(world: Path) -> None:
    plan = plan_purge("case_b", folders(world), **SIGNED)
    assert plan.held is not None
    assert plan.held.left == (str(world / "videos" / "case_b.mp4"),)
    assert any(line == f"  left to its owner: {world / 'videos' / 'case_b.mp4'}" for line in plan.lines())
    purge(plan)
    assert (world / "videos" / "case_b.mp4").is_file()
    assert not raw_leftovers(world / "corpus", [said_over("case_b").encode()], "case_b")


def test_what_stands_in_the_way_is_told_and_the_same_command_goes_on(world: Path) -> None:
    note = world / "index" / "notes.txt"
    note.write_text(f"look at {VICTIM} again")
    with pytest.raises(ValueError, match=r"still there: .*notes\.txt \(its id\); remove what is yours"):
        purged(world)
    assert not (world / "corpus" / LEDGER_NAME).exists(), "no record before it is true"
    with pytest.raises(ValueError, match=f"the purge of {VICTIM} has not ended"):
        plan_purge("case_b", folders(world), **SIGNED)
    with pytest.raises(ValueError, match="this purge was begun with other folders; run it again with"):
        plan_purge(VICTIM, replace(folders(world), caches=()), **SIGNED)
    with pytest.raises(ValueError, match="a purge has not ended"):
        build_index(world / "run" / "bundle", world / "index", corpus=world / "corpus")
    note.unlink()
    purged(world)
    (line,) = read_ledger(world / "corpus")
    assert line["removed"]["shards: samples of level clip"] == 1, "counted when it was begun"


def test_a_purge_and_a_run_that_adds_to_the_index_lock_each_other_out(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophclip.search.build._PATIENCE_SECONDS", 0.1)
    plan, added = plan_purge(VICTIM, folders(world), **SIGNED), partial(build_index, world / "run" / "bundle")
    with changing(world / "index"):
        with pytest.raises(ValueError, match="another run is writing it: wait"):
            purge(plan)
        with pytest.raises(ValueError, match="another run is writing it: wait"):
            added(world / "index", corpus=world / "corpus")
    assert not (world / "corpus" / INTENT_NAME).exists(), "nothing was begun"
    purge(plan)


def test_a_video_that_was_indexed_after_the_plan_was_made_goes_too(world: Path) -> None:
    remove_video(world / "index", VICTIM)
    plan = plan_purge(VICTIM, folders(world), **SIGNED)
    build_index(world / "run" / "bundle", world / "index", corpus=world / "corpus")
    assert thumbnails(world, VICTIM)
    purge(plan)
    assert not thumbnails(world, VICTIM)


def test_a_run_that_is_resumed_is_told_of_the_purge(world: Path) -> None:
    from ophclip.config import TrainConfig

    before = ShardReader(world / "corpus").fingerprint
    config = TrainConfig()
    config.data.root, config.out = str(world / "corpus"), str(world / "new")
    RunFolder(world / "new").begin_or_continue(config, before, dict)
    purged(world)
    with pytest.raises(ValueError, match=r"data\.root: not the corpus .*: 1 video\(s\) were purged from it since"):
        RunFolder(world / "new").begin_or_continue(config, ShardReader(world / "corpus").fingerprint, dict)


@pytest.mark.parametrize(
    ("video_id", "by", "reason", "message"),
    [
        ("nobody", "A", "b", "--video: nobody is not in"),
        (VICTIM, " ", "b", "--signed-off-by: empty"),
        (VICTIM, "A", f"the patient {VICTIM}", "the record must not name"),
    ],
)
def test_what_is_asked_wrongly_is_told(world: Path, video_id: str, by: str, reason: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_purge(video_id, folders(world), by=by, reason=reason)
    with pytest.raises(ValueError, match="no such folder"):
        plan_purge(VICTIM, replace(folders(world), caches=("nowhere",)), **SIGNED)


def test_an_index_without_a_corpus_keeps_the_record_itself(world: Path) -> None:
    alone = Folders(indices=(str(world / "index"),))
    done = purge(plan_purge(VICTIM, alone, **SIGNED))
    assert done.record == world / "index" / LEDGER_NAME
    assert not raw_leftovers(world / "index", [VICTIM.encode(), title_of(VICTIM).encode()])
    assert not remove_video(world / "index", VICTIM)


def test_a_dry_run_changes_nothing(world: Path) -> None:
    from typer.testing import CliRunner

    from ophclip.cli import app

    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in world.rglob("*") if path.is_file()}
    words = ["purge", "--video", VICTIM, "--signed-off-by", "A", "--reason", "b", "--dry-run"]
    words += ["--corpus", str(world / "corpus"), "--index", str(world / "index"), "--run", str(world / "run")]
    words += ["--cache", str(world / "cache"), "--results", str(world / "results")]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    assert f"saw it   {world / 'run' / 'bundle'}" in told.output
    assert "results in" in told.output
    assert "nothing was changed" in told.output
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in world.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_killed_anywhere_the_same_command_completes_it(template: Path, tmp_path: Path) -> None:
    runner = Path(__file__).with_name("purge_runner.py")
    places = [str(runner.parents[1]), str(runner.parents[2])]
    ended = subprocess.run(
        [sys.executable, str(runner), str(template), str(tmp_path / "work"), "24"],
        capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(lines) == 25
    assert sum(one["killed"] for one in lines) >= 22
    wrong = [one for one in lines if one["left"] or one["records"] != 1 or one["others"] != lines[0]["others"]]
    assert not wrong


def test_an_ingest_of_the_same_folder_refuses_it_and_says_why(tmp_path: Path) -> None:
    from test_ingest_run import ALONE

    source, corpus = tmp_path / "videos", tmp_path / "corpus"
    source.mkdir()
    for number, name in enumerate(("keep", "drop")):
        film(source / f"{name}.mp4", steady(3.0 + number))
    ingest(source, corpus, ALONE)
    before = {path: path.read_bytes() for path in source.iterdir()}
    purge(plan_purge("drop", Folders(corpus=str(corpus)), **SIGNED))
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        assert [row.video_id for row in manifest.videos()] == ["keep"]
    summary = ingest(source, corpus, ALONE)
    assert (summary.videos, summary.processed, summary.done, summary.rejected) == (2, 0, 1, 1)
    (report,) = summary.reports
    assert report.file == "drop.mp4"
    assert report.reason.endswith("signed off by A. Person: consent was withdrawn")
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        assert [row.video_id for row in manifest.videos()] == ["keep"], "its name does not come back either"
    assert {path: path.read_bytes() for path in source.iterdir()} == before
    (corpus / INTENT_NAME).write_text("{}")
    with pytest.raises(ValueError, match="a purge has not ended; run the same `ophclip purge` again"):
        ingest(source, corpus, ALONE)
