"""A list of videos: a CSV or Parquet table with one row per file and what is known of it."""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ingest.records import Metadata
from ingest.sources.folder import local_file
from ingest.sources.metadata import TEXT_FIELDS, listed_checksum
from ingest.sources.remote import files_at, read_bytes
from ingest.sources.source_file import LONGEST_ID, SourceFile, is_address

LIST_SUFFIXES = (".csv", ".tsv", ".parquet")
"""Endings by which a source is known to be a list."""

_ALIASES = {"licence": "license"}
_KNOWN = ("path", "video_id", *TEXT_FIELDS, *_ALIASES)


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedRow:
    """One row of a list: a video and what is said of it."""

    number: int
    """As a reader of the table counts: the first row under the header is 1."""
    path: str
    location: str
    video_id: str
    listed: Metadata


def videos_in_list(source: str) -> list[SourceFile]:
    """The files that a list names, with what it says of each.

    Columns: `path` (relative paths count from the list), and as wanted `video_id`, `title`, `description`, `license` or
    `licence`, `consent`, `split`, `uploader`, `upload_date`, `webpage_url`. Other columns are not read, so that what
    identifies a person stays out; one that looks like a misspelled column is refused.
    Raises ValueError in one line for a faulty table, a file that is not there, or one that is named twice.
    """
    rows = rows_of_list(source)
    refuse_repeats(source, rows)
    found = _present(rows)
    gone = [row for row in rows if row.location not in found]
    if gone:
        raise ValueError(
            f"{source}: row {gone[0].number} names {gone[0].path}, which is not there ({len(gone)} such rows of "
            f"{len(rows)}): mend the list or bring the files"
        )
    return [listed_file(row, found[row.location]) for row in rows]


def rows_of_list(source: str) -> list[ListedRow]:
    """The rows of a list; whether their files are there is not looked at. Raises ValueError for a faulty table."""
    return list(_rows(source, read_table(source)))


def read_table(source: str) -> list[dict[str, str]]:
    """Rows of a CSV or Parquet table as text by lower-case column name, without the columns that are not known."""
    data = read_bytes(source if is_address(source) else str(Path(source).absolute()))
    return _parquet(source, data) if source.lower().endswith(".parquet") else _csv(source, data)


def _csv(source: str, data: bytes) -> list[dict[str, str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{source}: not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8"
        ) from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = _columns(source, next(reader, []))
        lines = [line for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise ValueError(f"{source}: line {reader.line_num} is no CSV ({error}): mend the list") from error
    for number, line in enumerate(lines, 1):
        if len(line) != len(header):
            raise ValueError(f"{source}: row {number} has {len(line)} cells, the header {len(header)}: mend the list")
    return [{name: cell.strip() for name, cell in zip(header, line, strict=True) if name} for line in lines]


def _parquet(source: str, data: bytes) -> list[dict[str, str]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        written = list(table.schema_arrow.names)
        names = dict(zip(written, _columns(source, written), strict=True))
        rows = table.read(columns=[name for name, known in names.items() if known]).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{source}: not a readable Parquet table ({reason}): write it again") from error
    return [{names[name]: _text(value) for name, value in row.items()} for row in rows]


def _text(value: object) -> str:
    missing = value is None or value != value  # noqa: PLR0124 not a number stands for nothing
    return "" if missing else str(value).strip()


def _columns(source: str, written: Sequence[str]) -> list[str]:
    """For each column its name here, empty for one that is not read."""
    plain = [name.strip().lower() for name in written]
    for name in plain:
        close = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.8)
        if close and name not in _KNOWN:
            raise ValueError(f"{source}: column {name!r} is not known: call it {close[0]!r}, or something else")
    known = [_ALIASES.get(name, name) if name in _KNOWN else "" for name in plain]
    twice = [name for name in known if name and known.count(name) > 1]
    if twice:
        raise ValueError(f"{source}: column {twice[0]!r} is there twice: keep one")
    if "path" not in known:
        raise ValueError(f"{source}: no column 'path' in its first line: expected a header with at least path")
    return known


def _rows(source: str, table: Sequence[Mapping[str, str]]) -> Iterator[ListedRow]:
    for number, cells in enumerate(table, 1):
        path, video_id = cells["path"], cells.get("video_id", "")
        if not path:
            raise ValueError(f"{source}: row {number} has no path: give the video's path or take the row out")
        if video_id and not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{LONGEST_ID}}}", video_id):
            raise ValueError(
                f"{source}: row {number}: video_id {video_id!r}: expected up to {LONGEST_ID} letters, digits, _ or -"
            )
        texts: dict[str, Any] = {name: cells.get(name, "") for name in TEXT_FIELDS}
        said = Metadata(**texts)
        location = _location(source, number, path)
        yield ListedRow(number=number, path=path, location=location, video_id=video_id, listed=said)


def _location(source: str, number: int, path: str) -> str:
    if is_address(path):
        return path
    if not is_address(source):
        return os.path.normpath(Path(source).absolute().parent / path)
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{source}: row {number} names {path}: give an address or a path below the list's folder")
    return f"{source.rsplit('/', 1)[0]}/{PurePosixPath(path)}"


def refuse_repeats(source: str, rows: Sequence[ListedRow]) -> None:
    """Raise ValueError in one line if two rows have the same location or id."""
    places: dict[str, int] = {}
    for row in rows:
        for fact in (row.location, f"video_id {row.video_id}" if row.video_id else ""):
            if fact and places.setdefault(fact, row.number) != row.number:
                what = row.path if fact == row.location else fact
                raise ValueError(f"{source}: rows {places[fact]} and {row.number} both have {what}: keep one")


def _present(rows: Sequence[ListedRow]) -> dict[str, SourceFile]:
    """The files that are there, by location."""
    remote = files_at(row.location for row in rows if is_address(row.location))
    paths = {row.location: row.path for row in rows if not is_address(row.location)}
    local = {place: local_file(Path(place), path) for place, path in paths.items() if Path(place).is_file()}
    return {**remote, **local}


def listed_file(row: ListedRow, file: SourceFile) -> SourceFile:
    """The file as its row describes it."""
    return replace(
        file,
        relative=row.path if is_address(row.path) else PurePosixPath(row.path).as_posix(),
        listed=row.listed,
        video_id=row.video_id,
        stamp=f"{file.stamp} {listed_checksum(row.listed)[:16]}",
    )
