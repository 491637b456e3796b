"""Readers of labelled datasets: the owners' real tables, and small trees made here."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ophclip.evaluation.datasets import (
    read_cataract101,
    read_ophnet_phases,
    read_phase_table,
    read_presence_table,
)
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.records import (
    UNLABELLED,
    LabelSegment,
    class_ids_at,
    phase_split_hash,
    presence_split_hash,
)
from ophclip.evaluation.splits import only


def _cataract101(root: Path) -> Path:
    (root / "videos").mkdir(parents=True)
    (root / "phases.csv").write_text("Phase;Meaning\n1;Incision\n2;Rhexis\n", encoding="utf-8")
    (root / "videos.csv").write_text("VideoID;Frames;FPS;Surgeon;Experience\n7;500;25;1;2\n8;250;12.5;3;1\n")
    (root / "annotations.csv").write_text("VideoID;FrameNo;Phase\n7;50;1\n7;250;2\n8;0;2\n", encoding="utf-8")
    for name in ("case_7", "case_8"):
        (root / "videos" / f"{name}.mp4").write_bytes(b"x")
    return root


def test_real_cataract101_has_all_videos_and_starts(real_data: Path) -> None:
    dataset = read_cataract101(real_data / "cataract101", with_videos=False)
    assert len(dataset.videos) == 101
    assert sum(len(video.segments) for video in dataset.videos) == 1266
    assert len(dataset.classes) == 10
    first = next(video for video in dataset.videos if video.video_id == "case_269")
    assert first.segments[0] == LabelSegment(start_seconds=68 / 25, end_seconds=1043 / 25, label="Incision")
    assert first.segments[-1].end_seconds == 14734 / 25
    assert first.attributes == {"surgeon": "4", "experience": "1"}
    builtin_prompts("cataract101").for_labels(dataset.classes)


def test_real_ophnet_has_its_overlaps_and_gaps(real_data: Path) -> None:
    dataset = read_ophnet_phases(real_data / "ophnet", with_videos=False)
    pairs = [pair for video in dataset.videos for pair in pairwise(video.segments)]
    assert sum(len(video.segments) for video in dataset.videos) == 14674
    assert sum(after.start_seconds < before.end_seconds for before, after in pairs) == 186
    assert sum(after.start_seconds > before.end_seconds for before, after in pairs) == 407
    assert {split: len(only(dataset, split).videos) for split in ("train", "val", "test")} == {
        "train": 445, "val": 144, "test": 154,
    }  # fmt: skip
    assert len(dataset.classes) == 52
    assert dataset.classes[51] == "Others"
    builtin_prompts("ophnet").for_labels(dataset.classes)


def test_real_ophnet_tables_with_a_byte_order_mark_read_alike(real_data: Path, tmp_path: Path) -> None:
    table = "OphNet2024_loca_challenge_phase.csv"
    (tmp_path / table).write_bytes(b"\xef\xbb\xbf" + (real_data / "ophnet" / table).read_bytes())
    (tmp_path / "phase_names.csv").write_bytes((real_data / "ophnet" / "phase_names.csv").read_bytes())
    marked, plain = (read_ophnet_phases(root, with_videos=False) for root in (tmp_path, real_data / "ophnet"))
    assert phase_split_hash(marked) == phase_split_hash(plain)


def test_the_real_folder_without_videos_is_refused_by_name(real_data: Path) -> None:
    with pytest.raises(ValueError, match=r"videos/case_269\.mp4: expected this video \(0 of 101"):
        read_cataract101(real_data / "cataract101")


def test_cataract101_phases_run_to_the_next_start_and_the_last_to_the_end(tmp_path: Path) -> None:
    dataset = read_cataract101(_cataract101(tmp_path))
    assert [video.video_id for video in dataset.videos] == ["case_7", "case_8"]
    ids = class_ids_at(dataset.videos[0].segments, dataset.classes, np.array([0.0, 1.9, 2.0, 9.99, 10.0, 19.9, 20.0]))
    assert ids.tolist() == [UNLABELLED, UNLABELLED, 0, 0, 1, 1, UNLABELLED]
    assert dataset.videos[1].segments == (LabelSegment(start_seconds=0.0, end_seconds=20.0, label="Rhexis"),)


@pytest.mark.parametrize("missing", ["annotations.csv", "videos.csv", "phases.csv", "videos/case_8.mp4"])
def test_a_half_extracted_folder_names_the_missing_file(tmp_path: Path, missing: str) -> None:
    (_cataract101(tmp_path) / missing).unlink()
    with pytest.raises(ValueError, match=missing.replace(".", r"\.")) as caught:
        read_cataract101(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50;9\n", "phase '9' has no name"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n9;50;1\n", "video 9 is not listed"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50;1\n", "no phase of video 8"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;fifty;1\n", "'fifty' and must be a number"),
        ("annotations.csv", "VideoID,FrameNo,Phase\n7,50,1\n", "no column 'VideoID'"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n", "no row below the header"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50\n", "line 2: the row is shorter"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50;1;1\n", "line 2: the row is longer"),
        ("annotations.csv", "VideoID,FrameNo,Phase\n7,50,1\n", "separated by semicolons; it is separated by commas"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50;1\n8;0;2\n7;50;1\n", "line 4: the row of line 2 stands there"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50;1\n8;0;2\n7;50;2\n", "line 2: .*but two phases start there"),
        ("annotations.csv", "VideoID;FrameNo;Phase\n7;50;1\n8;250;2\n", "line 3: .*but it has frames 0 to 249"),
        ("videos.csv", "VideoID;Frames;FPS;Surgeon;Experience\n7;500;25;1;2\n7;1;25;1;1\n", "line 3: video 7 stands"),
        ("videos.csv", "VideoID;Frames;FPS;Surgeon;Experience;FPS\n", "line 1: column 'FPS' stands there twice"),
        ("phases.csv", "Phase;Meaning\n1;Incision\n2;Incision\n", "line 3: .*'Incision' stands there twice"),
        ("videos.csv", "VideoID;Frames;FPS;Surgeon;Experience\n7;500;0;1;2\n8;1;25;1;1\n", "must be positive"),
    ],
)
def test_damaged_tables_are_refused_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    (_cataract101(tmp_path) / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=says) as caught:
        read_cataract101(tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_in_another_encoding_is_refused_with_its_line(tmp_path: Path, encoding: str) -> None:
    (_cataract101(tmp_path) / "phases.csv").write_bytes("Phase;Meaning\n1;Eröffnung\n".encode(encoding))
    line = 2 if encoding == "latin-1" else 1
    with pytest.raises(ValueError, match=rf"phases\.csv, line {line}: not UTF-8; save the file as UTF-8"):
        read_cataract101(tmp_path)


def test_a_quote_left_open_is_refused(tmp_path: Path) -> None:
    (_cataract101(tmp_path) / "annotations.csv").write_text('VideoID;FrameNo;Phase\n7;"5' + "0" * 140_000)
    with pytest.raises(ValueError, match=r"annotations\.csv, line 2: no table .*a quote left open"):
        read_cataract101(tmp_path)


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    path = _cataract101(tmp_path) / "videos.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_cataract101(tmp_path).videos) == 2


def _ophnet(root: Path, rows: str) -> Path:
    root.joinpath("OphNet2024_loca_challenge_phase.csv").write_text(
        "\ufeffvideo_id,start,end,split,surgery_id,phase_id\n" + rows, encoding="utf-8"
    )
    root.joinpath("phase_names.csv").write_text("phase_id,name\n10,Late\n2,Early\n", encoding="utf-8")
    return root


def test_where_ophnet_segments_overlap_the_last_to_start_holds(tmp_path: Path) -> None:
    root = _ophnet(tmp_path, "case_1,0,10,test,1,2\ncase_1,8,12,test,1,10\ncase_1,15,20,test,1,2\n")
    dataset = read_ophnet_phases(root, with_videos=False)
    assert dataset.classes == ("Early", "Late")
    ids = class_ids_at(dataset.videos[0].segments, dataset.classes, np.array([7.9, 8.0, 11.9, 12.0, 15.0]))
    assert ids.tolist() == [0, 1, 1, UNLABELLED, 0]


def test_no_label_is_lost_where_segments_start_together(tmp_path: Path) -> None:
    for rows in ("case_1,0,10,test,1,2\ncase_1,0,20,test,1,10\n", "case_1,0,20,test,1,10\ncase_1,0,10,test,1,2\n"):
        dataset = read_ophnet_phases(_ophnet(tmp_path, rows), with_videos=False)
        ids = class_ids_at(dataset.videos[0].segments, dataset.classes, np.array([0.0, 9.9, 10.0, 19.9]))
        assert ids.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match=r"line 3: the segment of line 2 stands there as 'Early' and as 'Late'"):
        read_ophnet_phases(_ophnet(tmp_path, "case_1,0,10,test,1,2\ncase_1,0,10,test,1,10\n"), with_videos=False)


def test_ophnet_reads_one_split_and_refuses_an_unknown_one(tmp_path: Path) -> None:
    root = _ophnet(tmp_path, "case_1,0,10,test,1,2\ncase_2,0,10,train,1,2\n")
    assert [video.video_id for video in read_ophnet_phases(root, split="train", with_videos=False).videos] == ["case_2"]
    with pytest.raises(ValueError, match="'dev'; it has test, train"):
        read_ophnet_phases(root, split="dev", with_videos=False)
    with pytest.raises(ValueError, match=r"ends at 4 s, not after its start at 5 s"):
        read_ophnet_phases(_ophnet(tmp_path, "case_1,5,4,test,1,2\n"), with_videos=False)


def test_phase_table_finds_videos_by_name_in_any_of_the_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "videos").mkdir(parents=True)
    (tmp_path / "a" / "one.mp4").write_bytes(b"x")
    (tmp_path / "b" / "videos" / "two.mkv").write_bytes(b"x")
    table = tmp_path / "labels.csv"
    table.write_text("video,start_seconds,end_seconds,label\none.mp4,0,2,X\ntwo,1,2,Y\n", encoding="utf-8")
    dataset = read_phase_table(table, (tmp_path / "a", tmp_path / "b"))
    assert [video.path.name for video in dataset.videos] == ["one.mp4", "two.mkv"]
    assert dataset.classes == ("X", "Y")
    table.write_text("video,start_seconds,end_seconds,label\none.mp4,0,2,X\none,3,4,Y\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"one\.mp4: labelled twice, as 'one\.mp4' and as 'one'"):
        read_phase_table(table, (tmp_path / "a",))
    with pytest.raises(ValueError, match="label 'Y' is not among the classes X"):
        read_phase_table(table, classes=("X",), with_videos=False)


def test_presence_table_keeps_what_nobody_said_apart_from_absence(tmp_path: Path) -> None:
    table = tmp_path / "presence.csv"
    table.write_text("video,seconds,knife,needle\nv,1,1,\nv,0,0,1\n", encoding="utf-8")
    dataset = read_presence_table(table, with_videos=False)
    assert dataset.classes == ("knife", "needle")
    assert dataset.videos[0].seconds_n.tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(dataset.videos[0].present_nc, [[0.0, 1.0], [1.0, np.nan]])
    before = presence_split_hash(dataset)
    table.write_text("video,seconds,knife,needle\nv,1,1,0\nv,0,0,1\n", encoding="utf-8")
    assert presence_split_hash(read_presence_table(table, with_videos=False)) != before
    table.write_text("video,seconds,knife,needle\nv,1,1,\nv,1.0,0,1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 3: v at 1\.0 s stands in line 2 already"):
        read_presence_table(table, with_videos=False)
    table.write_text("video,seconds,knife\nv,1,maybe\n", encoding="utf-8")
    with pytest.raises(ValueError, match="'maybe'; expected 0, 1 or empty"):
        read_presence_table(table, with_videos=False)
