"""The state of every video: the truth from which ingest resumes, and the provenance of what training sees.

It lies in SQLite, or in PostgreSQL where many machines write. Each video's outcome is one transaction, so that a kill
leaves either all of it or nothing. Who works on a batch holds a lease on it, and nobody else enters what became of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Delete, Table, and_, bindparam, delete, func, insert, or_, select, update

from ingest.database import Database
from ingest.entries import Outcome, Stage, State, VideoRow
from ingest.records import Chapter, Clip, Correction, Evidence, Refused, Rejection, Transcript
from ingest.schema import (
    CHAPTERS,
    CLIPS,
    COMPARED,
    COMPARED_VIDEOS,
    CORRECTIONS,
    EVALUATION_VIDEOS,
    EVIDENCE,
    FINGERPRINTS,
    LEASES,
    MATCHES,
    OUTCOMES,
    REJECTIONS,
    TRANSCRIPTS,
    VIDEOS,
    outcome_values,
    transcript_of,
    video_of,
    video_values,
)

__all__ = ["MANIFEST_NAME", "Lease", "Manifest", "Outcome", "Stage", "State", "VideoRow"]

MANIFEST_NAME = "manifest.sqlite"
_SAME = or_(VIDEOS.c.video_id == bindparam("given_id"), VIDEOS.c.source_relative == bindparam("given_source"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right of one worker to do a batch, until it expires without having been renewed."""

    batch: int
    worker: str
    seconds: float
    """How long it holds from each renewal."""
    losses: int
    """So many workers before this one let it expire."""
    suspects: tuple[str, ...]
    """The videos that the last of those was at; empty if that is not known."""
    rows: tuple[VideoRow, ...]
    """What is pending of the batch, as it stood when the lease was taken."""


