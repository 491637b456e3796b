"""The index' own records in SQLite: videos, their attributes, spans and vectors, and which weights made them.

It is the truth of an index; the files that are searched are made from it. A video is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophclip.search.entries import Level, SpanEntry, VideoEntry

CATALOGUE_NAME = "catalogue.sqlite"
FORMAT = "2"
_CORPORA, _GENERATION = "corpora", "generation"
_PATIENCE_SECONDS = 60.0
"""How long a writer waits for another."""
_OF_VIDEO = "INTEGER NOT NULL REFERENCES videos ON DELETE CASCADE"
_SCHEMA = f"""
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
    number INTEGER PRIMARY KEY AUTOINCREMENT, video_id TEXT NOT NULL UNIQUE, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    duration_seconds REAL NOT NULL, title TEXT NOT NULL, narrated INTEGER NOT NULL);
CREATE TABLE attributes (
    video {_OF_VIDEO}, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (video, key, value)) WITHOUT ROWID;
CREATE TABLE spans (
    number INTEGER PRIMARY KEY AUTOINCREMENT, span_id TEXT NOT NULL UNIQUE, video {_OF_VIDEO}, level TEXT NOT NULL,
    start_seconds REAL NOT NULL, end_seconds REAL NOT NULL, narrations TEXT NOT NULL);
