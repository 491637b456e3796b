"""Reading the owners' annotation tables: separators, byte order marks, and one clear line when something is missing."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from ingest.records import VIDEO_SUFFIXES


def read_table(path: Path, columns: Sequence[str], *, separator: str = ",") -> list[dict[str, str]]:
    """Rows of a CSV as text by column name.

    Raises:
        ValueError: the file or one of `columns` is missing, a row is short, or there is no row.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected this file and it is not there; is the folder the right one, and unpacked?")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=separator)
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(f"{path}: no column {missing[0]!r}; expected {separator.join(columns)} in the first line")
        rows = []
        for row in reader:
            if any(row[name] is None for name in header):
                raise ValueError(
                    f"{path}, line {reader.line_num}: the row is shorter than the header; is the file whole?"
                )
            rows.append({name: row[name].strip() for name in header})
    if not rows:
        raise ValueError(f"{path}: no row below the header; is the file whole?")
    return rows


def number(path: Path, row: dict[str, str], column: str) -> float:
    """A cell as a finite number; ValueError names file, column and text."""
    try:
        value = float(row[column])
    except ValueError as error:
        raise ValueError(f"{path}: {column} is {row[column]!r} and must be a number") from error
    if not math.isfinite(value):
        raise ValueError(f"{path}: {column} is {row[column]!r} and must be finite")
    return value


def video_path(folders: Sequence[Path], name: str) -> Path | None:
    """The one file called `name` (with or without its suffix) in the folders, their `videos` folders tried too."""
    for folder in folders:
        for place in (folder, folder / "videos"):
            for candidate in (place / name, *(place / f"{name}{suffix}" for suffix in VIDEO_SUFFIXES)):
                if candidate.is_file():
                    return candidate
    return None


def require_video(folders: Sequence[Path], name: str, *, wanted: int, found: int) -> Path:
    """Like `video_path`, with an error that names the first file missing.

    Raises:
        ValueError: no such file; says how many of the annotated videos were found before it.
    """
    path = video_path(folders, name)
    if path is None:
        expected = folders[0] / (name if Path(name).suffix in VIDEO_SUFFIXES else f"{name}.mp4")
        raise ValueError(
            f"{expected}: expected this video ({found} of {wanted} annotated videos found before it); "
            "unpack the rest, or evaluate a split that is there"
        )
    return path
