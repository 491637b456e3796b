"""From the transcripts of a video to the text that training sees, with all that was changed or left out on the way.

Order: sentences, gates on what was heard, terms corrected, narrated or silent, sentences that describe the operation,
clips, rewriting if a model is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.config import IngestConfig
from ingest.records import Clip, Correction, Rejection, Segment, Transcript
from ingest.speech.transcripts import ENGINE as GIVEN
from ingest.text.clean import Cleaned, clean, why_silent
from ingest.text.clips import make_clips
from ingest.text.segment import join_words, sentences
from ingest.text.tools import TextTools

_UNPUNCTUATED_WORDS = 60
"""With more words than this to a full stop, the lines of a transcript are its sentences."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footage:
    """What the text has to know of the pictures."""

    video_id: str
    duration_seconds: float
    cuts: tuple[float, ...] = ()
    """Scene cuts in seconds, in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Narration:
    """What is said in one video, as far as it is believed."""

    narrated: bool
    clips: tuple[Clip, ...] = ()
    sentences: tuple[Segment, ...] = ()
    """The accepted ones, from which titles take evidence."""
    rejections: tuple[Rejection, ...] = ()
    corrections: tuple[Correction, ...] = ()


def narrate(video: Footage, transcripts: Sequence[Transcript], tools: TextTools, config: IngestConfig) -> Narration:
    """Make the narration of one video from its transcripts.

    The first one that holds enough speech is cut into clips; the others give each clip its
    `alternatives`.
    """
    if not transcripts:
        return Narration(narrated=False)
    believed = [_believed(one, tools, config) for one in transcripts]
    reasons = [
        why_silent(one.accepted, transcript.language, video.duration_seconds, config.gates)
        for one, transcript in zip(believed, transcripts, strict=True)
    ]
    if all(reasons):
        return _silent(believed[0], f"silent video: {reasons[0]}")
    main = believed[reasons.index("")]
    kept = tools.procedural(main.accepted)
    clips, refused = make_clips(video.video_id, kept.accepted, video.duration_seconds, config.segment, video.cuts)
    others = [one for one in believed if one is not main]
    rewrites = [tools.rewritten(clip) for clip in clips]
    unused = [one for _clip, _changes, refusals in rewrites for one in refusals]
    return Narration(
        narrated=bool(clips),
        clips=tuple(_with_alternatives(clip, others) for clip, _changes, _refusals in rewrites),
        sentences=kept.accepted,
        rejections=_in_order((*main.rejected, *kept.rejected, *refused, *unused)),
        corrections=(*main.corrections, *(one for _clip, changes, _refusals in rewrites for one in changes)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Believed(Cleaned):
    corrections: tuple[Correction, ...] = ()


def _believed(transcript: Transcript, tools: TextTools, config: IngestConfig) -> _Believed:
    """Sentences of one transcript that pass the gates, corrected."""
    cleaned = clean(_sentences(transcript, config), config.gates, tools.hot_words)
    corrected, corrections = tools.corrected(cleaned.accepted)
    return _Believed(accepted=corrected, rejected=cleaned.rejected, corrections=corrections)


def _sentences(transcript: Transcript, config: IngestConfig) -> Sequence[Segment]:
    words = [word.text for segment in transcript.segments for word in segment.words]
    stops = sum(word.endswith((".", "?", "!")) for word in words)
    if transcript.engine == GIVEN and len(words) > _UNPUNCTUATED_WORDS * stops:
        return transcript.segments
    return sentences(transcript.segments, config.segment)


def _silent(believed: Cleaned, reason: str) -> Narration:
    """What was heard in a video that counts as silent is kept as refused."""
    stray = [
        Rejection(start_seconds=one.start_seconds, end_seconds=one.end_seconds, text=one.text, reason=reason)
        for one in believed.accepted
    ]
    return Narration(narrated=False, rejections=_in_order((*believed.rejected, *stray)))


def _in_order(rejections: Sequence[Rejection]) -> tuple[Rejection, ...]:
    return tuple(sorted(rejections, key=lambda one: one.start_seconds))


def _with_alternatives(clip: Clip, others: Sequence[Cleaned]) -> Clip:
    said = [_said_within(clip, other.accepted) for other in others]
    return replace(clip, alternatives=(*clip.alternatives, *(text for text in said if text)))


def _said_within(clip: Clip, accepted: Sequence[Segment]) -> str:
    """The words of another transcript whose middles lie in a clip's span."""
    return join_words(
        word
        for segment in accepted
        for word in segment.words
        if clip.start_seconds <= (word.start_seconds + word.end_seconds) / 2 < clip.end_seconds
    )
