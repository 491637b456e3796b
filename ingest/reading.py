"""From the transcripts and metadata of one video to its clips and title, with the account of all that was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.config import IngestConfig
from ingest.entries import Outcome
from ingest.pictures.spans import Shown, screen_clips
from ingest.records import Chapter, Correction, Evidence, Metadata, Transcript
from ingest.text.narration import Footage, Narration, narrate
from ingest.text.titles import StructuredTitle, structure
from ingest.text.tools import TextTools
from ingest.viewed import Viewed

_TITLE_LETTERS = 12_000
"""So much of a video's text a language model reads for its title."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the words of one video come to."""

    narrated: bool
    title: StructuredTitle
    outcome: Outcome


def read_video(seen: Viewed, transcripts: Sequence[Transcript], tools: TextTools, config: IngestConfig) -> Reading:
    """Read one video. What identifies a person is masked before anything else sees it, or keeps it."""
    masked, masks = _masked(transcripts, tools)
    narration = _shown(narrate(_footage(seen), masked, tools, config), seen, config)
    metadata = tools.masked_metadata(
        replace(seen.task.metadata, chapters=seen.task.metadata.chapters or seen.scan.chapters)
    )
    title, evidence = _title(metadata, narration, tools)
    outcome = Outcome(
        clips=narration.clips,
        chapters=_within(metadata.chapters, seen.scan.picture_end_seconds),
        rejections=narration.rejections,
        corrections=(*masks, *narration.corrections),
        evidence=evidence,
        transcripts=masked,
        fingerprint=seen.fingerprint,
    )
    return Reading(narrated=narration.narrated, title=title, outcome=outcome)


def _footage(seen: Viewed) -> Footage:
    duration = seen.scan.probe.duration_seconds
    return Footage(video_id=seen.task.video_id, duration_seconds=duration, cuts=seen.scan.cuts)


def _masked(
    transcripts: Sequence[Transcript], tools: TextTools
) -> tuple[tuple[Transcript, ...], tuple[Correction, ...]]:
    pairs = [tools.masked(one) for one in transcripts]
    return tuple(one for one, _changes in pairs), tuple(change for _one, changes in pairs for change in changes)


def _shown(narration: Narration, seen: Viewed, config: IngestConfig) -> Narration:
    """The narration without the clips whose pictures are no surgery."""
    pictures = Shown(seconds=seen.spool.seconds, verdicts=seen.verdicts, end_seconds=seen.scan.picture_end_seconds)
    kept, refused = screen_clips(narration.clips, pictures, config.screen.min_surgery_share)
    return replace(narration, clips=kept, narrated=bool(kept), rejections=(*narration.rejections, *refused))


def _title(metadata: Metadata, narration: Narration, tools: TextTools) -> tuple[StructuredTitle, tuple[Evidence, ...]]:
    title, evidence = structure(metadata, tools.lexicon, metadata.chapters, narration.sentences)
    spoken = (sentence.text for sentence in narration.sentences)
    text = "\n".join((metadata.title, metadata.description, *spoken))[:_TITLE_LETTERS]
    title, read = tools.read_title(title, text)
    return title, (*evidence, *read)


def _within(chapters: Sequence[Chapter], duration_seconds: float) -> tuple[Chapter, ...]:
    """Chapters that hold some of the pictures, cut to them: what metadata says may be longer than the file."""
    cut = (replace(one, end_seconds=min(one.end_seconds, duration_seconds)) for one in chapters)
    return tuple(one for one in cut if one.end_seconds > one.start_seconds)
