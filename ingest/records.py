"""The records that travel through ingest: plain, frozen, torch-free. Seconds are presentation seconds, as float."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ingest.options import Option

SAMPLE_RATE_HZ = 16_000
"""Of all sound in ingest: what Whisper and Silero listen to."""

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".mxf", ".ogv"),
    *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".m2v", ".h264"),
)
"""Endings by which a video file is known in a folder: of players, cameras, discs and recorders of theatres."""


class Level(StrEnum):
    """Levels of text: clip and whole video, which OphCLIP trains on (paper section 3.2), and phases between them."""

    CLIP = "clip"
    PHASE = "phase"
    VIDEO = "video"


class Refused(Option):
    """What was refused."""

    SENTENCE = "sentence"
    CLIP = "clip"
    REWRITE = "rewrite"


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One spoken word with its place on the video's clock."""

    start_seconds: float
    end_seconds: float
    text: str
    probability: float
    interpolated: bool = False
    """Whether the recogniser gave no usable time, so that it was spread between its neighbours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One stretch of speech as the recogniser returned it, with the figures by which it is trusted or refused."""

    start_seconds: float
    end_seconds: float
    text: str
    words: tuple[Word, ...] = ()
    no_speech_probability: float = 0.0
    mean_log_probability: float = 0.0
    compression_ratio: float = 1.0
    translated_from: str = ""
    """The language that was spoken, where the text is Whisper's translation into English."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcript:
    """What was said in one video, and by which engine and weights it was heard.

    One that came with the video has the engine `given` and its file's name as the model.
    """

    segments: tuple[Segment, ...]
    language: str
    engine: str
    model: str
    speech_seconds: float
    duration_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """Text that was heard and refused: kept, with the reason, so that nothing vanishes."""

    start_seconds: float
    end_seconds: float
    text: str
    reason: str
    kind: Refused = Refused.SENTENCE


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A span of one narrated video and the sentence spoken over it."""

    video_id: str
    index: int
    start_seconds: float
    end_seconds: float
    narration: str
    alternatives: tuple[str, ...] = ()
    """What other transcripts of the video say over this span."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chapter:
    """A named span of a video, from its metadata or its container: text of the phase level."""

    start_seconds: float
    end_seconds: float
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What is said of a video by a list or the `NAME.info.json` beside it, empty strings where nothing is."""

    title: str = ""
    description: str = ""
    uploader: str = ""
    license: str = ""
    upload_date: str = ""
    webpage_url: str = ""
    consent: str = ""
    """Under which consent the video may be used, in the source's own words."""
    split: str = ""
    """The part of the data that the source puts it in, such as `train` or `test`."""
    chapters: tuple[Chapter, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """What the container says and the decoder confirms of one video file."""

    duration_seconds: float
    width_px: int
    height_px: int
    mean_fps: float
    video_streams: int
    audio_streams: int
    audio_stream_index: int | None
    """Which audio stream is read (index among the audio streams), None without sound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """Decoded pictures with the second of each: `pixels_thwc` is uint8 RGB, `seconds` float64 of length T."""

    seconds: NDArray[np.float64]
    pixels_thwc: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One training sample as it stands in a shard: text, provenance and JPEG frames ready to train on."""

    key: str
    level: Level
    video_id: str
    narrated: bool
    start_seconds: float
    end_seconds: float
    text: str
    """The narration at clip level, the structured title at video level."""
    frame_seconds: tuple[float, ...]
    jpegs: tuple[bytes, ...]
    license: str = ""
    source: str = ""
    """Path of the source video relative to the ingested folder."""
    parent: str = ""
    """Key of the sample that this one is a part of: of a clip its phase or video, of a phase its video."""
    alternatives: tuple[str, ...] = ()
    """The narration as other transcripts have it."""
    consent: str = ""
    split: str = ""
    source_sha256: str = ""


REWRITTEN = "rewritten"
"""How the reason of a correction begins that a language model made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """A change to recognised words: what stood there, what stands there now, and why."""

    start_seconds: float
    end_seconds: float
    before: str
    after: str
    reason: str
    """The gates that it passed, with their figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Where an attribute of a title was found."""

    attribute: str
    """`procedure`, `technique`, `eye_condition`, `instruments`, `medications`, `objective` or `phases`."""
    value: str
    origin: str
    """`title`, `description`, `chapter`, `narration` or `model`."""
    quote: str
    """The words it was read from."""
    start_seconds: float | None = None
    """When they were said; None for text that is not spoken."""