CREATE INDEX spans_of_video ON spans (video, level, start_seconds);
CREATE TABLE thumbnails (span INTEGER PRIMARY KEY REFERENCES spans ON DELETE CASCADE, jpeg BLOB NOT NULL);
CREATE TABLE vectors (video {_OF_VIDEO}, level TEXT NOT NULL, float32_rows BLOB NOT NULL, PRIMARY KEY (video, level));
"""
_SPAN = "SELECT span_id, video_id, level, start_seconds, end_seconds, narrations, spans.number FROM spans"
_SPANS = f"{_SPAN} JOIN videos ON videos.number = video"
_AMONG = "(SELECT value FROM json_each(?))"


class Catalogue:
    """One open `catalogue.sqlite`. Reading is safe from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()
        self.about: Mapping[str, str] = dict(connection.execute("SELECT key, value FROM about"))

    @classmethod
    @contextmanager
    def create(cls, path: Path, about: Mapping[str, str]) -> Iterator[Catalogue]:
        """Open the catalogue for writing, made anew with `about` if it is not there.

        Raises:
            ValueError: it is not a catalogue of this format.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=_PATIENCE_SECONDS)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                first = {**about, _GENERATION: _next("", *about.items())}
                script = "".join(f"INSERT INTO about VALUES ({_quoted(key)}, {_quoted(first[key])});" for key in first)
                connection.executescript(f"BEGIN;{_SCHEMA}{script}COMMIT;")
            catalogue = cls(path, connection)
            catalogue._require_format()
            yield catalogue

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
            catalogue._require_format()
        except sqlite3.DatabaseError as error:
            connection.close()
            raise ValueError(f"{path}: not an index ({error}); make it anew with `ophclip index`") from error
        except ValueError:
            connection.close()
            raise
        return catalogue

    def _require_format(self) -> None:
        found = self.about.get("format")
        if found != FORMAT:
            raise ValueError(
                f"{self.path}: format {found}, this version reads {FORMAT}; remove the folder and make the index anew "
                "with `ophclip index`"
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def unchanging(self) -> Iterator[None]:
        """All that is read inside is of one moment, whoever writes meanwhile."""
        self._read("BEGIN")
        try:
            yield
        finally:
            self._read("COMMIT")

    @property
    def generation(self) -> str:
        """Another word after every change of spans or vectors; the same changes in the same order make the same."""
        return str(self._read("SELECT value FROM about WHERE key = ?", _GENERATION)[0][0])

    def videos(self) -> dict[str, VideoEntry]:
        """All videos by id, in the order of ids."""
        attributes: dict[int, dict[str, list[str]]] = {}
        for number, key, value in self._read("SELECT video, key, value FROM attributes ORDER BY video, key, value"):
            attributes.setdefault(number, {}).setdefault(key, []).append(value)
        rows = self._read(
            "SELECT number, video_id, path, sha256, duration_seconds, title, narrated FROM videos ORDER BY video_id"
        )
        return {
            row[1]: VideoEntry(
                video_id=row[1], path=row[2], sha256=row[3], duration_seconds=row[4], title=row[5],
                narrated=bool(row[6]),
                attributes={key: tuple(values) for key, values in attributes.get(row[0], {}).items()},
            )
            for row in rows
        }  # fmt: skip

    def count(self, level: Level) -> int:
        """How many spans of a level there are."""
        return int(self._read("SELECT count(*) FROM spans WHERE level = ?", level.value)[0][0])

    def spans(self, video_id: str, level: Level) -> list[SpanEntry]:
        """The spans of a video at one level, in order."""
        order = "ORDER BY start_seconds, spans.number"
        return self._spans(f"{_SPANS} WHERE video_id = ? AND level = ? {order}", video_id, level.value)

    def spans_numbered(self, numbers: Sequence[int]) -> dict[int, SpanEntry]:
        """Spans by their numbers, without those that are there no more."""
        return {one.number: one for one in self._spans(f"{_SPANS} WHERE spans.number IN {_AMONG}", json.dumps(numbers))}

    def span_named(self, span_id: str) -> SpanEntry | None:
        """One span by its id; None if there is no such span."""
        return next(iter(self._spans(f"{_SPANS} WHERE span_id = ?", span_id)), None)

    def windows_at(self, video_id: str, second: float) -> list[SpanEntry]:
        """The windows of a video that hold a second, in order."""
        windows = self.spans(video_id, Level.WINDOW)
        return [one for one in windows if one.start_seconds <= second <= one.end_seconds]

    def narrations(self, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """What is said over spans, by their numbers; nothing of those over which nothing is."""
        query = f"SELECT number, narrations FROM spans WHERE number IN {_AMONG} AND narrations != '[]'"
        return {number: tuple(json.loads(text)) for number, text in self._read(query, json.dumps(numbers))}

    def thumbnail(self, number: int) -> bytes:
        """The picture of a span as JPEG; empty if it is there no more."""
        return self.thumbnails([number]).get(number, b"")

    def thumbnails(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """The pictures of spans as JPEG, by their numbers, without those that are there no more."""
        return dict(self._read(f"SELECT span, jpeg FROM thumbnails WHERE span IN {_AMONG}", json.dumps(numbers)))

    def vectors(self, video_id: str, level: Level) -> NDArray[np.float32]:
        """The vectors [n, D] of a video's spans at one level, in the order of `spans`."""
        found = self._read(
            "SELECT float32_rows FROM vectors JOIN videos ON videos.number = video WHERE video_id = ? AND level = ?",
            video_id, level.value,
        )  # fmt: skip
        dim = int(self.about["dim"])
        return np.frombuffer(found[0][0] if found else b"", dtype="<f4").reshape(-1, dim)

    def vector(self, span: SpanEntry) -> NDArray[np.float32]:
        """The vector [D] of one span."""
        beside = [one.number for one in self.spans(span.video_id, span.level)]
        return np.array(self.vectors(span.video_id, span.level)[beside.index(span.number)])

    def columns(self, level: Level) -> NDArray[np.void]:
        """Number, owner, start and end of every span of a level, by video and start; the owner is the place of its
        video in `videos()`."""
        rows = self._read(
            "SELECT spans.number, video_id, start_seconds, end_seconds FROM videos JOIN spans ON video = videos.number "
            "AND level = ? ORDER BY video_id, start_seconds, spans.number",
            level.value,
        )
        place_of = {row[0]: place for place, row in enumerate(self._read("SELECT video_id FROM videos ORDER BY 1"))}
        kinds = [("number", np.int64), ("owner", np.int64), ("start", np.float64), ("end", np.float64)]
        return np.array([(number, place_of[owner], *span) for number, owner, *span in rows], dtype=kinds)

    def put(
        self, video: VideoEntry, spans: Sequence[tuple[SpanEntry, bytes]], vectors: Mapping[Level, NDArray[np.float32]]
    ) -> None:
        """Store one video with all its spans and their pictures in one transaction, in place of what stood under its
        id; `vectors` [n, D] are in the order of `spans` of their level, which must be that of their starts."""
        values = (video.video_id, video.path, video.sha256, video.duration_seconds, video.title, int(video.narrated))
        with self._connection as transaction:
            transaction.execute("DELETE FROM videos WHERE video_id = ?", (video.video_id,))
            into = "INSERT INTO videos (video_id, path, sha256, duration_seconds, title, narrated)"
            number = transaction.execute(f"{into} VALUES (?, ?, ?, ?, ?, ?)", values).lastrowid
            assert number is not None
            self._put_attributes(number, video)
            for one, jpeg in spans:
                fields = (one.span_id, number, one.level.value, one.start_seconds, one.end_seconds)
                into = "INSERT INTO spans (span_id, video, level, start_seconds, end_seconds, narrations)"
                row = transaction.execute(f"{into} VALUES (?, ?, ?, ?, ?, ?)", (*fields, json.dumps(one.narrations)))
                transaction.execute("INSERT INTO thumbnails VALUES (?, ?)", (row.lastrowid, jpeg))
            blobs = [np.ascontiguousarray(rows_nd, dtype="<f4").tobytes() for rows_nd in vectors.values()]
            for level, blob in zip(vectors, blobs, strict=True):
                transaction.execute("INSERT INTO vectors VALUES (?, ?, ?)", (number, level.value, blob))
            self._change(values, [one.span_id for one, _ in spans], [hashlib.sha256(one).hexdigest() for one in blobs])

    def describe(self, video: VideoEntry, narrations: Mapping[str, Sequence[str]]) -> None:
        """Write anew what is known of a video, and what is said over its windows and clips by id; of these others are
        dropped, and the vectors of the rest stay."""
        gone = [one for one in self.spans(video.video_id, Level.CLIP) if one.span_id not in narrations]
        with self._connection as transaction:
            if gone:
                self._drop_clips(video.video_id, {one.number for one in gone})
            transaction.execute(
                "UPDATE videos SET path = ?, title = ?, narrated = ? WHERE video_id = ?",
                (video.path, video.title, int(video.narrated), video.video_id),
            )
            found = transaction.execute("SELECT number FROM videos WHERE video_id = ?", (video.video_id,)).fetchone()
            transaction.execute("DELETE FROM attributes WHERE video = ?", found)
            self._put_attributes(found[0], video)
            transaction.executemany(
                "UPDATE spans SET narrations = ? WHERE span_id = ?",
                [(json.dumps(list(texts)), span_id) for span_id, texts in narrations.items()],
            )

    def remove(self, video_id: str) -> bool:
        """Drop a video and all that belongs to it, its bytes overwritten; False if it was not there."""
        with self._connection as transaction:
            gone = transaction.execute("DELETE FROM videos WHERE video_id = ?", (video_id,)).rowcount > 0
            if gone:
                self._change(video_id)
        return gone

    @property
    def corpora(self) -> tuple[str, ...]:
        """The corpora that videos came from, relative to the index folder."""
        return tuple(json.loads(self.about.get(_CORPORA, "[]")))

    def note_corpus(self, corpus: str) -> None:
        """Remember that videos came from a corpus, given relative to the index folder."""
        known = json.dumps(list(dict.fromkeys([*self.corpora, corpus])))
        with self._connection:
            self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_CORPORA, known))
        self.about = {**self.about, _CORPORA: known}

    def _drop_clips(self, video_id: str, gone: set[int]) -> None:
        kept_n = [one.number not in gone for one in self.spans(video_id, Level.CLIP)]
        blob = self.vectors(video_id, Level.CLIP)[kept_n].tobytes()
        of_clips = "video = (SELECT number FROM videos WHERE video_id = ?) AND level = ?"
        self._connection.execute(
            f"UPDATE vectors SET float32_rows = ? WHERE {of_clips}", (blob, video_id, Level.CLIP.value)
        )
        self._connection.executemany("DELETE FROM spans WHERE number = ?", [(number,) for number in gone])
        self._change(video_id, sorted(gone))

    def _put_attributes(self, number: int, video: VideoEntry) -> None:
        rows = [(number, key, value) for key, values in video.attributes.items() for value in values]
        self._connection.executemany("INSERT INTO attributes VALUES (?, ?, ?)", rows)

    def _change(self, *what: object) -> None:
        values = (_next(self.generation, *what), _GENERATION)
        self._connection.execute("UPDATE about SET value = ? WHERE key = ?", values)

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _spans(self, query: str, *values: object) -> list[SpanEntry]:
        return [
            SpanEntry(
                span_id=row[0], video_id=row[1], level=Level(row[2]), start_seconds=row[3], end_seconds=row[4],
                narrations=tuple(json.loads(row[5])), number=row[6],
            )
            for row in self._read(query, *values)
        ]  # fmt: skip


def _next(generation: str, *what: object) -> str:
    return hashlib.sha256(repr((generation, *what)).encode()).hexdigest()[:32]


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
