"""Where an ingest stands: what the manifest says of its videos, counted, with an estimate of the time that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.manifest import MANIFEST_NAME, Manifest, State, VideoRow
from ingest.place import has_manifest_at, manifest_place
from ingest.records import REWRITTEN, Refused

_REASON_LETTERS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """Videos of one kind."""

    name: str
    videos: int
    video_seconds: float
    speech_seconds: float
    clips: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewriting:
    """What became of the clips that a language model rewrote."""

    kept: int
    refused: int

    def __str__(self) -> str:
        total = self.kept + self.refused
        return f"{self.kept} of {total} rewrites accepted ({self.kept / total:.0%})" if total else ""


def count_rewriting(manifest: Manifest) -> Rewriting:
    """Count the rewrites over all videos of a corpus."""
    changes = [reason for *_values, reason in manifest.table("corrections")[1]]
    refusals = [kind for *_values, kind in manifest.table("rejections")[1]]
    return Rewriting(
        kept=sum(reason.startswith(REWRITTEN) for reason in changes), refused=refusals.count(Refused.REWRITE.value)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Where an ingest stands."""

    counts: tuple[Count, ...]
    """Narrated, silent, pending by stage, rejected and failed videos; kinds without a video are left out."""
    reasons: tuple[tuple[State, str, int], ...]
    """Why videos were rejected or failed, the most frequent first."""
    rejected_texts: int
    """Sentences and clips that were refused, over all videos."""
    corrected_texts: int
    rewriting: Rewriting
    busy_seconds_per_video: float
    """Of one worker, over the videos that are done; 0.0 if none is."""
    real_time_factor: float
    """Seconds of video that one worker does in a second; 0.0 if none is done."""
    pending: int

    def seconds_left(self, workers: int) -> float | None:
        """For what is pending, if its videos are like those that are done; None without any to go by."""
        return self.pending * self.busy_seconds_per_video / workers if self.busy_seconds_per_video else None


def open_corpus(corpus: Path, *, read_only: bool = False) -> Manifest:
    """The manifest of a corpus that is there. Raises ValueError in one line if there is none."""
    if not has_manifest_at(corpus):
        raise ValueError(f"{corpus}: no {MANIFEST_NAME} here, no corpus: make one with `ophclip ingest SOURCE --out`")
    return Manifest(manifest_place(corpus), read_only=read_only)


def read_status(corpus: Path) -> Status:
    """Count what the manifest of `corpus` says. Raises ValueError in one line if there is none."""
    with open_corpus(corpus) as manifest:
        rows = manifest.videos()
        rejected = len(manifest.table("rejections")[1])
        corrected = len(manifest.table("corrections")[1])
        rewriting = count_rewriting(manifest)
    done = [row for row in rows if row.state is State.DONE]
    busy = sum(row.decode_seconds + row.asr_seconds + row.write_seconds for row in done)
    return Status(
        counts=_counts(rows),
        reasons=_reasons(rows),
        rejected_texts=rejected,
        corrected_texts=corrected,
        rewriting=rewriting,
        busy_seconds_per_video=busy / len(done) if done else 0.0,
        real_time_factor=sum(row.duration_seconds for row in done) / busy if busy else 0.0,
        pending=sum(row.state is State.PENDING for row in rows),
    )


def _counts(rows: Sequence[VideoRow]) -> tuple[Count, ...]:
    groups: dict[str, list[VideoRow]] = {}
    for row in sorted(rows, key=_order):
        groups.setdefault(_kind(row), []).append(row)
    return tuple(
        Count(
            name=name,
            videos=len(group),
            video_seconds=sum(row.duration_seconds for row in group),
            speech_seconds=sum(row.speech_seconds for row in group),
            clips=sum(row.clips for row in group),
        )
        for name, group in groups.items()
    )


def _order(row: VideoRow) -> tuple[int, bool, str]:
    states = (State.DONE, State.PENDING, State.REJECTED, State.FAILED)
    return states.index(row.state), not row.narrated, row.stage.value


def _kind(row: VideoRow) -> str:
    if row.state is State.DONE:
        return "narrated" if row.narrated else "silent"
    return f"pending ({row.stage.value})" if row.state is State.PENDING else row.state.value


def _reasons(rows: Sequence[VideoRow]) -> tuple[tuple[State, str, int], ...]:
    told = Counter(
        (row.state, row.reason[:_REASON_LETTERS]) for row in rows if row.state in (State.REJECTED, State.FAILED)
    )
    return tuple((state, reason, count) for (state, reason), count in told.most_common())
