"""Copies of training videos among those that are evaluated, whatever they are called and however they were coded.

The training corpus keeps a fingerprint of each of its videos, with vectors too if `duplicates.model` was on when it was
made; how two are compared, and why so, stands in `ingest.pictures.duplicates`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ingest.config import IngestConfig
from ingest.config.pictures import DuplicatesConfig
from ingest.manifest import Manifest, State
from ingest.pictures.agreement import Match
from ingest.pictures.duplicates import against
from ingest.pictures.fingerprint import LITE, MAGIC, Fingerprint, build_embedder
from ingest.repeats import StoredFingerprints, dense_fingerprint
from ingest.shards import ShardReader
from ingest.status import open_corpus
from ophclip.evaluation.leakage import Evidence, Leakage, SeenVideo, found, look_for_leakage
from ophclip.models.training_record import TrainingRecord

Fingerprints: TypeAlias = Callable[[str], Mapping[str, Fingerprint]]
"""From the model whose vectors are wanted, or none, to the fingerprints of the evaluated videos."""
_LITE_WIDTH = 80
_EVALUATED = "evaluated/"
"""Stands before the ids of evaluated videos while they are compared: a copy may have the name of its original."""
_STRONGEST = tuple(Evidence)


def look_for_copies(
    record: TrainingRecord | None, trained_on: Path, evaluated: Mapping[str, str], fingerprints: Fingerprints
) -> Leakage:
    """Compare evaluated videos (id -> SHA-256) with a training corpus by name, content, pictures and vectors.

    Pictures and vectors count as checked only if every training video of the bundle's record has them in the corpus;
    where the bundle has no record, the corpus is taken for what it was trained on.

    Raises:
        ValueError: no corpus there, or an evaluated video that cannot be read.
    """
    with open_corpus(trained_on, read_only=True) as manifest:
        rows = {row.video_id: row for row in manifest.videos() if row.state is State.DONE}
        hashes = {video_id: row.sha256 for video_id, row in rows.items()}
        if record is None:
            record = TrainingRecord(corpus=ShardReader(trained_on).fingerprint, videos=hashes)
        marked = StoredFingerprints(manifest, [name for name in manifest.fingerprinted(MAGIC) if name in rows])
        config = DuplicatesConfig()
        config.model = LITE if _has_vectors(marked.values()) else ""
        mine = fingerprints(config.model)
        apart = {_EVALUATED + name: mark for name, mark in mine.items()}
        copies = [_seen(match) for match in against(apart, marked, config)]
        covered = set(record.videos.values()) <= {hashes[name] for name in marked}
        vectors = covered and bool(config.model) and _has_vectors(marked.values(), every=True)
    plain = look_for_leakage(record, evaluated)
    best: dict[str, SeenVideo] = {}
    for one in sorted((*plain.seen, *copies), key=lambda one: _STRONGEST.index(one.evidence)):
        best.setdefault(one.video_id, one)
    long = all(mark.seconds[-1] - mark.seconds[0] >= config.min_changing_seconds for mark in mine.values() if len(mark))
    many = all(len(mark) >= config.min_pictures for mark in mine.values())
    ways = {
        Evidence.CONTENT: Evidence.CONTENT in plain.checked_by,
        Evidence.PICTURES: covered and many,
        Evidence.VECTORS: vectors and long and many,
        Evidence.NAME: True,
    }
    leakage = found(
        record,
        evaluated_videos=len(evaluated),
        checked_by=tuple(way for way, done in ways.items() if done),
        seen=tuple(best[video_id] for video_id in evaluated if video_id in best),
    )
    thresholds = {
        "max_distance": float(config.max_distance),
        "min_share": config.min_share,
        "min_similarity": config.min_similarity,
    }
    reason = _without_vectors(trained_on, vectors) if ways[Evidence.PICTURES] else _why_not(trained_on, covered)
    return replace(leakage, thresholds=thresholds, reason="" if ways[Evidence.VECTORS] else reason)


def _why_not(trained_on: Path, covered: bool) -> str:
    if covered:
        return "pictures were not all compared: a video is too short"
    return f"pictures were not all compared: {trained_on} lacks fingerprints of training videos; ingest it again"


def _without_vectors(trained_on: Path, stored: bool) -> str:
    """What vectors find and pictures do not: a copy that was turned or written over."""
    if stored:
        return "vectors were not compared: a video changes for too short a time"
    return f"vectors were not compared: {trained_on} has none; ingest it again with duplicates.model={LITE}"


def fingerprints_of_files(files: Mapping[str, Path]) -> Fingerprints:
    """Those of video files by id, decoded for it."""

    def made(model: str) -> Mapping[str, Fingerprint]:
        config = IngestConfig()
        config.duplicates.model = model
        embedder = build_embedder(config.duplicates)
        return {video_id: dense_fingerprint(path, config, embedder) for video_id, path in files.items()}

    return made


def fingerprints_of_corpus(manifest: Manifest, video_ids: Iterable[str]) -> Fingerprints:
    """Those that a corpus keeps of its own videos, with the vectors that it has."""
    marked = set(manifest.fingerprinted(MAGIC))
    stored = StoredFingerprints(manifest, [video_id for video_id in video_ids if video_id in marked])
    return lambda _model: stored


def _has_vectors(marks: Iterable[Fingerprint], *, every: bool = False) -> bool:
    widths = (mark.vectors.shape[1] == _LITE_WIDTH for mark in marks if len(mark))
    return all(widths) if every else any(widths)


def _seen(match: Match) -> SeenVideo:
    evidence = Evidence.VECTORS if match.why.startswith("alike to the model") else Evidence.PICTURES
    detail = f"{match.score:.0%} of the pictures, {match.why}"
    return SeenVideo(video_id=match.video_id.removeprefix(_EVALUATED), of=match.of, evidence=evidence, detail=detail)
