"""A list of web addresses: which are wanted, which may be asked for, and what of them may be kept.

What an address carries as a secret (user, password, query) is sent to its host and kept nowhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from ingest.records import VIDEO_SUFFIXES, Metadata
from ingest.sources.folder import local_file
from ingest.sources.listing import LIST_SUFFIXES, ListedRow, listed_file, refuse_repeats, rows_of_list
from ingest.sources.remote import read_bytes
from ingest.sources.source_file import METADATA_SUFFIX, SourceFile, plain_id

_NAMING_KEYS = ("v", "id")
"""Of a query, what says which video is meant; all else may be a secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One address of a list."""

    address: str = field(repr=False)
    """As it is asked for, secrets and all."""
    row: ListedRow
    """What the list says of it; path and location are the address without secrets."""

    @property
    def relative(self) -> str:
        """The name by which the manifest knows it."""
        return self.row.path

    @property
    def stem(self) -> str:
        """Of the names of its files."""
        mark = hashlib.sha256(self.relative.encode()).hexdigest()[:8]
        return f"{plain_id(self.relative)}-{mark}"


def read_wanted(source: str, hosts: Sequence[str]) -> list[Wanted]:
    """The addresses that a list names: a `.txt` with one a line (`#` begins a comment), or a CSV or Parquet list.

    Raises ValueError in one line for a faulty list, an address that is not http(s), or whose host is not allowed.
    """
    rows = _lines(source) if source.lower().endswith(".txt") else _table(source)
    wanted = [_wanted(source, row, hosts) for row in rows]
    if not wanted:
        raise ValueError(f"{source}: no addresses in it: expected one a line, or one in each row's column 'path'")
    refuse_repeats(source, [one.row for one in wanted])
    return wanted


def _lines(source: str) -> list[ListedRow]:
    try:
        text = read_bytes(source).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: not UTF-8 text (at byte {error.start}): save it as UTF-8") from error
    lines = [line.strip() for line in text.splitlines()]
    return [
        ListedRow(number=number, path=line, location=line, video_id="", listed=Metadata())
        for number, line in enumerate(lines, 1)
        if line and not line.startswith("#")
    ]


def _table(source: str) -> list[ListedRow]:
    if not source.lower().endswith(LIST_SUFFIXES):
        endings = " ".join((".txt", *LIST_SUFFIXES))
        raise ValueError(f"{source}: --fetch takes a list of addresses, a file ending in {endings}")
    return rows_of_list(source)


def _wanted(source: str, row: ListedRow, hosts: Sequence[str]) -> Wanted:
    try:
        refusal = refused(row.path, hosts)
    except ValueError:  # whose words may hold the address
        refusal = "not a valid address: mend it"
    if refusal:
        raise ValueError(f"{source}: row {row.number}: {refusal}")
    plain = clean_address(row.path)
    listed = replace(row.listed, webpage_url=clean_address(row.listed.webpage_url))
    address = row.path.partition("#")[0]  # a fragment could give yt-dlp orders
    return Wanted(address=address, row=replace(row, path=plain, location=plain, listed=listed))


def refused(address: str, hosts: Sequence[str]) -> str:
    """Why an address must not be asked for, in words without secrets; empty if it may be."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("http", "https") or "\\" in parts.netloc or not re.fullmatch(r"[A-Za-z0-9.:_-]+", host):
        return "not an http:// or https:// address: give one"
    allowed = [one.lower().rstrip(".") for one in hosts]
    if any(host == one or host.endswith(f".{one}") for one in allowed if one):
        return ""
    return f"{host} is not among fetch.hosts: allow it with 'fetch.hosts=[{','.join([*allowed, host])}]'"


def clean_address(address: str) -> str:
    """An address without user, password, fragment, and all of the query that does not say which video is meant."""
    parts = urlsplit(address)
    named = [(key, value) for key, value in parse_qsl(parts.query) if key in _NAMING_KEYS]
    path = re.sub(r";[^/]*", "", parts.path)
    return SplitResult(parts.scheme, parts.netloc.rsplit("@", 1)[-1], path, urlencode(named), "").geturl()


def complete(wanted: Wanted, folder: Path) -> SourceFile | None:
    """The file of an address that was downloaded to the end, None if it was not."""
    if not (folder / (wanted.stem + METADATA_SUFFIX)).is_file():
        return None
    paths = [path for ending in VIDEO_SUFFIXES if (path := folder / (wanted.stem + ending)).is_file()]
    return listed_file(wanted.row, local_file(paths[0], wanted.relative)) if paths else None


def without_secrets(text: str, address: str) -> str:
    """What went wrong with an address, in one line without addresses and without what this one carries as secrets."""
    parts = urlsplit(address)
    query = [value for key, value in parse_qsl(parts.query) if key not in _NAMING_KEYS]
    secrets = {*query, parts.username or "", parts.password or ""}
    text = re.sub(r"\x1b\[[0-9;]*m|^ERROR: |\s*\(caused by.*|; please report this.*", "", text, flags=re.DOTALL)
    text = re.sub(r"\S*://\S*", "the address", text)
    text = re.sub(r"\?\S+", "", text)
    for secret in sorted(secrets | {unquote(one) for one in secrets}, key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) > 2 else text
    return " ".join(text.split())[:200]
