"""Videos that must not be in the corpus although they can be used: repeats of others, and videos of evaluation sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.config import IngestConfig
from ingest.manifest import Manifest, State, VideoRow
from ingest.media import scan
from ingest.media.confine import memory_bounded
from ingest.pictures import duplicates
from ingest.pictures.agreement import Match
from ingest.pictures.duplicates import matches
from ingest.pictures.fingerprint import MAGIC, Embedder, Fingerprint, Marks, build_embedder, marking
from ingest.pool import Crash, Note, Tell, run_pool
from ingest.sources import SourceError, SourceFile, local_copy

_REPEAT, _EVALUATION = "repeats", "evaluation video"
_SHORT_SIDE_PX, _TIMES_DENSER = 256, 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """A video's fingerprint, or why it has none."""

    fingerprint: bytes
    reason: str = ""


class MarkStage:
    """Takes the fingerprint of a video, more densely than a corpus is sampled: a copy begins anywhere."""

    def __init__(self, config: IngestConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._embedder = build_embedder(config.duplicates)

    def __call__(self, file: SourceFile, tell: Tell) -> Marked:
        """A video that cannot be read has no fingerprint, and the reason is told."""
        try:
            with local_copy(file, self._folder) as path:
                found = dense_fingerprint(path, self._config, self._embedder, tell)
        except (SourceError, ValueError) as error:
            return Marked(fingerprint=b"", reason=str(error))
        return Marked(fingerprint=found.to_bytes())


def dense_fingerprint(
    path: Path, config: IngestConfig, embedder: Embedder | None = None, tell: Callable[[float], None] | None = None
) -> Fingerprint:
    """The fingerprint of a video that may be a copy: more densely than a corpus is sampled, since it begins anywhere.

    `tell` hears how far it has come, in seconds. Raises ValueError in one line if the video cannot be read.
    """
    marks = Marks(embedder)

    def keep(second: float, pixels_hwc: NDArray[np.uint8]) -> None:
        if tell is not None:
            tell(second)
        marks.add(second, pixels_hwc)

    fps, reader = _TIMES_DENSER * config.shards.fps, config.reader
    with memory_bounded(config.limits):
        scan(
            path,
            keep,
            fps=fps,
            short_side_px=_SHORT_SIDE_PX,
            reader=reader,
            limits=config.limits,
            on_glance=marks.glance,
        )
    return marks.finish()


def mark_evaluation_videos(
    against: Sequence[SourceFile], manifest: Manifest, corpus: Path, config: IngestConfig, workers: int
) -> dict[str, bytes]:
    """Fingerprints of the evaluation videos `against`, by path; those that are known are not read again.

    Raises ValueError in one line if one cannot be read: a guard with a hole would be worse than none.
    """
    files = {file.location: file for file in against}
    known = manifest.evaluation_videos()
    new = [file for path, file in files.items() if known.get(path, ("", b""))[0] != _stamp(file, config)]
    build = partial(MarkStage, config, corpus / "staging")
    news = run_pool(build, new, workers=workers, tasks_per_worker=500, stall_seconds=config.stall_seconds)
    for file, marked in news:
        if isinstance(marked, Note):
            continue
        if isinstance(marked, Crash) or not marked.fingerprint:
            raise ValueError(f"against: {file.location}: {marked.reason}: mend this evaluation video or take it out")
        manifest.put_evaluation_video(file.location, _stamp(file, config), marked.fingerprint)
    return {path: data for path, (_stamp, data) in manifest.evaluation_videos().items() if path in files}


def _stamp(file: SourceFile, config: IngestConfig) -> str:
    return f"{file.stamp} {marking(config.duplicates)} {config.shards.fps:g}"


class StoredFingerprints(Mapping[str, Fingerprint]):
    """Fingerprints that are read when they are asked for: those of ten thousand videos are gigabytes."""

    def __init__(self, manifest: Manifest, video_ids: Sequence[str]) -> None:
        self._video_ids = dict.fromkeys(video_ids)
        self._read = lru_cache(maxsize=64)(lambda video_id: Fingerprint.from_bytes(manifest.fingerprint(video_id)))

    def __getitem__(self, video_id: str) -> Fingerprint:
        if video_id not in self._video_ids:
            raise KeyError(video_id)
        return self._read(video_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._video_ids)

    def __len__(self) -> int:
        return len(self._video_ids)


def refuse_repeats(manifest: Manifest, evaluation: Mapping[str, bytes], config: IngestConfig) -> list[VideoRow]:
    """Enter which videos repeat others or evaluation videos, and return those that do so no longer.

    Of repeats a narrated video is kept before a silent one, then the longer one, then the first by id: the answer
    follows from the videos alone, not from the order in which they came. Where nothing is new since the last time, nor
    any option or evaluation video, nothing is compared.
    """
    marked = set(manifest.fingerprinted(MAGIC))
    rows = [row for row in manifest.videos() if row.video_id in marked and _in_question(row)]
    if manifest.compared() == _checksum(rows, evaluation, config):
        return []
    rows.sort(key=lambda row: (not row.narrated, -row.duration_seconds, row.video_id))
    reasons = _reasons(manifest, [row.video_id for row in rows], evaluation, config)
    refused = [
        replace(row, state=State.REJECTED, reason=reasons[row.video_id]) for row in rows if row.video_id in reasons
    ]
    back = [
        replace(row, state=State.PENDING, reason="", batch=0)
        for row in rows
        if row.video_id not in reasons and row.state is State.REJECTED
    ]
    after = {row.video_id: row for row in [*rows, *refused, *back]}
    left = [row for row in after.values() if row.state is not State.PENDING]
    manifest.put_compared([*refused, *back], _checksum(left, evaluation, config))
    return back


def _checksum(rows: Sequence[VideoRow], evaluation: Mapping[str, bytes], config: IngestConfig) -> str:
    """Of all that repeats follow from. Whatever is told of a video changes when its fingerprint does."""
    digest = hashlib.sha256(repr((MAGIC, asdict(config.duplicates))).encode())
    for row in sorted(rows, key=lambda row: row.video_id):
        digest.update(repr(row).encode())
    for path, data in sorted(evaluation.items()):
        digest.update(path.encode() + hashlib.sha256(data).digest())
    return digest.hexdigest()


def _in_question(row: VideoRow) -> bool:
    refused = row.state is State.REJECTED and row.reason.startswith((_REPEAT, _EVALUATION))
    return row.state is State.DONE or refused


def _reasons(
    manifest: Manifest, video_ids: Sequence[str], evaluation: Mapping[str, bytes], config: IngestConfig
) -> dict[str, str]:
    mine = StoredFingerprints(manifest, video_ids)
    references = {path: Fingerprint.from_bytes(data) for path, data in evaluation.items()}
    leaked = {one.video_id: one for one in duplicates.against(mine, references, config.duplicates)}
    rest = [video_id for video_id in video_ids if video_id not in leaked]
    found = duplicates.repeated(rest, _matches(manifest, rest, config)) if config.duplicates.enabled else ()
    repeated = {one.video_id: one for one in found}
    told = {video_id: f"{_EVALUATION} {_shown(one)}" for video_id, one in leaked.items()}
    return told | {video_id: f"{_REPEAT} {_shown(one)}" for video_id, one in repeated.items()}


def _matches(manifest: Manifest, video_ids: Sequence[str], config: IngestConfig) -> list[Match]:
    """Pairs of videos that show one recording; pairs that were compared before are taken from the manifest."""
    recipe = _recipe(config)
    compared, stored = manifest.matches(recipe)
    wanted = set(video_ids)
    known = [Match(video_id=one, of=of, score=score, why=why) for one, of, score, why in stored]
    found = [match for match in known if {match.video_id, match.of} <= wanted]
    if news := [video_id for video_id in video_ids if video_id not in compared]:
        all_of_them = StoredFingerprints(manifest, video_ids)
        found += matches(all_of_them, StoredFingerprints(manifest, news), config.duplicates)
    rows = [(match.video_id, match.of, match.score, match.why) for match in found]
    manifest.put_matches(video_ids, rows, recipe)
    return found


def _recipe(config: IngestConfig) -> str:
    """Of all that matches follow from besides the videos."""
    return hashlib.sha256(repr((MAGIC, asdict(config.duplicates))).encode()).hexdigest()


def _shown(match: Match) -> str:
    return f"{match.of} ({match.score:.0%} of the pictures, {match.why})"
