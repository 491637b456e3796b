"""What is kept of a video: where it stands, what is known of it, and all that the work on it found."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.options import Option
from ingest.records import Chapter, Clip, Correction, Evidence, Rejection, Transcript


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
