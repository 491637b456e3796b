"""The storage behind an address, through fsspec, and what goes wrong with it in one line without secrets.

Credentials come from the environment, as each storage's own client reads them; an address never carries them. Requests
are repeated by those clients, with growing, random pauses and an end: for S3, botocore tries `AWS_MAX_ATTEMPTS` times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_AGAIN = "then run the same command again; what is done is kept"
_CREDENTIALS = "S3: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REMEDIES = (
    (r"credentials", f"give credentials where the storage's client looks for them ({_CREDENTIALS})"),
    (r"expired|bad request", f"renew the credentials or mend the address, {_AGAIN}"),
    (r"quota|storagefull|insufficientstorage|entitytoolarge|\b507\b", f"make room there or have more given, {_AGAIN}"),
    (r"permissionerror|forbidden|\b403\b", f"have its keeper allow it for these credentials, {_AGAIN}"),
    (r"checksum", "delete it there and publish the corpus again"),
    (r"filenotfounderror|\b404\b", "check the address; a bucket must have been made before"),
    (r"connect|time-?out|timed out|slowdown|request rate|\b50\d\b", f"see that the storage answers, {_AGAIN}"),
)
"""What is done about an error, by its class, code and words; the first that fits."""


class SourceError(ValueError):
    """A source that cannot be reached or no longer has a file: another run may find it."""


class GoneError(SourceError):
    """There is no such file or bucket."""


def file_system(address: str, *, fresh: bool = True) -> tuple[Any, str]:
    """The fsspec file system behind an address, and the address as it names it; `fresh` forgets earlier listings.

    Raises ValueError in one line for an address that carries credentials, or whose library is not installed.
    """
    import fsspec.core

    parts = urlsplit(address)
    queried = "=" in parts.query or (parts.query and parts.scheme in ("http", "https"))
    if "@" in parts.netloc or "::" in address or queried:
        raise ValueError(f"{shown(address)}: an address with credentials, a query or several steps: give a plain one")
    try:
        system, name = fsspec.core.url_to_fs(address)
    except ImportError as error:
        extra = _EXTRAS.get(parts.scheme)
        remedy = f"pip install 'ophclip[{extra}]'" if extra else "install what fsspec needs for it"
        raise ValueError(f"{address}: {parts.scheme}:// cannot be read here: {remedy}") from error
    except ValueError as error:
        raise ValueError(f"{address}: {parts.scheme}:// is not known: give s3://, gs:// or a local path") from error
    if parts.scheme in ("s3", "s3a"):
        _prepare_s3()
    if fresh:
        system.invalidate_cache()
    return system, str(name)


@cache
def _prepare_s3() -> None:
    """Have s3fs repeat what botocore does not, once: bodies that break off or were changed on their way.

    Its own five rounds lie within each other and around botocore's: a storage that hangs up was asked 250 times.
    """
    from botocore.exceptions import FlexibleChecksumError  # type: ignore[import-untyped]
    from s3fs.core import S3FileSystem, add_retryable_error  # type: ignore[import-untyped]

    S3FileSystem.retries = 2
    add_retryable_error(FlexibleChecksumError)


def shown(address: str) -> str:
    """An address without user, password and query; a question mark in a file's name stays."""
    plain = re.sub(r"(?<=://)[^/]*@", "", address)
    return re.sub(r"\?.*=.*", "", plain, flags=re.DOTALL)


@contextmanager
def told(address: str, doing: str = "read") -> Iterator[None]:
    """Whatever a storage's client raises becomes one line: what, where, why, remedy; no addresses of requests.

    Raises:
        GoneError: there is no such file or bucket.
        SourceError: all else.
    """
    try:
        yield
    except Exception as error:  # every client has errors of its own, and no common ancestor
        kind = GoneError if isinstance(error, FileNotFoundError) else SourceError
        raise kind(f"{shown(address)}: cannot be {doing} ({_reason(error)}): {_remedy(error)}") from error


def _reason(error: Exception) -> str:
    words = (str(error).strip() or type(error).__name__).splitlines()[0]
    return re.sub(r"(?<=://)[^\s/@]*@|\?\S*", "", words)[:200]


def _remedy(error: Exception) -> str:
    response = getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    facts = f"{type(error).__name__} {code} {error}".lower()
    found = (remedy for pattern, remedy in _REMEDIES if re.search(pattern, facts))
    return next(found, "check the address and your access to it")
