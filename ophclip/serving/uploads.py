"""The body of an upload: into a private file while it arrives, which is gone when it has been read."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ophclip.serving.decoding import Kind, is_known
from ophclip.serving.refusing import RefusedError

_BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 512
_EXPECTED = {Kind.PICTURE: "a JPEG, PNG or WebP", Kind.CLIP: "an MP4, MOV, Matroska, WebM, AVI, MPEG or WMV file"}
_TYPES = {Kind.PICTURE: "image/", Kind.CLIP: "video/"}


@asynccontextmanager
async def spooled(request: Request, kind: Kind, folder: Path) -> AsyncIterator[Path]:
    """The body of a request as a file in `folder`; how large it may be has been seen to (`door`).

    Raises:
        RefusedError: 415, it is not what is expected; 422, it is empty.
    """
    _require_type(request, kind)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        waiting, size = bytearray(), 0
        async for part in request.stream():
            waiting += part
            size += len(part)
            if size - len(part) < _HEAD_BYTES <= size:
                _require_known(bytes(waiting[:_HEAD_BYTES]), kind)
            if len(waiting) >= _BLOCK_BYTES:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        if size < _HEAD_BYTES:
            _require_known(bytes(waiting), kind)
        await run_in_threadpool(file.write, bytes(waiting))
        await run_in_threadpool(file.flush)
        yield Path(file.name)


def _require_type(request: Request, kind: Kind) -> None:
    told = request.headers.get("content-type", "application/octet-stream").split(";")[0].strip().lower()
    if told != "application/octet-stream" and not told.startswith(_TYPES[kind]):
        raise RefusedError(
            415, f"{kind.value}: the body is said to be another kind of content; send the file's bytes as "
            f"application/octet-stream or {_TYPES[kind]}*",
        )  # fmt: skip


def _require_known(head: bytes, kind: Kind) -> None:
    if not head:
        raise RefusedError(422, f"{kind.value}: the body is empty; send the bytes of {_EXPECTED[kind]}")
    if not is_known(head, kind):
        raise RefusedError(415, f"{kind.value}: unknown format; expected {_EXPECTED[kind]}")
