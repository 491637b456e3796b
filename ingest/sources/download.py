"""Downloads through yt-dlp, an optional package. Every request, that of a redirect too, is held to allowed hosts."""

from __future__ import annotations

import errno
import os
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ingest.atomic import sync_folder, write_json
from ingest.records import VIDEO_SUFFIXES
from ingest.sources.fetch import Wanted, clean_address, refused, without_secrets
from ingest.sources.folder import local_file
from ingest.sources.listing import listed_file
from ingest.sources.source_file import METADATA_SUFFIX, SourceFile
from ingest.sources.storage import SourceError

_KEPT_TEXTS = ("title", "description", "uploader", "license", "upload_date")
_FORMAT = "best[protocol^=http][ext=mp4]/best[protocol^=http]"
"""One file over HTTP: other protocols go through programs whose requests cannot be held to the allowed hosts."""
_OPTIONS = {
    "format": _FORMAT,
    "quiet": True,
    "noprogress": True,
    "color": "no_color",
    "noplaylist": True,
    "extract_flat": "in_playlist",
    "cachedir": False,
    "cookiefile": None,
    "cookiesfrombrowser": None,
    "usenetrc": False,
    "updatetime": False,
    "fixup": "never",
    "skip_unavailable_fragments": False,
    "retries": 2,
    "fragment_retries": 2,
    "extractor_retries": 1,
    "socket_timeout": 30.0,
}


def require_yt_dlp() -> None:
    """Raise ValueError in one line if yt-dlp is not installed."""
    try:
        import yt_dlp  # noqa: F401
    except ImportError as error:
        raise ValueError("--fetch needs yt-dlp: pip install 'ophclip[fetch]'") from error


def download(wanted: Wanted, folder: Path, hosts: Sequence[str]) -> SourceFile:
    """Download one address; what an earlier attempt left is gone on with. Its metadata is written last.

    Raises SourceError in one line without secrets if it cannot be had, OSError if `folder` cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    refusals: list[str] = []
    try:
        info = _downloaded(wanted.address, folder / f"{wanted.stem}.%(ext)s", hosts, refusals)
    except Exception as error:  # noqa: BLE001 every site's extractor has errors of its own, and no common ancestor
        _raise_disk_error(error)
        told = refusals[0] if refusals else without_secrets(str(error) or type(error).__name__, wanted.address)
        raise SourceError(f"cannot be fetched: {told}") from None
    path = folder / f"{wanted.stem}.{info.get('ext')}"
    if path.suffix not in VIDEO_SUFFIXES or not path.is_file():
        path.unlink(missing_ok=True)
        expected = " ".join(VIDEO_SUFFIXES)
        raise SourceError(f"cannot be fetched: no video file but {path.suffix}, expected one of {expected}")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(folder)
    write_json(folder / (wanted.stem + METADATA_SUFFIX), kept_info(info))
    return listed_file(wanted.row, local_file(path, wanted.relative))


def kept_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """Of what yt-dlp knows of a video, what ingest reads, without secrets."""
    kept: dict[str, Any] = {name: text for name in _KEPT_TEXTS if isinstance(text := info.get(name), str)}
    chapters = [
        {name: one.get(name) for name in ("start_time", "end_time", "title")} for one in info.get("chapters") or ()
    ]
    page = clean_address(info.get("webpage_url") or "")
    return {**kept, "webpage_url": page, **({"chapters": chapters} if chapters else {})}


def _downloaded(address: str, target: Path, hosts: Sequence[str], refusals: list[str]) -> Mapping[str, Any]:
    """Download to `target`, a template of yt-dlp, and return its info. What the guard refused is put in `refusals`."""
    from yt_dlp import YoutubeDL
    from yt_dlp.networking._urllib import UrllibRH
    from yt_dlp.networking.exceptions import RequestError

    class Guard(urllib.request.BaseHandler):
        """Asked before every request of urllib, that of a redirect too."""

        def default_open(self, request: urllib.request.Request) -> None:
            refusal = refused(request.full_url, hosts)
            if refusal:
                refusals.append(refusal)
                raise RequestError(refusal)
            if urlsplit(request.full_url).hostname != request.origin_req_host:
                request.remove_header("Authorization")

    class GuardedRH(UrllibRH):  # type: ignore[misc]
        _SUPPORTED_URL_SCHEMES = ("http", "https")

        def _create_instance(self, **options: Any) -> Any:
            opener = super()._create_instance(**options)
            opener.add_handler(Guard())
            return opener

    class Downloader(YoutubeDL):  # type: ignore[misc]
        def build_request_director(self, *_handlers: Any, **_preferences: Any) -> Any:
            """Only with the guarded handler, whatever others are installed."""
            return super().build_request_director([GuardedRH])

    with Downloader({**_OPTIONS, "outtmpl": str(target), "logger": _Silent()}) as client:
        info = client.extract_info(address, download=False)
        if "entries" in info:
            raise SourceError("it holds several videos: give the address of each")
        if info.get("is_live"):
            raise SourceError("it is live: wait until it has ended")
        found: Mapping[str, Any] = client.process_ie_result(info, download=True)
    return found


class _Silent:
    """What yt-dlp would say may hold addresses with secrets."""

    def debug(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...


def _raise_disk_error(error: BaseException) -> None:
    """Raise what a full or read-only disk said, if that is behind `error`."""
    info = getattr(error, "exc_info", None) or (None, None, None)
    for one in (error, info[1], error.__cause__, error.__context__):
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise one
