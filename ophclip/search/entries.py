"""What an index knows of a video and of a span of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """What a vector stands for."""

    WINDOW = "window"
    """Every video is cut into windows of one length."""
    CLIP = "clip"
    """The narrated clips of a corpus; silent videos have none."""
    VIDEO = "video"
    """Whole videos."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoEntry:
    """One indexed video; `path` is relative to the index folder."""

    video_id: str
    path: str
    sha256: str
    duration_seconds: float
    title: str
    narrated: bool
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What search can be held to: `license`, `procedure`, `split`, ...; no key without a value."""

    @property
    def license(self) -> str:
        """Empty if nobody says."""
        return ", ".join(self.attributes.get("license", ()))


@dataclass(frozen=True, kw_only=True, slots=True)
class SpanEntry:
    """One indexed span of a video: a window, a clip, or all of it."""

    span_id: str
    video_id: str
    level: Level
    start_seconds: float
    end_seconds: float
    narrations: tuple[str, ...] = ()
    """Of a window the narration of every clip that overlaps it, of a clip its own."""
    number: int = 0
    """By which the catalogue knows it once it is there; never used twice."""
