"""What a result says of videos that its model was trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_corpus import sample
from small_results import result

from ingest.records import Level
from ingest.shards import ShardReader, ShardWriter
from ophclip.data.corpus import drawn_videos
from ophclip.evaluation.leakage import Evidence, Finding, Leakage, look_for_leakage, read_leakage
from ophclip.evaluation.receipts import Given, Receipt, SourceFile, read_receipt, relative
from ophclip.models.training_record import TrainingRecord, read_training_record

RECORD = TrainingRecord(corpus="c" * 64, videos={"a": "1", "b": "2", "case": "3"})


@pytest.mark.parametrize(
    ("evaluated", "finding", "rows"),
    [
        ({"x": "9"}, Finding.UNSEEN, []),
        ({"x": "2", "y": "9"}, Finding.SEEN, [("x", "b", Evidence.CONTENT)]),
        ({"case": "9"}, Finding.NAMESAKES, [("case", "case", Evidence.NAME)]),
        ({"a": "3", "case": "9"}, Finding.SEEN, [("a", "case", Evidence.CONTENT), ("case", "case", Evidence.NAME)]),
    ],
)
def test_content_counts_and_a_name_alone_is_said_to_be_one(
    evaluated: dict[str, str], finding: Finding, rows: list[tuple[str, str, Evidence]]
) -> None:
    found = look_for_leakage(RECORD, evaluated)
    assert found.finding is finding
    assert [(one.video_id, one.of, one.evidence) for one in found.seen] == rows
    assert found.checked_by == (Evidence.CONTENT, Evidence.NAME)
    assert bool(found.alarm) is (finding is Finding.SEEN)
    assert read_leakage(json.loads(json.dumps(found.to_json()))) == found


def test_what_cannot_be_known_is_not_said_to_be_clean() -> None:
    silent = look_for_leakage(None, {"a": "1"})
    assert (silent.finding, silent.checked_by) == (Finding.UNKNOWN, ())
    assert silent.told.endswith("is unknown: the model does not say what it was trained on")
    assert read_leakage(None).finding is Finding.UNKNOWN
    no_file = look_for_leakage(RECORD, {"x": ""})
    assert (no_file.finding, no_file.checked_by) == (Finding.UNSEEN, (Evidence.NAME,))
    old_corpus = look_for_leakage(replace(RECORD, videos={"a": ""}), {"x": "9"})
    assert old_corpus.checked_by == (Evidence.NAME,)
    assert look_for_leakage(replace(RECORD, videos={"a": ""}), {"x": ""}).seen == ()


def test_the_headline_does_not_leave_it_out() -> None:
    clean = result()
    seen = replace(clean, receipt=Receipt(leakage=look_for_leakage(RECORD, {f"v{n}": "1" for n in range(9)})))
    assert seen.headline.startswith(clean.headline)
    assert seen.headline.endswith(
        "made on videos that the model was trained on: v0, v1, v2, v3, v4 and 4 more (9 of 9)"
    )


def test_a_receipt_comes_back_from_a_result(tmp_path: Path) -> None:
    receipt = Receipt(
        given=Given(bundle="../b", dataset="cataract101", root="../data", videos=("../v",)),
        files={"v0": SourceFile(path="../v/v0.mp4", sha256="9")},
        leakage=Leakage(reason="because"),
    )
    assert read_receipt(json.loads(json.dumps(replace(result(), receipt=receipt).to_json()))) == receipt
    assert read_receipt({}).leakage.finding is Finding.UNKNOWN
    assert relative(tmp_path / "a" / "b", tmp_path / "c") == "../a/b"


def test_a_training_records_the_videos_that_it_may_draw(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards", 100) as writer:
        for key, level, narrated, text in (
            ("told", Level.VIDEO, True, "a title"),
            ("told-0", Level.CLIP, True, "words"),
            ("bare", Level.VIDEO, True, ""),
            ("bare-0", Level.CLIP, True, "words"),
            ("silent", Level.VIDEO, False, "a title"),
            ("dumb", Level.VIDEO, False, ""),
        ):
            one = sample(key, level=level, narrated=narrated, text=text)
            writer.add(replace(one, source_sha256=f"sha of {one.video_id}"))
    reader = ShardReader(tmp_path)
    assert drawn_videos(reader, 1.0, texts=True) == {name: f"sha of {name}" for name in ("bare", "silent", "told")}
    assert "silent" not in drawn_videos(reader, 0.0, texts=True)
    assert set(drawn_videos(reader, 1.0, texts=False)) == {"bare", "dumb", "silent", "told"}


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert read_training_record(tmp_path) is None
    for text in ("{", "[]", '{"version": 9}', '{"version": 1, "corpus": "c", "videos": []}'):
        (tmp_path / "training.json").write_text(text)
        with pytest.raises(ValueError, match=r"training\.json: no record of a training"):
            read_training_record(tmp_path)
    (tmp_path / "training.json").write_text(json.dumps(RECORD.to_json()))
    assert read_training_record(tmp_path) == RECORD
