"""The bytes of one indexed file, whole or a range of them (RFC 9110), for players that seek."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from ingest.shards import sha256_of
from ophclip.serving.refusing import RefusedError

_BLOCK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".3gp": "video/3gpp", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".wmv": "video/x-ms-wmv", ".asf": "video/x-ms-asf",
    ".flv": "video/x-flv", ".mxf": "application/mxf", ".ogv": "video/ogg", ".mpg": "video/mpeg", ".mpeg": "video/mpeg",
    ".vob": "video/mpeg", ".m2v": "video/mpeg", ".ts": "video/mp2t", ".mts": "video/mp2t", ".m2ts": "video/mp2t",
}  # fmt: skip


class UnchangedFiles:
    """Sees that a file is the one that was indexed: read through once, then known by its size and time."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[int, int, int], str]] = {}
        self._lock = threading.Lock()

    def open(self, path: Path, sha256: str) -> BinaryIO:
        """Open it for reading.

        Raises:
            RefusedError: 404, it is gone; 409, it is another one than was indexed.
        """
        try:
            file = path.open("rb", buffering=0)
        except OSError as error:
            raise RefusedError(
                404, "clip: the indexed file is gone; put it back, or run `ophclip index` again and reload"
            ) from error
        stamp = _stamp(file)
        with self._lock:
            seen = self._seen.get(path)
        if seen is None or seen[0] != stamp:
            seen = stamp, sha256_of(path)
            with self._lock:
                self._seen[path] = seen
        if seen[1] != sha256 or _stamp(file) != stamp:
            file.close()
            raise RefusedError(
                409, "clip: the file has changed since it was indexed; run `ophclip index` again and reload"
            )
        return file


def _stamp(file: BinaryIO) -> tuple[int, int, int]:
    about = os.fstat(file.fileno())
    return about.st_ino, about.st_size, about.st_mtime_ns


def media_response(file: BinaryIO, suffix: str, etag: str, headers: Mapping[str, str], method: str) -> Response:
    """The answer to a request for a file; it closes the file when it is sent.

    Several ranges at once, and ranges of another version than the client has, give the whole file.

    Raises:
        RefusedError: 416, the range begins past the end.
    """
    size = os.fstat(file.fileno()).st_size
    quoted = f'"{etag}"'
    told = {"Accept-Ranges": "bytes", "ETag": quoted, "Content-Type": _TYPES.get(suffix, "application/octet-stream")}
    try:
        span = _span(headers.get("range", ""), size) if headers.get("if-range", quoted) == quoted else None
    except RefusedError:
        file.close()
        raise
    first, stop = span or (0, size)
    told["Content-Length"] = str(stop - first)
    if span:
        told["Content-Range"] = f"bytes {first}-{stop - 1}/{size}"
    status = 206 if span else 200
    if method == "HEAD":
        file.close()
        return Response(status_code=status, headers=told)
    return StreamingResponse(_blocks(file, first, stop), status_code=status, headers=told)


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and one past the last of a single range; None for what is no such range."""
    parts = _RANGE.fullmatch(wanted.strip())
    if parts is None or parts.groups() == ("", "") or max(map(len, parts.groups())) > 18:
        return None
    begin, end = parts.groups()
    if not begin:
        first, stop = max(size - int(end), 0), size
    else:
        first, stop = int(begin), min(int(end) + 1, size) if end else size
        if end and int(end) < first:
            return None
    if first >= size or first >= stop:
        raise RefusedError(
            416,
            f"clip: the range begins past the end; ask for bytes from 0 to {size - 1}",
            {"Content-Range": f"bytes */{size}"},
        )
    return first, stop


async def _blocks(file: BinaryIO, first: int, stop: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(first)
        while first < stop:
            block = await run_in_threadpool(file.read, min(_BLOCK_BYTES, stop - first))
            if not block:
                return
            first += len(block)
            yield block
