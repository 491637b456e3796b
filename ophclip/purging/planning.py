"""Looks everywhere for a video before anything is removed."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ingest.removal import Held, find_held
from ophclip.evaluation.embedding_folder import is_embedding_folder
from ophclip.models.description import WEIGHTS_NAME
from ophclip.purging.indices import Indexed, find_indexed
from ophclip.purging.plan import Folders, Plan, Signed
from ophclip.purging.scan import leftovers, piece_of
from ophclip.purging.trainings import bank_rows, names_in, recorded, seen_in

_CACHE_LETTERS = 32
"""Of a content's hash, by which caches name what was made of a file."""


def make_plan(video_id: str, folders: Folders, *, by: str, reason: str) -> Plan | None:
    """What a purge of `video_id` would do; None where nothing is to be removed. Nothing is changed.

    Raises:
        ValueError: a folder is not what it should be.
    """
    corpus = Path(folders.corpus) if folders.corpus else None
    held = find_held(corpus, video_id) if corpus else None
    video_ids, contents = {video_id, *(held.video_ids if held else ())}, set(held.contents if held else ())
    indexed: dict[str, Indexed] = {}
    for folder in folders.indices:
        found = find_indexed(Path(folder), video_ids, contents)
        video_ids, contents = video_ids | found.video_ids, contents | found.contents
        indexed[folder] = found
    records = [one for folder in folders.runs for one in recorded(Path(folder))]
    for _, record in records:
        contents |= {record.videos[name] for name in names_in(record, video_ids, contents)} - {""}
    named = [(folder, record) for folder, record in records if names_in(record, video_ids, contents)]
    cached = sorted(_cached(folders, contents, held))
    places = map(Path, folders.results)
    results = {one.path.parent for one in leftovers(places, [*video_ids, *contents], (), (), skipped=cached)}
    if not (held or named or cached or any(one.video_ids for one in indexed.values())):
        return None
    told = {folder for folder, _ in records}
    return Plan(
        purge=uuid.uuid4().hex,
        video_id=video_id,
        signed=Signed(by=by, reason=reason, at=datetime.now(UTC).isoformat(timespec="seconds")),
        folders=folders,
        video_ids=tuple(sorted(video_ids)),
        contents=tuple(sorted(contents)),
        held=held,
        windows={folder: one.windows for folder, one in indexed.items() if one.video_ids},
        cached=tuple(map(str, cached)),
        records=tuple(str(folder) for folder, _ in named),
        seen=tuple(seen_in(folder, record) for folder, record in named),
        silent=tuple(str(folder) for folder in _silent(folders.runs, told)),
        bank_rows=tuple(row for folder, _ in named for row in bank_rows(folder, corpus, video_ids)),
        results=tuple(sorted(map(str, results))),
        texts=tuple(sorted(_texts(held, indexed.values()))),
        pictures=tuple(
            sorted({piece.hex() for one in indexed.values() for piece in map(piece_of, one.thumbnails) if piece})
        ),
    )


def _texts(held: Held | None, indexed: Collection[Indexed]) -> Iterator[str]:
    """Sentences of the video that stand nowhere else."""
    rest = "\n".join(text for one in indexed for text in one.other_texts)
    own = held.texts if held else {text for one in indexed for text in one.texts if len(text.split()) > 2}
    return (text for text in own if text not in rest)


def _cached(folders: Folders, contents: Collection[str], held: Held | None) -> Iterator[Path]:
    """Vectors and pictures made of the file, in caches and results, and cached tars that hold its samples."""
    starts = tuple({sha256[:_CACHE_LETTERS] for sha256 in contents} | set(held.shards.values() if held else ()))
    for folder in (*folders.caches, *folders.results):
        found = Path(folder)
        if starts:
            yield from (path for path in found.rglob("*") if path.name.startswith(starts) and path.is_file())
        if is_embedding_folder(found):
            yield from (path for path in found.rglob("*.npz") if _vectors_of(path) in contents)


def _vectors_of(path: Path) -> str:
    """SHA-256 of the file whose vectors these are; empty where they do not say."""
    with np.load(path, allow_pickle=False) as arrays:
        return str(arrays["video_sha256"]) if "video_sha256" in arrays else ""


def _silent(runs: Sequence[str], told: Collection[Path]) -> Iterator[Path]:
    """Folders with weights that do not say what they were trained on."""
    for path in (path for run in runs for path in sorted(Path(run).rglob(WEIGHTS_NAME))):
        if path.parent not in told and path.parent.parent not in told:
            yield path.parent
