"""The state of every video in SQLite: the truth from which ingest resumes, and the provenance of what training sees.

Written by one process; each video's outcome is one transaction, so that a kill leaves either all of it or nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ingest.options import Option
from ingest.records import Clip, Rejection, Segment, Transcript, Word

MANIFEST_NAME = "manifest.sqlite"
_SCHEMA_VERSION = 1


class State(Option):
    """Where a video has got to."""

    PENDING = "pending"
    """Known, not yet done."""
    DONE = "done"
    """Its samples are in the corpus; a reason then says what was damaged or chosen."""
    REJECTED = "rejected"
    """Not usable as it is; looked at again when its bytes change."""
    FAILED = "failed"
    """Something broke; tried again with `retry_failed=true` or when its bytes change."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoRow:
    """One video as the manifest knows it."""

    video_id: str
    path: str
    """Where the file lay in the last run."""
    source_relative: str
    """Its path inside the ingested folder, with forward slashes."""
    sha256: str
    stamp: str
    """Sizes and times of the file and its metadata, by which an unchanged one is known without reading it."""
    metadata_sha256: str = ""
    """Of the metadata beside it; empty if there is none."""
    recipe: str = ""
    """Checksum of the options that its samples depend on."""
    state: State = State.PENDING
    reason: str = ""
    attempts: int = 0
    duration_seconds: float = 0.0
    width_px: int = 0
    height_px: int = 0
    mean_fps: float = 0.0
    video_streams: int = 0
    audio_streams: int = 0
    audio_stream_index: int | None = None
    narrated: bool = False
    title: str = ""
    """The structured title as training sees it; empty if there is none."""
    vague_title: bool = True
    license: str = ""
    uploader: str = ""
    upload_date: str = ""
    webpage_url: str = ""
    engine: str = ""
    model: str = ""
    speech_seconds: float = 0.0
    decode_seconds: float = 0.0
    asr_seconds: float = 0.0
    write_seconds: float = 0.0
    clips: int = 0
    finished_at: str = ""
    """UTC time of the last attempt's end, ISO 8601."""


_COLUMNS = tuple(field.name for field in fields(VideoRow))
_TABLES = f"""
CREATE TABLE IF NOT EXISTS videos ({", ".join(_COLUMNS)}, PRIMARY KEY (video_id), UNIQUE (source_relative));
CREATE TABLE IF NOT EXISTS clips (
    video_id TEXT, number INTEGER, start_seconds REAL, end_seconds REAL, narration TEXT,
    PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS rejections (
    video_id TEXT, number INTEGER, start_seconds REAL, end_seconds REAL, text TEXT, reason TEXT,
    PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS transcripts (video_id TEXT PRIMARY KEY, transcript TEXT);
"""


class Manifest:
    """The manifest of one corpus. Use as a context manager, or call `close`."""

    def __init__(self, path: Path) -> None:
        """Open or make `path`. Raises ValueError if it is no manifest of this version."""
        self._path = path
        try:
            self._connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            self._prepare()
        except sqlite3.Error as error:
            raise ValueError(
                f"{path}: not usable as a manifest ({error}): move it away or choose another corpus"
            ) from error

    def _prepare(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _SCHEMA_VERSION):
            raise ValueError(f"{self._path}: version {version} found, {_SCHEMA_VERSION} expected: make the corpus anew")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        if version == 0:
            self._connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; its write-ahead log is folded in."""
        self._connection.close()

    def videos(self) -> list[VideoRow]:
        """All videos, by id."""
        return [_video(row) for row in self._rows(f"SELECT {', '.join(_COLUMNS)} FROM videos ORDER BY video_id")]

    def clips(self, video_id: str) -> list[Clip]:
        """The clips of one video, in order."""
        query = (
            "SELECT video_id, number, start_seconds, end_seconds, narration FROM clips WHERE video_id=? ORDER BY number"
        )
        names = ("video_id", "index", "start_seconds", "end_seconds", "narration")
        return [Clip(**dict(zip(names, row, strict=True))) for row in self._rows(query, video_id)]

    def rejections(self, video_id: str) -> list[Rejection]:
        """What was heard in one video and refused, in order."""
        names = ("start_seconds", "end_seconds", "text", "reason")
        query = f"SELECT {', '.join(names)} FROM rejections WHERE video_id=? ORDER BY number"
        return [Rejection(**dict(zip(names, row, strict=True))) for row in self._rows(query, video_id)]

    def transcript(self, video_id: str) -> Transcript | None:
        """What was heard in one video before the gates, None if it was not listened to."""
        rows = self._rows("SELECT transcript FROM transcripts WHERE video_id=?", video_id)
        return _transcript(json.loads(rows[0][0])) if rows else None

    def put(self, rows: Iterable[VideoRow]) -> None:
        """Write videos over what was known of them, their clips and texts left alone; all or none."""
        self._transaction([_put_video(row) for row in rows])

    def finish(
        self,
        row: VideoRow,
        clips: Sequence[Clip] = (),
        rejections: Sequence[Rejection] = (),
        transcript: Transcript | None = None,
    ) -> None:
        """Write the outcome of one video, replacing all that was known of it; all or nothing."""
        key = row.video_id
        work: list[tuple[str, Sequence[Any]]] = [
            (f"DELETE FROM {table} WHERE video_id=?", (key,)) for table in ("clips", "rejections", "transcripts")
        ]
        work.append(_put_video(row))
        for clip in clips:
            place = (key, clip.index, clip.start_seconds, clip.end_seconds)
            work.append(("INSERT INTO clips VALUES (?,?,?,?,?)", (*place, clip.narration)))
        for number, one in enumerate(rejections):
            values = (key, number, one.start_seconds, one.end_seconds, one.text, one.reason)
            work.append(("INSERT INTO rejections VALUES (?,?,?,?,?,?)", values))
        if transcript is not None:
            text = json.dumps(asdict(transcript), ensure_ascii=False)
            work.append(("INSERT INTO transcripts VALUES (?,?)", (key, text)))
        self._transaction(work)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    def _transaction(self, work: Iterable[tuple[str, Sequence[Any]]]) -> None:
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, values in work:
                self._connection.execute(statement, values)


def _put_video(row: VideoRow) -> tuple[str, Sequence[Any]]:
    values = asdict(row)
    values["state"] = row.state.value
    marks = ", ".join("?" * len(_COLUMNS))
    return f"INSERT OR REPLACE INTO videos VALUES ({marks})", [values[name] for name in _COLUMNS]


def _video(row: Sequence[Any]) -> VideoRow:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["state"] = State(values["state"])
    for name in ("narrated", "vague_title"):
        values[name] = bool(values[name])
    return VideoRow(**values)


def _transcript(facts: dict[str, Any]) -> Transcript:
    segments = tuple(
        Segment(**{**segment, "words": tuple(Word(**word) for word in segment["words"])})
        for segment in facts["segments"]
    )
    return Transcript(**{**facts, "segments": segments})
