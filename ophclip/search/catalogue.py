"""The index' own records in SQLite: videos, windows, their pictures and vectors, and which weights made them.

It is the truth of an index; the files that FAISS reads are made from it. A video is there whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CATALOGUE_NAME = "catalogue.sqlite"
FORMAT = "1"
_CORPORA = "corpora"
Table = Literal["windows", "videos"]
_VECTORS: dict[Table, str] = {
    "windows": "SELECT window_id, vector FROM windows ORDER BY video_id, start_seconds",
    "videos": "SELECT video_id || '/' || substr(sha256, 1, 12), vector FROM videos ORDER BY video_id",
}
_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
    video_id TEXT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, duration_seconds REAL NOT NULL,
    title TEXT NOT NULL, license TEXT NOT NULL, narrated INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE TABLE windows (
    window_id TEXT PRIMARY KEY, video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, start_seconds REAL NOT NULL,
    end_seconds REAL NOT NULL, narrations TEXT NOT NULL, thumbnail BLOB NOT NULL, vector BLOB NOT NULL);
CREATE INDEX windows_of_video ON windows (video_id);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoEntry:
    """One indexed video; `path` is relative to the index folder."""

    video_id: str
    path: str
    sha256: str
    duration_seconds: float
    title: str
    license: str
    narrated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowEntry:
    """One indexed window of a video."""

    window_id: str
    video_id: str
    start_seconds: float
    end_seconds: float
    narrations: tuple[str, ...]
    """The narration of every clip that overlaps it."""
    thumbnail_jpeg: bytes


class Catalogue:
    """One open `catalogue.sqlite`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self.about: Mapping[str, str] = dict(connection.execute("SELECT key, value FROM about"))

    @classmethod
    @contextmanager
    def create(cls, path: Path, about: Mapping[str, str]) -> Iterator[Catalogue]:
        """Open the catalogue for writing, made anew with `about` if it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                script = "".join(f"INSERT INTO about VALUES ({_quoted(key)}, {_quoted(about[key])});" for key in about)
                connection.executescript(f"BEGIN;{_SCHEMA}{script}COMMIT;")
            yield cls(path, connection)

    @classmethod
    def open(cls, path: Path) -> Catalogue:
        """Open for reading.

        Raises:
            ValueError: there is none, or it is not a catalogue of this format.
        """
        if not path.is_file():
            raise ValueError(f"{path}: no such file, expected an index; make one with `ophclip index`")
        connection = sqlite3.connect(f"file:{path.resolve().as_posix()}?mode=ro", uri=True, check_same_thread=False)
        try:
            catalogue = cls(path, connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ValueError(f"{path}: not an index ({error}); make it anew with `ophclip index`") from error
        if catalogue.about.get("format") != FORMAT:
            connection.close()
            raise ValueError(
                f"{path}: format {catalogue.about.get('format')}, this version reads {FORMAT}; make it anew"
            )
        return catalogue

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def videos(self) -> dict[str, VideoEntry]:
        """All videos by id."""
        rows = self._connection.execute(
            "SELECT video_id, path, sha256, duration_seconds, title, license, narrated FROM videos ORDER BY video_id"
        )
        return {
            row[0]: VideoEntry(
                video_id=row[0], path=row[1], sha256=row[2], duration_seconds=row[3], title=row[4], license=row[5],
                narrated=bool(row[6]),
            )
            for row in rows
        }  # fmt: skip

    def window_spans(self) -> dict[str, tuple[str, float, float]]:
        """(video id, start, end) of every window by its id, in order of video and start."""
        rows = self._connection.execute(
            "SELECT window_id, video_id, start_seconds, end_seconds FROM windows ORDER BY video_id, start_seconds"
        )
        return {row[0]: (row[1], row[2], row[3]) for row in rows}

    def window(self, window_id: str) -> WindowEntry:
        """One window with its picture."""
        row = self._connection.execute(
            "SELECT window_id, video_id, start_seconds, end_seconds, narrations, thumbnail FROM windows "
            "WHERE window_id = ?",
            (window_id,),
        ).fetchone()
        return WindowEntry(
            window_id=row[0], video_id=row[1], start_seconds=row[2], end_seconds=row[3],
            narrations=tuple(json.loads(row[4])), thumbnail_jpeg=row[5],
        )  # fmt: skip

    def narrations(self, video_id: str, start_seconds: float, end_seconds: float) -> list[str]:
        """What was said over the windows inside a span, each sentence once, in order."""
        rows = self._connection.execute(
            "SELECT narrations FROM windows WHERE video_id = ? AND start_seconds >= ? AND end_seconds <= ? "
            "ORDER BY start_seconds",
            (video_id, start_seconds - 1e-6, end_seconds + 1e-6),
        )
        lines = (line for (text,) in rows for line in json.loads(text))
        return list(dict.fromkeys(lines))

    def vectors(self, table: Table) -> tuple[list[str], NDArray[np.float32]]:
        """Ids and vectors [n, D] of all windows or all videos, in the order of `vector_ids`; there must be one."""
        ids, blobs = zip(*self._connection.execute(_VECTORS[table]), strict=True)
        return list(ids), np.stack([np.frombuffer(blob, dtype="<f4") for blob in blobs])

    def vector_ids(self, table: Table) -> tuple[str, ...]:
        """Ids under which vectors are searched. They carry the content's hash: equal ids are equal vectors."""
        return tuple(row[0] for row in self._connection.execute(_VECTORS[table]))

    def put(
        self,
        video: VideoEntry,
        vector_d: NDArray[np.float32],
        windows: Sequence[WindowEntry],
        vectors_wd: NDArray[np.float32],
    ) -> None:
        """Store one video with all its windows in one transaction, in place of what stood under its id."""
        spans = ((part.window_id, part.video_id, part.start_seconds, part.end_seconds) for part in windows)
        rest = ((json.dumps(part.narrations), part.thumbnail_jpeg) for part in windows)
        rows = [(*span, *more, _blob(row)) for span, more, row in zip(spans, rest, vectors_wd, strict=True)]
        values = (video.video_id, video.path, video.sha256, video.duration_seconds, video.title, video.license)
        with self._connection:
            self._connection.execute("DELETE FROM videos WHERE video_id = ?", (video.video_id,))
            self._connection.execute(
                "INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, int(video.narrated), _blob(vector_d))
            )
            self._connection.executemany("INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @property
    def corpora(self) -> tuple[str, ...]:
        """The corpora that videos came from, relative to the index folder; those of older indices are unknown."""
        return tuple(json.loads(self.about.get(_CORPORA, "[]")))

    def note_corpus(self, corpus: str) -> None:
        """Remember that videos came from a corpus, given relative to the index folder."""
        known = json.dumps(list(dict.fromkeys([*self.corpora, corpus])))
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_CORPORA, known))
        self.about = {**self.about, _CORPORA: known}

    def windows_at(self, video_id: str, second: float) -> list[WindowEntry]:
        """The windows of a video that hold a second, in order."""
        rows = self._connection.execute(
            "SELECT window_id FROM windows WHERE video_id = ? AND start_seconds <= ? AND end_seconds >= ? "
            "ORDER BY start_seconds",
            (video_id, second, second),
        ).fetchall()
        return [self.window(row[0]) for row in rows]

    def window_vector(self, window_id: str) -> NDArray[np.float32]:
        """The vector [D] of one window."""
        row = self._connection.execute("SELECT vector FROM windows WHERE window_id = ?", (window_id,)).fetchone()
        return np.frombuffer(row[0], dtype="<f4")

    def describe(self, video: VideoEntry, narrations: Mapping[str, Sequence[str]]) -> None:
        """Write anew what is known of a video, and what is said over its windows by id; its vectors stay."""
        values = (video.path, video.title, video.license, int(video.narrated), video.video_id)
        with self._connection:
            self._connection.execute(
                "UPDATE videos SET path = ?, title = ?, license = ?, narrated = ? WHERE video_id = ?", values
            )
            self._connection.executemany(
                "UPDATE windows SET narrations = ? WHERE window_id = ?",
                [(json.dumps(texts), window_id) for window_id, texts in narrations.items()],
            )


def _blob(vector_d: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vector_d, dtype="<f4").tobytes()


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
