"""What is found in a folder, which ids it gets, and what metadata says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.records import Metadata
from ingest.shards import sha256_of
from ingest.sources import SourceFile, assign_ids, content_sha256, find_videos, read_metadata
from ingest.sources.source_file import plain_id


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def beside(path: Path | None) -> SourceFile:
    return SourceFile(location="/x.mp4", relative="x.mp4", metadata_location=str(path or ""), stamp="", size_bytes=0)


def test_videos_are_found_through_and_through_with_their_metadata(tmp_path: Path) -> None:
    put(tmp_path, "b.MKV", "a/x.mp4", "a/x.info.json", "notes.txt", "a/._x.mp4", "x.mp4.part")
    found = find_videos(str(tmp_path))
    assert [file.relative for file in found] == ["a/x.mp4", "b.MKV"]
    assert found[0].metadata_location == str(tmp_path / "a" / "x.info.json")
    assert found[1].metadata_location == ""


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no video files in it: expected files ending in \.mp4"):
        find_videos(str(tmp_path))
    with pytest.raises(ValueError, match="no such folder: give a folder of videos"):
        find_videos(str(tmp_path / "gone"))


@pytest.mark.parametrize(
    ("name", "wanted"), [("a b/Phaco (1).mp4", "Phaco_1"), ("白内障.mp4", "video"), ("x" * 99 + ".ts", "x" * 64)]
)
def test_ids_are_plain(name: str, wanted: str) -> None:
    assert plain_id(name) == wanted


def test_files_of_one_name_are_told_apart_by_content_and_copies_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a/x.mp4", "b/x.mp4", "c/y.mp4", "d/z.mp4")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "x.mp4").write_text("a/x.mp4")
    ids, copies = assign_ids(find_videos(str(tmp_path)), ["z"], content_sha256)
    assert len(set(ids.values())) == 5
    assert ids["c/y.mp4"] == "y"
    assert ids["a/x.mp4"].startswith("x-")
    assert ids["d/z.mp4"].startswith("z-")
    assert copies == {"e/x.mp4": "a/x.mp4"}


def test_metadata_is_read_as_yt_dlp_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "x.info.json"
    facts = {"id": "x", "title": "Öl", "license": None, "uploader": "U", "upload_date": "20200101", "duration": 3}
    path.write_text(json.dumps(facts), encoding="utf-8")
    metadata, checksum, complaint = read_metadata(beside(path))
    assert metadata == Metadata(title="Öl", uploader="U", upload_date="20200101")
    assert checksum == sha256_of(path)
    assert complaint == ""
    assert read_metadata(beside(None)) == (Metadata(), "", "")


@pytest.mark.parametrize("text", ["{", "[1]", "\udcff"])
def test_broken_metadata_is_said_and_costs_the_title_only(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.info.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    metadata, _checksum, complaint = read_metadata(beside(path))
    assert metadata == Metadata()
    assert complaint.startswith("x.info.json is not ")
    assert complaint.endswith("so there is no title")
