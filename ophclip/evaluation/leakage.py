"""Whether a result was made on videos that the model was trained on: how it was looked for, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest.options import Option
from ophclip.models.training_record import TrainingRecord

_SHOWN = 5


class Evidence(Option):
    """By what a video is known to be one of those trained on, the strongest first."""

    CONTENT = "content"
    """The same bytes."""
    PICTURES = "pictures"
    """The same recording, picture after picture: coded anew, cropped, mirrored, trimmed."""
    VECTORS = "vectors"
    """The same recording by what changes in a model's vectors: turned or written over as well."""
    NAME = "name"
    """The same file name, which may be chance."""


class Finding(Option):
    """What the search came to."""

    UNSEEN = "unseen"
    """Nothing found, by the ways that were tried."""
    NAMESAKES = "namesakes"
    """File names of the training set, and nothing stronger."""
    SEEN = "seen"
    UNKNOWN = "unknown"
    """Nobody can say: the model does not tell what it was trained on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenVideo:
    """One evaluated video that training saw, or that is called like one."""

    video_id: str
    of: str
    """The training video."""
    evidence: Evidence
    detail: str = ""
    """How much agrees, and how the copy was made; in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leakage:
    """What a result says about this; `seen` has one row a video, by its strongest evidence."""

    finding: Finding = Finding.UNKNOWN
    reason: str = "it was not looked for"
    """Why it is unknown, or why something was not compared."""
    checked_by: tuple[Evidence, ...] = ()
    """Ways in which every evaluated video was compared with every training video."""
    corpus: str = ""
    """Fingerprint of the training corpus."""
    trained_videos: int = 0
    evaluated_videos: int = 0
    seen: tuple[SeenVideo, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """From when on pictures and vectors count as the same recording, by the names of ingest's `duplicates`."""

    @property
    def told(self) -> str:
        """The finding in one line."""
        if self.finding is Finding.UNKNOWN:
            return f"whether the model was trained on these videos is unknown: {self.reason}"
        share = f"{len(self.seen)} of {self.evaluated_videos}"
        if self.finding is Finding.SEEN:
            strong = [one.video_id for one in self.seen if one.evidence is not Evidence.NAME]
            told = f"made on videos that the model was trained on: {_some(strong)}"
            return f"{told} ({len(strong)} of {self.evaluated_videos})"
        if self.finding is Finding.NAMESAKES:
            names = _some([one.video_id for one in self.seen])
            return f"same name, but not known to be the same content as in training: {names} ({share} videos)"
        ways = ", ".join(way.value for way in self.checked_by) or "nothing"
        told = f"none of {self.evaluated_videos} videos is among the {self.trained_videos} trained on, by {ways}"
        return f"{told}; {self.reason}" if self.reason else told

    @property
    def alarm(self) -> str:
        """What a headline must not leave out: that training saw the videos; else empty."""
        return f"; {self.told}" if self.finding is Finding.SEEN else ""

    def to_json(self) -> dict[str, Any]:
        """Plain tree, with the finding in words."""
        return {**_plain(asdict(self)), "told": self.told}


def read_leakage(tree: Mapping[str, Any] | None) -> Leakage:
    """What `to_json` wrote; of results that were written before there was such a field, unknown."""
    if tree is None:
        return Leakage(reason="the result does not say")
    rows = (SeenVideo(**{**row, "evidence": Evidence(row["evidence"])}) for row in tree["seen"])
    given = {name: value for name, value in tree.items() if name != "told"}
    given.update(
        finding=Finding(tree["finding"]),
        checked_by=tuple(Evidence(way) for way in tree["checked_by"]),
        seen=tuple(rows),
    )
    return Leakage(**given)


def look_for_leakage(record: TrainingRecord | None, evaluated: Mapping[str, str]) -> Leakage:
    """Compare names and content of the evaluated videos (id -> SHA-256, empty where there is no file) with a training.

    Content counts as checked only if every video of both sides has a checksum.
    """
    if record is None:
        return Leakage(reason="the model does not say what it was trained on", evaluated_videos=len(evaluated))
    hashed = all(record.videos.values()) and all(evaluated.values())
    return found(
        record,
        evaluated_videos=len(evaluated),
        checked_by=(Evidence.CONTENT, Evidence.NAME) if hashed else (Evidence.NAME,),
        seen=tuple(_same(record, evaluated)),
    )


def found(
    record: TrainingRecord, *, evaluated_videos: int, checked_by: tuple[Evidence, ...], seen: tuple[SeenVideo, ...]
) -> Leakage:
    """The finding that follows from what was seen."""
    finding = Finding.UNSEEN
    if seen:
        named = all(one.evidence is Evidence.NAME for one in seen)
        finding = Finding.NAMESAKES if named else Finding.SEEN
    return Leakage(
        finding=finding,
        reason="",
        checked_by=checked_by,
        corpus=record.corpus,
        trained_videos=len(record.videos),
        evaluated_videos=evaluated_videos,
        seen=seen,
    )


def _same(record: TrainingRecord, evaluated: Mapping[str, str]) -> Iterator[SeenVideo]:
    owners = {sha256: name for name, sha256 in record.videos.items() if sha256}
    for video_id, sha256 in evaluated.items():
        if sha256 in owners:
            yield SeenVideo(video_id=video_id, of=owners[sha256], evidence=Evidence.CONTENT, detail="the same bytes")
        elif video_id in record.videos:
            other = "other bytes" if sha256 and record.videos[video_id] else "content unknown"
            yield SeenVideo(video_id=video_id, of=video_id, evidence=Evidence.NAME, detail=f"the same name, {other}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, Option) else value


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def leakage_of(
    record: TrainingRecord | None, evaluated: Mapping[str, str], files: Mapping[str, Path], trained_on: Path | None
) -> Leakage:
    """Whether training saw video files (id -> SHA-256 and id -> path), by pictures too if its corpus is given.

    Raises:
        ValueError: no corpus there, or a video that cannot be read.
    """
    if trained_on is None:
        return look_for_leakage(record, evaluated)
    from ophclip.evaluation.copies import fingerprints_of_files, look_for_copies  # brings faiss

    return look_for_copies(record, trained_on, evaluated, fingerprints_of_files(files))
