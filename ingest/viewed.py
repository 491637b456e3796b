"""A video that has to be done, and one whose pictures and sound have been decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.media import Scan
from ingest.pictures.masking import Masks
from ingest.pictures.screen import Verdict
from ingest.pictures.spans import shown
from ingest.records import Metadata
from ingest.sources import SourceFile
from ingest.speech.transcribe import Speech
from ingest.spool import Spool


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One video to be done."""

    video_id: str
    file: SourceFile
    metadata: Metadata
    transcripts: tuple[Path, ...]
    """Those that came with it."""
    staged: Path
    """Where its samples are put."""

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self.file.size_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewed:
    """A video that was decoded."""

    task: Task
    sha256: str
    scan: Scan
    """Without its sound."""
    speech: Speech | None
    spool: Spool
    verdicts: tuple[Verdict, ...]
    """On each picture of the spool; none if screening is off."""
    fingerprint: bytes
    masks: Masks | None
    seconds: float

    def jpegs(self, places: Sequence[int]) -> list[bytes]:
        """Pictures as samples show them: as they were encoded, or painted over where they hold text."""
        shown = self.spool.jpegs(places)
        for number, place in enumerate(places):
            second = self.spool.seconds[place]
            if self.masks is not None and self.masks.at(second):
                shown[number] = self.spool.encode(self.masks.painted(second, self.spool.pixels(place)))
        return shown

    @property
    def places(self) -> Sequence[int]:
        """Of the pictures in the spool that samples may show."""
        return shown(self.verdicts, len(self.spool.seconds))
