"""Ranges of a file against slices of its bytes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response, StreamingResponse

from ingest.shards import sha256_of
from ophclip.serving.media import UnchangedFiles, media_response
from ophclip.serving.refusing import RefusedError

CONTENT = bytes(range(256)) * 3


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "a.mp4"
    path.write_bytes(CONTENT)
    return path


def answer(path: Path, headers: dict[str, str], method: str = "GET") -> tuple[Response, bytes]:
    response = media_response(path.open("rb", buffering=0), ".mp4", "abc", headers, method)
    if not isinstance(response, StreamingResponse):
        return response, response.body if isinstance(response.body, bytes) else bytes(response.body)

    async def body() -> bytes:
        return b"".join([part async for part in response.body_iterator])  # type: ignore[misc]

    return response, asyncio.run(body())


@given(first=st.integers(0, 900), length=st.integers(1, 900))
def test_a_range_is_a_slice(first: int, length: int, file: Path) -> None:
    headers = {"range": f"bytes={first}-{first + length - 1}"}
    if first >= len(CONTENT):
        with pytest.raises(RefusedError) as refused:
            answer(file, headers)
        assert refused.value.status_code == 416
        assert refused.value.headers == {"Content-Range": f"bytes */{len(CONTENT)}"}
        return
    response, body = answer(file, headers)
    expected = CONTENT[first : first + length]
    assert (response.status_code, body) == (206, expected)
    assert response.headers["content-length"] == str(len(expected))
    assert response.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(CONTENT)}"


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=700-", slice(700, None)), ("bytes=-10", slice(-10, None)), ("bytes=-9999", slice(None))],
)
def test_open_ends_of_a_range(wanted: str, part: slice, file: Path) -> None:
    response, body = answer(file, {"range": wanted})
    assert (response.status_code, body) == (206, CONTENT[part])


@pytest.mark.parametrize(
    "wanted",
    ["", "bytes=-", "bytes=5-4", "bytes=0-1,5-9", "items=0-1", "bytes=a-b", "bytes=0x1-2", "bytes=" + "9" * 40 + "-"],
)
def test_what_is_no_single_range_gives_the_whole(wanted: str, file: Path) -> None:
    response, body = answer(file, {"range": wanted})
    assert (response.status_code, body) == (200, CONTENT)
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-type"] == "video/mp4"


def test_a_range_of_another_version_gives_the_whole(file: Path) -> None:
    assert answer(file, {"range": "bytes=0-9", "if-range": '"abc"'})[0].status_code == 206
    assert answer(file, {"range": "bytes=0-9", "if-range": '"other"'})[1] == CONTENT
    assert answer(file, {"range": "bytes=0-9", "if-range": 'W/"abc"'})[1] == CONTENT


def test_a_head_has_the_headers_and_no_body(file: Path) -> None:
    response, body = answer(file, {"range": "bytes=0-9"}, "HEAD")
    assert (response.status_code, body) == (206, b"")
    assert response.headers["content-length"] == "10"


def test_nothing_of_an_empty_range_of_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert answer(tmp_path / "empty", {})[0].status_code == 200
    for wanted in ("bytes=0-0", "bytes=-1", "bytes=-0"):
        with pytest.raises(RefusedError):
            answer(tmp_path / "empty", {"range": wanted})


def test_a_file_that_changed_is_not_served(tmp_path: Path) -> None:
    path, files = tmp_path / "a.mp4", UnchangedFiles()
    path.write_bytes(CONTENT)
    sha256 = sha256_of(path)
    for _ in range(2):
        with files.open(path, sha256) as opened:
            assert opened.read() == CONTENT
    about = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    with pytest.raises(RefusedError) as refused:
        files.open(path, sha256)
    assert refused.value.status_code == 409
    path.unlink()
    with pytest.raises(RefusedError) as refused:
        files.open(path, sha256)
    assert refused.value.status_code == 404
