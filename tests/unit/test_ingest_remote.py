"""Sources behind an address: a storage in memory, and a real S3 server on the loopback address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from filming import film, steady

from ingest.media import probe
from ingest.sources import SourceError, content_sha256, find_videos, local_copy, read_metadata


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.pipe({"/clinic/a/x.mp4": b"x" * 99, "/clinic/a/x.info.json": b'{"title": "Chop"}', "/clinic/y.MKV": b"yy"})
    yield system
    system.rm("/clinic", recursive=True)


def test_a_remote_folder_is_like_a_local_one(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    found = find_videos("memory://clinic")
    assert [(file.relative, file.size_bytes, file.remote) for file in found] == [
        ("a/x.mp4", 99, True),
        ("y.MKV", 2, True),
    ]
    assert [read_metadata(file)[0].title for file in found] == ["Chop", ""]
    with local_copy(found[0], tmp_path) as path:
        assert path.read_bytes() == b"x" * 99
        assert path.suffix == ".mp4"
    assert list(tmp_path.iterdir()) == []
    memory.pipe("/clinic/y.MKV", b"zz")
    assert find_videos("memory://clinic")[1].stamp != found[1].stamp


def test_a_file_that_is_local_is_read_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    (file,) = find_videos(f"file://{tmp_path}")
    assert not file.remote
    with local_copy(file, tmp_path / "elsewhere") as path:
        assert path == tmp_path / "a.mp4"
    assert path.exists()
    path.unlink()
    with pytest.raises(SourceError, match="no such file"), local_copy(file, tmp_path):
        pass


def test_what_changes_or_goes_meanwhile_is_named_and_leaves_nothing(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    file, gone = find_videos("memory://clinic")
    memory.pipe("/clinic/a/x.mp4", b"longer than it was" * 9)
    memory.rm("/clinic/y.MKV")
    with pytest.raises(SourceError, match="162 bytes came, 99 were listed"), local_copy(file, tmp_path):
        pass
    with pytest.raises(SourceError, match="cannot be read") as raised, local_copy(gone, tmp_path):
        pass
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    memory.pipe("/clinic/y.MKV", b"back")


def test_a_remote_list_names_files_beside_itself(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/clinic/list.csv", b"path,split\na/x.mp4,test\nmemory://clinic/y.MKV,train\n")
    found = find_videos("memory://clinic/list.csv")
    assert [(file.location, file.listed.split) for file in found] == [
        ("memory:///clinic/a/x.mp4", "test"),
        ("memory:///clinic/y.MKV", "train"),
    ]
    assert read_metadata(found[0])[0].title == "Chop"
    for path in ("/etc/x.mp4", "../x.mp4"):
        memory.pipe("/clinic/list.csv", f"path\n{path}\n".encode())
        with pytest.raises(ValueError, match="give an address or a path below the list's folder"):
            find_videos("memory://clinic/list.csv")


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_a_bucket_is_read_over_the_wire(tmp_path: Path) -> None:
    video = film(tmp_path / "v.mp4", steady(2.0))
    system = fsspec.filesystem("s3")
    system.mkdir("clinic")
    system.put(str(video), "clinic/eyes/v.mp4")
    system.pipe("clinic/eyes/v.info.json", json.dumps({"title": "Phaco"}).encode())
    system.pipe("clinic/list.csv", b"path,consent\neyes/v.mp4,broad\n")
    (file,) = find_videos("s3://clinic/eyes")
    assert (file.location, file.relative, file.size_bytes) == (
        "s3://clinic/eyes/v.mp4",
        "v.mp4",
        video.stat().st_size,
    )
    assert find_videos("s3://clinic/eyes") == [file]
    assert content_sha256(file) == content_sha256(find_videos(str(tmp_path))[0])
    (named,) = find_videos("s3://clinic/list.csv")
    assert read_metadata(named)[0].consent == "broad"
    assert read_metadata(named)[0].title == "Phaco"
    folder = tmp_path / "work"
    folder.mkdir()
    with local_copy(named, folder) as path:
        assert path.read_bytes() == video.read_bytes()
        assert probe(path).video_streams == 1
    assert list(folder.iterdir()) == []
    system.pipe("clinic/eyes/v.mp4", b"other")
    assert find_videos("s3://clinic/eyes")[0].stamp != file.stamp
    system.rm("clinic/eyes/v.mp4")
    for source in ("s3://clinic/list.csv", "s3://clinic/eyes", "s3://no-such-bucket/x"):
        with pytest.raises(ValueError, match=source) as raised:
            find_videos(source)
        assert "\n" not in str(raised.value)
