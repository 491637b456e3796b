"""The state of every video in SQLite: the truth from which ingest resumes, and the provenance of what training sees.

Written by one process; each video's outcome is one transaction, so that a kill leaves either all of it or nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ingest.options import Option
from ingest.records import Chapter, Clip, Correction, Evidence, Refused, Rejection, Segment, Transcript, Word

MANIFEST_NAME = "manifest.sqlite"
_SCHEMA_VERSION = 2


class Stage(Option):
    """How far the work on a video has come; each stage is done anew as a whole if it was interrupted."""

    KNOWN = "known"
    DECODE = "decode"
    TRANSCRIBE = "transcribe"
    WRITE = "write"
    COMPLETE = "complete"


class State(Option):
    """Where a video has got to."""

    PENDING = "pending"
    """Known, not yet done."""
    DONE = "done"
    """Its samples are in the corpus; a reason then says what was damaged or chosen."""
    REJECTED = "rejected"
    """Not usable as it is; looked at again when its bytes change."""
    FAILED = "failed"
    """Something broke; tried again with `retry=failed` or when its bytes change."""


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
    batch: int = 0
    """Videos of one batch are transcribed together; it is fixed when a video is entered, so that a run that was
    interrupted hears the same sound together as one that was not."""
    stage: Stage = Stage.KNOWN
    """What was begun last."""
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
    consent: str = ""
    split: str = ""
    language: str = ""
    """Of the speech, as most windows of it were recognised."""
    engine: str = ""
    model: str = ""
    speech_seconds: float = 0.0
    decode_seconds: float = 0.0
    asr_seconds: float = 0.0
    write_seconds: float = 0.0
    clips: int = 0
    phases: int = 0
    started_at: str = ""
    """UTC time of the last attempt's start, ISO 8601."""
    finished_at: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """All that the work on one video found."""

    clips: tuple[Clip, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    corrections: tuple[Correction, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    transcripts: tuple[Transcript, ...] = ()
    """The one that the clips were cut from first."""
    fingerprint: bytes = b""


_COLUMNS = tuple(field.name for field in fields(VideoRow))
_SPAN = "start_seconds REAL, end_seconds REAL"
_COMPARED = "CREATE TABLE IF NOT EXISTS compared (checksum TEXT);"
_TABLES = f"""
CREATE TABLE IF NOT EXISTS videos ({", ".join(_COLUMNS)}, PRIMARY KEY (video_id), UNIQUE (source_relative));
CREATE TABLE IF NOT EXISTS clips (video_id TEXT, number INTEGER, {_SPAN}, narration TEXT, alternatives TEXT,
    PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS chapters (video_id TEXT, number INTEGER, {_SPAN}, title TEXT,
    PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS rejections (video_id TEXT, number INTEGER, {_SPAN}, text TEXT, reason TEXT, kind TEXT,
    PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS corrections (video_id TEXT, number INTEGER, {_SPAN}, before TEXT, after TEXT, reason TEXT,
    PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS evidence (video_id TEXT, number INTEGER, attribute TEXT, value TEXT, origin TEXT,
    quote TEXT, start_seconds REAL, PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS transcripts (video_id TEXT, number INTEGER, transcript TEXT, PRIMARY KEY (video_id, number));
CREATE TABLE IF NOT EXISTS fingerprints (video_id TEXT PRIMARY KEY, fingerprint BLOB);
CREATE TABLE IF NOT EXISTS evaluation_videos (path TEXT PRIMARY KEY, stamp TEXT, fingerprint BLOB);
{_COMPARED}
"""
_LET_GO = "let what reads or writes it end, then run the same command again"
_OUTCOME_TABLES = ("clips", "chapters", "rejections", "corrections", "evidence", "transcripts", "fingerprints")


class Manifest:
    """The manifest of one corpus. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open or make `path`; `read_only` leaves the file and its folder as they are, and they may be write-protected.

        Raises ValueError if it is no manifest of this version.
        """
        self._path = path
        try:
            place = f"{path.absolute().as_uri()}?{self._reading()}" if read_only else str(path)
            self._connection = sqlite3.connect(place, timeout=30.0, isolation_level=None, uri=read_only)
            if read_only:
                self._require_version()
            else:
                self._prepare()
        except sqlite3.OperationalError:
            raise  # the disk's fault, not the file's
        except sqlite3.Error as error:
            raise ValueError(
                f"{path}: not usable as a manifest ({error}): move it away or choose another corpus"
            ) from error

    def _reading(self) -> str:
        """Where no ingest keeps a log beside the file it does not change, and SQLite need not write there either."""
        logged = self._path.with_name(f"{self._path.name}-wal").exists()
        return "mode=ro" if logged else "mode=ro&immutable=1"

    def _require_version(self, *others: int) -> int:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version not in (_SCHEMA_VERSION, *others):
            raise ValueError(f"{self._path}: version {version} found, {_SCHEMA_VERSION} expected: make the corpus anew")
        return version

    def _prepare(self) -> None:
        version = self._require_version(0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        if version == 0:
            self._connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={_SCHEMA_VERSION}; COMMIT;")
        self._connection.execute(_COMPARED)  # manifests of this version were made without it

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
        columns = "video_id, number, start_seconds, end_seconds, narration, alternatives"
        rows = self._rows(f"SELECT {columns} FROM clips WHERE video_id=? ORDER BY number", video_id)
        names = ("video_id", "index", "start_seconds", "end_seconds", "narration")
        return [
            Clip(**dict(zip(names, row[:-1], strict=True)), alternatives=tuple(json.loads(row[-1]))) for row in rows
        ]

    def chapters(self, video_id: str) -> list[Chapter]:
        """The named spans of one video, in order."""
        return [Chapter(**one) for one in self._records("chapters", Chapter, video_id)]

    def rejections(self, video_id: str) -> list[Rejection]:
        """What was heard in one video and refused, in order."""
        found = self._records("rejections", Rejection, video_id)
        return [Rejection(**{**one, "kind": Refused(one["kind"])}) for one in found]

    def corrections(self, video_id: str) -> list[Correction]:
        """What was changed in the words of one video, in order."""
        return [Correction(**one) for one in self._records("corrections", Correction, video_id)]

    def evidence(self, video_id: str) -> list[Evidence]:
        """What the structured title of one video rests on."""
        return [Evidence(**one) for one in self._records("evidence", Evidence, video_id)]

    def transcripts(self, video_id: str) -> list[Transcript]:
        """What was heard in one video before the gates; first the one that its clips were cut from."""
        rows = self._rows("SELECT transcript FROM transcripts WHERE video_id=? ORDER BY number", video_id)
        return [_transcript(json.loads(row[0])) for row in rows]

    def fingerprinted(self, magic: bytes) -> list[str]:
        """The videos whose fingerprint begins with `magic`, in order."""
        rows = self._rows(
            "SELECT video_id FROM fingerprints WHERE substr(fingerprint, 1, ?)=? ORDER BY 1", len(magic), magic
        )
        return [row[0] for row in rows]

    def fingerprint(self, video_id: str) -> bytes:
        """Of one video; empty if it has none."""
        rows = self._rows("SELECT fingerprint FROM fingerprints WHERE video_id=?", video_id)
        return next((row[0] for row in rows), b"")

    def evaluation_videos(self) -> dict[str, tuple[str, bytes]]:
        """Videos that must not be in the corpus: path -> (stamp, fingerprint)."""
        rows = self._rows("SELECT path, stamp, fingerprint FROM evaluation_videos ORDER BY path")
        return {path: (stamp, data) for path, stamp, data in rows}

    def put_evaluation_video(self, path: str, stamp: str, fingerprint: bytes) -> None:
        """Remember an evaluation video."""
        self._transaction([("INSERT OR REPLACE INTO evaluation_videos VALUES (?,?,?)", (path, stamp, fingerprint))])

    def compared(self) -> str:
        """Checksum of what was compared with what last; empty if nothing was."""
        return next((row[0] for row in self._rows("SELECT checksum FROM compared")), "")

    def put_compared(self, rows: Iterable[VideoRow], checksum: str) -> None:
        """Write what a comparison changed, and remember what was compared; all or none."""
        remember = [("DELETE FROM compared", ()), ("INSERT INTO compared VALUES (?)", (checksum,))]
        self._transaction([*(_put_video(row) for row in rows), *remember])

    def table(self, name: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Column names and all rows of one table, in the order of its key."""
        assert name in ("videos", *_OUTCOME_TABLES), name
        with closing(self._connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2")) as cursor:
            return tuple(column[0] for column in cursor.description), cursor.fetchall()

    def _records(self, table: str, record: type[Any], video_id: str) -> list[dict[str, Any]]:
        names = [field.name for field in fields(record)]
        rows = self._rows(f"SELECT {', '.join(names)} FROM {table} WHERE video_id=? ORDER BY number", video_id)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def put(self, rows: Iterable[VideoRow]) -> None:
        """Write videos over what was known of them, their clips and texts left alone; all or none."""
        self._transaction([_put_video(row) for row in rows])

    def finish(self, row: VideoRow, outcome: Outcome | None = None) -> None:
        """Write the outcome of one video, replacing all that was known of it; all or nothing."""
        self.finish_all([(row, outcome)])

    def finish_all(self, outcomes: Iterable[tuple[VideoRow, Outcome | None]]) -> None:
        """As `finish` for several videos; all of them or none."""
        work: list[tuple[str, Sequence[Any]]] = []
        for row, outcome in outcomes:
            work += [(f"DELETE FROM {table} WHERE video_id=?", (row.video_id,)) for table in _OUTCOME_TABLES]
            work += [_put_video(row), *(_put_outcome(row.video_id, outcome) if outcome else ())]
        self._transaction(work)

    def counts(self, video_ids: Collection[str]) -> dict[str, int]:
        """How many rows each table holds of some videos."""
        marks = ",".join("?" * len(video_ids))
        tables = ("videos", *_OUTCOME_TABLES)
        query = f"SELECT count(*) FROM {{}} WHERE video_id IN ({marks})"
        return {table: self._rows(query.format(table), *video_ids)[0][0] for table in tables}

    def remove(self, video_ids: Collection[str]) -> None:
        """Forget videos so that none of their bytes are left, neither in the file nor in its log.

        Raises:
            ValueError: another process reads the manifest, so that its log cannot be emptied.
        """
        try:
            self._connection.execute("PRAGMA secure_delete=ON")
            tables = ("videos", *_OUTCOME_TABLES)
            deletions = [(f"DELETE FROM {table} WHERE video_id=?", (one,)) for table in tables for one in video_ids]
            self._transaction(deletions)
            self._connection.execute("VACUUM")
            busy = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        except sqlite3.OperationalError as error:
            raise ValueError(f"{self._path}: cannot be emptied ({error}); {_LET_GO}") from error
        if busy:
            raise ValueError(f"{self._path}: in use by another process; {_LET_GO}")

    def enter_stage(self, video_ids: Iterable[str], stage: Stage, now: str) -> None:
        """Note that a stage of some videos was begun at `now`, UTC in ISO 8601."""
        update = "UPDATE videos SET stage=?, started_at=CASE WHEN ? THEN ? ELSE started_at END WHERE video_id=?"
        first = stage is Stage.DECODE
        self._transaction([(update, (stage.value, first, now, video_id)) for video_id in video_ids])

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
    values.update(state=row.state.value, stage=row.stage.value)
    marks = ", ".join("?" * len(_COLUMNS))
    return f"INSERT OR REPLACE INTO videos VALUES ({marks})", [values[name] for name in _COLUMNS]


def _put_outcome(video_id: str, outcome: Outcome) -> Iterable[tuple[str, Sequence[Any]]]:
    lists: Mapping[str, Sequence[Sequence[Any]]] = {
        "clips": [
            (one.start_seconds, one.end_seconds, one.narration, json.dumps(one.alternatives, ensure_ascii=False))
            for one in outcome.clips
        ],
        "chapters": [_values(one) for one in outcome.chapters],
        "rejections": [_values(one) for one in outcome.rejections],
        "corrections": [_values(one) for one in outcome.corrections],
        "evidence": [_values(one) for one in outcome.evidence],
        "transcripts": [(json.dumps(asdict(one), ensure_ascii=False),) for one in outcome.transcripts],
    }
    for table, rows in lists.items():
        for number, values in enumerate(rows):
            marks = ",".join("?" * (2 + len(values)))
            yield f"INSERT INTO {table} VALUES ({marks})", (video_id, number, *values)
    if outcome.fingerprint:
        yield "INSERT INTO fingerprints VALUES (?,?)", (video_id, outcome.fingerprint)


def _values(record: Any) -> tuple[Any, ...]:
    found = asdict(record)
    return tuple(str(value) if isinstance(value, Option) else value for value in found.values())


def _video(row: Sequence[Any]) -> VideoRow:
    values = dict(zip(_COLUMNS, row, strict=True))
    values.update(state=State(values["state"]), stage=Stage(values["stage"]))
    for name in ("narrated", "vague_title"):
        values[name] = bool(values[name])
    return VideoRow(**values)


def _transcript(facts: dict[str, Any]) -> Transcript:
    segments = tuple(
        Segment(**{**segment, "words": tuple(Word(**word) for word in segment["words"])})
        for segment in facts["segments"]
    )
    return Transcript(**{**facts, "segments": segments})
