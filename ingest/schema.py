"""The manifest's tables, the same in SQLite and PostgreSQL, and the way from records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from ingest.entries import Outcome, Stage, State, VideoRow
from ingest.options import Option
from ingest.records import Segment, Transcript, Word

TABLES = MetaData()
_WORDS = Text().with_variant(Text(collation="C"), "postgresql")
"""Ordered by code point in both."""
_KINDS: Mapping[str, Any] = {"int": Integer(), "float": Double(), "bool": Boolean()}


def _columns(record: type[Any]) -> list[Column[Any]]:
    kinds = {field.name: str(field.type).removesuffix(" | None") for field in fields(record)}
    return [Column(name, _KINDS.get(kind, _WORDS)) for name, kind in kinds.items()]


VIDEOS = Table(
    "videos", TABLES, *_columns(VideoRow), PrimaryKeyConstraint("video_id"), UniqueConstraint("source_relative")
)


def _listed(name: str, **columns: Any) -> Table:
    """A table of what is kept in order of each video."""
    made = [Column(column, kind) for column, kind in columns.items()]
    return Table(
        name,
        TABLES,
        Column("video_id", _WORDS),
        Column("number", Integer),
        *made,
        PrimaryKeyConstraint("video_id", "number"),
    )


_SPAN: Mapping[str, Any] = {"start_seconds": Double(), "end_seconds": Double()}
CLIPS = _listed("clips", **_SPAN, narration=_WORDS, alternatives=_WORDS)
CHAPTERS = _listed("chapters", **_SPAN, title=_WORDS)
REJECTIONS = _listed("rejections", **_SPAN, text=_WORDS, reason=_WORDS, kind=_WORDS)
CORRECTIONS = _listed("corrections", **_SPAN, before=_WORDS, after=_WORDS, reason=_WORDS)
EVIDENCE = _listed(
    "evidence", attribute=_WORDS, value=_WORDS, origin=_WORDS, quote=_WORDS, start_seconds=_SPAN["start_seconds"]
)
TRANSCRIPTS = _listed("transcripts", transcript=_WORDS)
FINGERPRINTS = Table(
    "fingerprints", TABLES, Column("video_id", _WORDS, primary_key=True), Column("fingerprint", LargeBinary)
)
OUTCOMES = (CLIPS, CHAPTERS, REJECTIONS, CORRECTIONS, EVIDENCE, TRANSCRIPTS, FINGERPRINTS)
EVALUATION_VIDEOS = Table(
    "evaluation_videos",
    TABLES,
    Column("path", _WORDS, primary_key=True),
    Column("stamp", _WORDS),
    Column("fingerprint", LargeBinary),
)
COMPARED = Table("compared", TABLES, Column("checksum", _WORDS))
MATCHES = Table(
    "matches",
    TABLES,
    Column("video_id", _WORDS),
    Column("of", _WORDS),
    Column("score", Double),
    Column("why", _WORDS),
    PrimaryKeyConstraint("video_id", "of", "why"),
)
"""What was found when videos were compared; it stands while both are as they were."""
COMPARED_VIDEOS = Table(
    "compared_videos", TABLES, Column("video_id", _WORDS, primary_key=True), Column("recipe", _WORDS)
)
"""Videos that were compared with each other, and how."""
LEASES = Table(
    "leases",
    TABLES,
    Column("batch", Integer, primary_key=True, autoincrement=False),
    Column("worker", _WORDS),
    Column("expires_at", Double),
    Column("losses", Integer),
    Column("suspects", _WORDS),
)


def video_values(row: VideoRow) -> dict[str, Any]:
    """A video as its row in the table."""
    return {**asdict(row), "state": row.state.value, "stage": row.stage.value}


def video_of(values: Sequence[Any]) -> VideoRow:
    """A row of the table as a video."""
    named = dict(zip(VIDEOS.columns.keys(), values, strict=True))
    named.update(state=State(named["state"]), stage=Stage(named["stage"]))
    return VideoRow(**named)


def outcome_values(video_id: str, outcome: Outcome) -> Iterator[tuple[Table, list[dict[str, Any]]]]:
    """All rows of an outcome, table by table; tables without one are left out."""
    clips = [{**_values(one), "alternatives": _json(one.alternatives)} for one in outcome.clips]
    for clip in clips:
        del clip["video_id"], clip["index"]
    lists: Mapping[Table, list[dict[str, Any]]] = {
        CLIPS: clips,
        CHAPTERS: [_values(one) for one in outcome.chapters],
        REJECTIONS: [_values(one) for one in outcome.rejections],
        CORRECTIONS: [_values(one) for one in outcome.corrections],
        EVIDENCE: [_values(one) for one in outcome.evidence],
        TRANSCRIPTS: [{"transcript": _json(asdict(one))} for one in outcome.transcripts],
    }
    for table, rows in lists.items():
        if rows:
            yield table, [{"video_id": video_id, "number": number, **row} for number, row in enumerate(rows)]
    if outcome.fingerprint:
        yield FINGERPRINTS, [{"video_id": video_id, "fingerprint": outcome.fingerprint}]


def transcript_of(text: str) -> Transcript:
    """A transcript from its JSON."""
    facts = json.loads(text)
    segments = tuple(
        Segment(**{**segment, "words": tuple(Word(**word) for word in segment["words"])})
        for segment in facts["segments"]
    )
    return Transcript(**{**facts, "segments": segments})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _values(record: Any) -> dict[str, Any]:
    found = asdict(record)
    return {name: str(value) if isinstance(value, Option) else value for name, value in found.items()}