class Manifest:
    """The manifest of one corpus. Use as a context manager, or call `close`."""

    def __init__(self, place: Path | str, *, read_only: bool = False) -> None:
        """Open or make a file, or the tables in a database `postgresql+pg8000://USER@HOST/DATABASE`.

        `read_only` leaves file and folder as they are, and they may be write-protected.
        Raises ValueError in one line if it is no manifest of this version, or its server cannot be used.
        """
        self._database = Database(place, read_only=read_only)

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; a file's write-ahead log is folded in."""
        self._database.close()

    def videos(self) -> list[VideoRow]:
        """All videos, by id."""
        return [video_of(row) for row in self._database.rows(select(VIDEOS).order_by(VIDEOS.c.video_id))]

    def video(self, video_id: str) -> VideoRow:
        """One video, which is there."""
        (row,) = self._database.rows(select(VIDEOS).where(VIDEOS.c.video_id == video_id))
        return video_of(row)

    def clips(self, video_id: str) -> list[Clip]:
        """The clips of one video, in order."""
        query = select(CLIPS).where(CLIPS.c.video_id == video_id).order_by(CLIPS.c.number)
        names = ("video_id", "index", "start_seconds", "end_seconds", "narration")
        return [
            Clip(**dict(zip(names, row[:-1], strict=True)), alternatives=tuple(json.loads(row[-1])))
            for row in self._database.rows(query)
        ]

    def chapters(self, video_id: str) -> list[Chapter]:
        """The named spans of one video, in order."""
        return [Chapter(**one) for one in self._records(CHAPTERS, Chapter, video_id)]

    def rejections(self, video_id: str) -> list[Rejection]:
        """What was heard in one video and refused, in order."""
        found = self._records(REJECTIONS, Rejection, video_id)
        return [Rejection(**{**one, "kind": Refused(one["kind"])}) for one in found]

    def corrections(self, video_id: str) -> list[Correction]:
        """What was changed in the words of one video, in order."""
        return [Correction(**one) for one in self._records(CORRECTIONS, Correction, video_id)]

    def evidence(self, video_id: str) -> list[Evidence]:
        """What the structured title of one video rests on."""
        return [Evidence(**one) for one in self._records(EVIDENCE, Evidence, video_id)]

    def transcripts(self, video_id: str) -> list[Transcript]:
        """What was heard in one video before the gates; first the one that its clips were cut from."""
        mine = TRANSCRIPTS.c.video_id == video_id
        rows = self._database.rows(select(TRANSCRIPTS.c.transcript).where(mine).order_by(TRANSCRIPTS.c.number))
        return [transcript_of(row[0]) for row in rows]

    def fingerprinted(self, magic: bytes) -> list[str]:
        """The videos whose fingerprint begins with `magic`, in order."""
        begins = func.substr(FINGERPRINTS.c.fingerprint, 1, len(magic)) == magic
        query = select(FINGERPRINTS.c.video_id).where(begins).order_by(FINGERPRINTS.c.video_id)
        return [row[0] for row in self._database.rows(query)]

    def fingerprint(self, video_id: str) -> bytes:
        """Of one video; empty if it has none."""
        rows = self._database.rows(select(FINGERPRINTS.c.fingerprint).where(FINGERPRINTS.c.video_id == video_id))
        return next((bytes(row[0]) for row in rows), b"")

    def evaluation_videos(self) -> dict[str, tuple[str, bytes]]:
        """Videos that must not be in the corpus: path -> (stamp, fingerprint)."""
        rows = self._database.rows(select(EVALUATION_VIDEOS).order_by(EVALUATION_VIDEOS.c.path))
        return {path: (stamp, bytes(data)) for path, stamp, data in rows}

    def put_evaluation_video(self, path: str, stamp: str, fingerprint: bytes) -> None:
        """Remember an evaluation video."""
        with self._database.writing() as connection:
            connection.execute(delete(EVALUATION_VIDEOS).where(EVALUATION_VIDEOS.c.path == path))
            values = {"path": path, "stamp": stamp, "fingerprint": fingerprint}
            connection.execute(insert(EVALUATION_VIDEOS), values)

    def compared(self) -> str:
        """Checksum of what was compared with what last; empty if nothing was."""
        return next((row[0] for row in self._database.rows(select(COMPARED.c.checksum))), "")

    def put_compared(self, rows: Iterable[VideoRow], checksum: str) -> None:
        """Write what a comparison changed, and remember what was compared; all or none."""
        with self._database.writing() as connection:
            _put(connection, rows)
            connection.execute(delete(COMPARED))
            connection.execute(insert(COMPARED), {"checksum": checksum})

    def matches(self, recipe: str) -> tuple[frozenset[str], list[tuple[str, str, float, str]]]:
        """Videos that were compared with each other by a recipe and are as they were then, and what was found.

        A match is a video, the one that it matches, its score and why.
        """
        query = select(COMPARED_VIDEOS.c.video_id).where(COMPARED_VIDEOS.c.recipe == recipe)
        known = frozenset(row[0] for row in self._database.rows(query))
        found = self._database.rows(select(MATCHES).order_by(*MATCHES.primary_key.columns))
        return known, [(one, of, score, why) for one, of, score, why in found if one in known and of in known]

    def put_matches(self, video_ids: Iterable[str], found: Iterable[tuple[str, str, float, str]], recipe: str) -> None:
        """Remember all that was found among these videos, in the place of what was known; all or none."""
        with self._database.writing() as connection:
            connection.execute(delete(MATCHES))
            connection.execute(delete(COMPARED_VIDEOS))
            if compared := [{"video_id": video_id, "recipe": recipe} for video_id in video_ids]:
                connection.execute(insert(COMPARED_VIDEOS), compared)
            if rows := [
                {"video_id": one, "of": of, "score": score, "why": why} for one, of, score, why in sorted(set(found))
            ]:
                connection.execute(insert(MATCHES), rows)

    def table(self, name: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Column names and all rows of one table, in the order of its key."""
        (table,) = (one for one in (VIDEOS, *OUTCOMES) if one.name == name)
        rows = self._database.rows(select(table).order_by(*table.primary_key.columns))
        return tuple(table.columns.keys()), rows

    def _records(self, table: Table, record: type[Any], video_id: str) -> list[dict[str, Any]]:
        names = [field.name for field in fields(record)]
        columns = [table.c[name] for name in names]
        rows = self._database.rows(select(*columns).where(table.c.video_id == video_id).order_by(table.c.number))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def put(self, rows: Iterable[VideoRow]) -> None:
        """Write videos over what was known of them, their clips and texts left alone; all or none."""
        with self._database.writing() as connection:
            _put(connection, rows)

    def finish(self, row: VideoRow, outcome: Outcome | None = None, lease: Lease | None = None) -> bool:
        """Write the outcome of one video, replacing all that was known of it; all or nothing."""
        return self.finish_all([(row, outcome)], lease)

    def finish_all(self, outcomes: Iterable[tuple[VideoRow, Outcome | None]], lease: Lease | None = None) -> bool:
        """As `finish` for several videos; all of them or none.

        With a lease, which ends by it, only while it is held and its videos are as they were: returns whether so.
        """
        with self._database.writing() as connection:
            if not _ended(connection, lease):
                return False
            for row, outcome in outcomes:
                for table in OUTCOMES:
                    connection.execute(delete(table).where(table.c.video_id == row.video_id))
                for forgotten in _compared_with([row.video_id]):
                    connection.execute(forgotten)
                _put(connection, [row])
                for table, values in outcome_values(row.video_id, outcome) if outcome else ():
                    connection.execute(insert(table), values)
            return True

    def counts(self, video_ids: Collection[str]) -> dict[str, int]:
        """How many rows each table holds of some videos."""
        queries = {
            table.name: select(func.count()).select_from(table).where(table.c.video_id.in_(video_ids))
            for table in (VIDEOS, *OUTCOMES)
        }
        return {name: self._database.rows(query)[0][0] for name, query in queries.items()}

    def remove(self, video_ids: Collection[str]) -> None:
        """Forget videos so that none of their bytes are left, neither in the file nor in its log.

        Raises:
            ValueError: another process reads the manifest, so that its log cannot be emptied.
        """
        outcomes = [delete(table).where(table.c.video_id.in_(video_ids)) for table in (VIDEOS, *OUTCOMES)]
        self._database.wipe([*outcomes, *_compared_with(video_ids)])

    def enter_stage(self, video_ids: Sequence[str], stage: Stage, now: str, lease: Lease | None = None) -> bool:
        """Note that a stage of some videos was begun at `now`, UTC in ISO 8601.

        With a lease, which is renewed by it, only while it is held; returns whether it was.
        """
        values = {"stage": stage.value, **({"started_at": now} if stage is Stage.DECODE else {})}
        with self._database.writing() as connection:
            if lease is not None:
                kept = {"expires_at": self._database.now() + lease.seconds, "suspects": json.dumps(video_ids)}
                if not connection.execute(update(LEASES).where(_is(lease)).values(kept)).rowcount:
                    return False
            connection.execute(update(VIDEOS).where(VIDEOS.c.video_id.in_(video_ids)).values(values))
            return True

    def claim(self, batches: Iterable[int], worker: str, seconds: float, recipe: str) -> Lease | None:
        """Take the first batch that has something pending of this recipe and is not leased to somebody else.

        A lease that expired is taken over, and so is one under the same name: a worker that was started again goes on.
        """
        with self._database.writing() as connection:
            now = connection.execute(select(self._database.now())).scalar_one()
            held = {one.batch: one for one in connection.execute(select(LEASES))}
            wanted = and_(VIDEOS.c.state == State.PENDING.value, VIDEOS.c.recipe == recipe)
            pending = set(connection.scalars(select(VIDEOS.c.batch).where(wanted).distinct()))
            for batch in batches:
                last = held.get(batch)
                if batch not in pending or (last and last.worker != worker and last.expires_at > now):
                    continue
                lost = bool(last and last.worker != worker)
                lease = Lease(
                    batch=batch,
                    worker=worker,
                    seconds=seconds,
                    losses=last.losses + lost if last else 0,
                    suspects=tuple(json.loads(last.suspects)) if last else (),
                    rows=_rows(connection, batch, recipe),
                )
                connection.execute(delete(LEASES).where(LEASES.c.batch == batch))
                connection.execute(insert(LEASES), _lease_values(lease, now + seconds))
                return lease
            return None

    def part(self, lease: Lease, video_ids: Iterable[str]) -> bool:
        """Give each of some videos of a batch a batch of its own, after all others.

        The lease ends by it; nothing is changed where it is not held: returns whether it was.
        """
        with self._database.writing() as connection:
            if not _ended(connection, lease):
                return False
            last = connection.execute(select(func.max(VIDEOS.c.batch))).scalar_one()
            for number, video_id in enumerate(video_ids, last + 1):
                connection.execute(update(VIDEOS).where(VIDEOS.c.video_id == video_id).values(batch=number))
            return True

    def leased(self) -> frozenset[int]:
        """Batches that somebody holds now."""
        rows = self._database.rows(select(LEASES.c.batch).where(LEASES.c.expires_at > self._database.now()))
        return frozenset(row[0] for row in rows)

    def release(self, worker: str) -> None:
        """Give up all that a worker holds."""
        with self._database.writing() as connection:
            connection.execute(delete(LEASES).where(LEASES.c.worker == worker))


def _compared_with(video_ids: Collection[str]) -> list[Delete]:
    """What takes all that was found of some videos away."""
    told = or_(MATCHES.c.video_id.in_(video_ids), MATCHES.c.of.in_(video_ids))
    return [delete(MATCHES).where(told), delete(COMPARED_VIDEOS).where(COMPARED_VIDEOS.c.video_id.in_(video_ids))]


def _put(connection: Connection, rows: Iterable[VideoRow]) -> None:
    values = [video_values(row) for row in rows]
    if values:
        names = [{"given_id": one["video_id"], "given_source": one["source_relative"]} for one in values]
        connection.execute(delete(VIDEOS).where(_SAME), names)
        connection.execute(insert(VIDEOS), values)


def _ended(connection: Connection, lease: Lease | None) -> bool:
    """End a lease that is held, its videos as they were; False where it is not, and nothing then may be entered."""
    if lease is None:
        return True
    if not connection.execute(delete(LEASES).where(_is(lease))).rowcount:
        return False
    found = {row.video_id: _identity(row) for row in _rows(connection, lease.batch)}
    return all(found.get(row.video_id) == _identity(row) for row in lease.rows)


def _is(lease: Lease) -> Any:
    return and_(LEASES.c.batch == lease.batch, LEASES.c.worker == lease.worker)


def _identity(row: VideoRow) -> tuple[str, str]:
    return row.recipe, row.stamp


def _rows(connection: Connection, batch: int, recipe: str | None = None) -> tuple[VideoRow, ...]:
    pending = and_(VIDEOS.c.batch == batch, VIDEOS.c.state == State.PENDING.value)
    found = connection.execute(select(VIDEOS).where(pending).order_by(VIDEOS.c.video_id))
    rows = (video_of(tuple(row)) for row in found)
    return tuple(row for row in rows if recipe is None or row.recipe == recipe)


def _lease_values(lease: Lease, expires_at: float) -> dict[str, Any]:
    return {
        "batch": lease.batch,
        "worker": lease.worker,
        "expires_at": expires_at,
        "losses": lease.losses,
        "suspects": json.dumps(lease.suspects),
    }
