"""Lists of videos: what they may say, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.records import Chapter
from ingest.sources import assign_ids, content_sha256, find_videos, read_metadata


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def listed(folder: Path, text: str, name: str = "list.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_list_says_what_is_known_and_leaves_out_the_rest(tmp_path: Path) -> None:
    put(tmp_path, "in/a.mp4", "in/b.dat", "not listed.mp4")
    rows = 'Path;Title;licence;consent;split;patient\nin/a.mp4;"Phaco; chop";CC BY;broad;test;Doe\nin/b.dat;;;;;Roe\n'
    found = find_videos(listed(tmp_path, "\ufeff" + rows))
    assert [file.relative for file in found] == ["in/a.mp4", "in/b.dat"]
    assert [file.location for file in found] == [str(tmp_path / "in" / "a.mp4"), str(tmp_path / "in" / "b.dat")]
    metadata, checksum, complaint = read_metadata(found[0])
    assert (metadata.title, metadata.license, metadata.consent, metadata.split) == (
        "Phaco; chop",
        "CC BY",
        "broad",
        "test",
    )
    assert checksum
    assert not complaint
    assert "Doe" not in str(found)


def test_a_list_wins_over_the_file_beside_the_video_and_its_change_is_seen(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    beside = {"title": "Clip 7", "uploader": "Clinic", "chapters": [{"start_time": 1, "end_time": 4.5, "title": " I "}]}
    (tmp_path / "a.info.json").write_text(json.dumps(beside))
    (before,) = find_videos(listed(tmp_path, "path,title\na.mp4,Trabeculectomy\n"))
    metadata, checksum, _complaint = read_metadata(before)
    assert (metadata.title, metadata.uploader) == ("Trabeculectomy", "Clinic")
    assert metadata.chapters == (Chapter(start_seconds=1.0, end_seconds=4.5, title="I"),)
    (after,) = find_videos(listed(tmp_path, "path,title\na.mp4,Vitrectomy\n"))
    assert after.stamp != before.stamp
    assert read_metadata(after)[1] != checksum


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    table = {"path": ["a.mp4", "b.mp4"], "title": ["One", None], "split": ["train", "test"], "age": [71, 93]}
    pq.write_table(pa.table(table), tmp_path / "list.parquet")
    text = "path,title,split,age\na.mp4,One,train,71\nb.mp4,,test,93\n"
    assert find_videos(str(tmp_path / "list.parquet")) == find_videos(listed(tmp_path, text))


def test_ids_of_a_list_are_kept(tmp_path: Path) -> None:
    put(tmp_path, "a/x.mp4", "b/x.mp4")
    found = find_videos(listed(tmp_path, "path\tvideo_id\na/x.mp4\tcase-1\nb/x.mp4\t\n", "list.tsv"))
    assert assign_ids(found, [], content_sha256) == ({"a/x.mp4": "case-1", "b/x.mp4": "x"}, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title\nA\n", "no column 'path'"),
        ("", "no column 'path'"),
        ("path,titel\na.mp4,A\n", "column 'titel' is not known: call it 'title'"),
        ("path,license,licence\na.mp4,A,B\n", "column 'license' is there twice"),
        ("path,title\na.mp4\n", "row 1 has 1 cells, the header 2"),
        ("path,title\n,A\n", "row 1 has no path"),
        ("path\na.mp4\ngone.mp4\nlost.mp4\n", r"row 2 names gone.mp4, which is not there \(2 such rows of 3\)"),
        ("path\na.mp4\n./a.mp4\n", "rows 1 and 2 both have"),
        ("path,video_id\na.mp4,one\nb.mp4,one\n", "rows 1 and 2 both have video_id one"),
        ("path,video_id\na.mp4,../x\n", r"row 1: video_id '\.\./x': expected up to 64 letters"),
        ('path,title\na.mp4,"open\n', "line 2 is no CSV"),
        ("path\n", "no video files in it"),
        ("path\nftp://user:word@host/a.mp4\n", r"ftp://host/a\.mp4: an address with credentials"),
        ("path\nnothing://host/a.mp4\n", "nothing:// is not known"),
    ],
)
def test_a_faulty_list_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    put(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(ValueError, match=words) as raised:
        find_videos(listed(tmp_path, text))
    assert "\n" not in str(raised.value)
    assert "word@" not in str(raised.value)


def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "list.parquet").write_bytes(b"PAR1" * 9)
    (tmp_path / "list.csv").write_bytes(b"path\n\xff\xfe\n")
    for name, words in (("list.parquet", "not a readable Parquet table"), ("list.csv", "not UTF-8 text")):
        with pytest.raises(ValueError, match=words) as raised:
            find_videos(str(tmp_path / name))
        assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="no such file"):
        find_videos(str(tmp_path / "gone.csv"))
