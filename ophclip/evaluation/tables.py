"""Reading the owners' annotation tables: separators, byte order marks, and one clear line when something is missing."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ingest.records import VIDEO_SUFFIXES

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


class Row(dict[str, str]):
    """Cells of one line by column name, and where it stands."""

    def __init__(self, cells: Iterable[tuple[str, str]], table: Path, line: int) -> None:
        super().__init__(cells)
        self.table = table
        self.line = line

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.table}, line {self.line}"


def read_table(
    path: Path, columns: Sequence[str], *, separator: str = ",", header: Sequence[str] | None = None
) -> list[Row]:
    """Rows of a CSV as text by column name; `header` names the columns of a file that has no header itself.

    Raises:
        ValueError: the file or one of `columns` is missing, it is not UTF-8, a row is short, long or stands there
            twice, or there is no row.
    """
    lines = _lines(path, separator)
    names = [name.strip() for name in (next(lines, (1, []))[1] if header is None else header)]
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise ValueError(f"{path}, line 1: column {twice[0]!r} stands there twice")
    if missing := [name for name in columns if name not in names]:
        raise ValueError(
            f"{path}: no column {missing[0]!r}; expected {separator.join(columns)} in the first line"
            + _other_separator(names, columns, separator)
        )
    rows: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    for line, cells in lines:
        where = f"{path}, line {line}"
        if len(cells) != len(names):
            word = "shorter" if len(cells) < len(names) else "longer"
            raise ValueError(f"{where}: the row is {word} than the header; is the file whole?")
        first = seen.setdefault(tuple(cells), line)
        if first != line:
            raise ValueError(f"{where}: the row of line {first} stands there again; remove one of them")
        rows.append(Row(zip(names, (cell.strip() for cell in cells), strict=True), path, line))
    if not rows:
        raise ValueError(f"{path}: no row below the header; is the file whole?")
    return rows


def _lines(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is not empty."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=separator)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: no table ({error}); is a quote left open?") from error


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before what would begin one."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        ValueError: there is no such file, or it is in another encoding; names the line.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected this file and it is not there; is the folder the right one, and unpacked?")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8; save the file as UTF-8 and try again") from error
    if "\0" in text:
        raise ValueError(f"{path}, line {text.count(chr(10), 0, text.index(chr(0))) + 1}: not text; save it as UTF-8")
    return text


def _other_separator(names: Sequence[str], columns: Sequence[str], separator: str) -> str:
    for other, word in SEPARATORS.items():
        if other != separator and set(columns) <= {part.strip() for name in names for part in name.split(other)}:
            return f", separated by {SEPARATORS[separator]}; it is separated by {word}"
    return ""


def number(row: Row, column: str) -> float:
    """A cell as a finite number; ValueError names file, line, column and text."""
    try:
        value = float(row[column])
    except ValueError as error:
        raise ValueError(f"{row.where}: {column} is {row[column]!r} and must be a number") from error
    if not math.isfinite(value):
        raise ValueError(f"{row.where}: {column} is {row[column]!r} and must be finite")
    return value


def named(row: Row, column: str) -> str:
    """A cell that must not be empty, such as a video's name; ValueError names file, line and column."""
    if not row[column]:
        raise ValueError(f"{row.where}: {column} is empty")
    return row[column]


def whole(row: Row, column: str) -> int:
    """A cell as a whole number, such as a frame; ValueError names file, line, column and text."""
    value = number(row, column)
    if not value.is_integer():
        raise ValueError(f"{row.where}: {column} is {row[column]!r} and must be a whole number")
    return int(value)


def names_of(path: Path, key: str, name: str = "name", *, separator: str = ",") -> dict[str, str]:
    """A table of names by id, in the order of the ids; neither may stand there twice.

    Raises:
        ValueError: as `read_table`, or an id or a name stands there twice.
    """
    rows = read_table(path, (key, name), separator=separator)
    found: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: whole(row, key)):
        if row[key] in found or row[name] in found.values():
            raise ValueError(f"{row.where}: {key} {row[key]} or {name} {row[name]!r} stands there twice")
        found[row[key]] = row[name]
    return found


def label_numbers(path: Path) -> dict[str, str]:
    """Numbers, as text, by name from a JSON object.

    Raises:
        ValueError: it is not one, or two names have one number.
    """
    text = read_text(path)
    try:
        found = {str(name): str(int(index)) for name, index in json.loads(text).items()}
    except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a JSON object of numbers by name; is the file whole?") from error
    if len(set(found.values())) != len(found):
        raise ValueError(f"{path}: two names have one number")
    return found


def video_files(folders: Sequence[Path]) -> dict[str, Path]:
    """Videos in the folders and their `videos` folders by name, with and without suffix; of two the first holds."""
    found: dict[str, Path] = {}
    for place in (place for folder in folders for place in (folder, folder / "videos") if place.is_dir()):
        for path in sorted(place.iterdir()):
            if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
                found.setdefault(path.name, path)
                found.setdefault(path.stem, path)
    return found


def expected_path(folders: Sequence[Path], name: str) -> Path:
    """Where a video that is not there would lie."""
    return folders[0] / (name if Path(name).suffix in VIDEO_SUFFIXES else f"{name}.mp4")


def paths_of(names: Sequence[str], folders: Sequence[Path], *, with_videos: bool) -> list[Path]:
    """The file of every video; without `with_videos` one that is missing is where it would lie.

    Raises:
        ValueError: with `with_videos`, a video is missing; says how many of them were found before it.
    """
    files = video_files(folders)
    paths: dict[Path, str] = {}
    for name in names:
        path = files.get(name) or _nested(folders, name) or expected_path(folders, name)
        if with_videos and not path.is_file():
            raise ValueError(
                f"{path}: expected this video ({len(paths)} of {len(names)} annotated videos found before it); "
                "unpack the rest, or evaluate a split that is there"
            )
        if path in paths:
            raise ValueError(f"{path}: labelled twice, as {paths[path]!r} and as {name!r}; call it by one name")
        paths[path] = name
    return list(paths)


def _nested(folders: Sequence[Path], name: str) -> Path | None:
    inside = Path(name)
    return video_files([folder / inside.parent for folder in folders]).get(inside.name) if inside.parent.name else None
