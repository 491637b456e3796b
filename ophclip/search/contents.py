"""What an index holds at one moment, in memory or mapped; a change makes another one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from ophclip.search.catalogue import Catalogue
from ophclip.search.entries import Level, VideoEntry
from ophclip.search.filters import Facets
from ophclip.search.vectors import SpanTable, open_table, require_whole

_CLOCK_TOLERANCE = 1e-6


class Contents:
    """Videos by id, in order, and the spans of every level."""

    def __init__(self, catalogue: Catalogue, folder: Path) -> None:
        require_whole(folder)
        with catalogue.unchanging():
            self.by_id: Mapping[str, VideoEntry] = catalogue.videos()
            self.tables: Mapping[Level, SpanTable] = {level: open_table(catalogue, level, folder) for level in Level}
        self.videos = tuple(self.by_id.values())
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._owner_of = {video_id: owner for owner, video_id in enumerate(self.by_id)}

    @cached_property
    def facets(self) -> Facets:
        """The videos' attributes."""
        return Facets(self.videos)

    def owner(self, video_id: str) -> int:
        """The place of a video among all.

        Raises:
            ValueError: it is not there.
        """
        if video_id not in self._owner_of:
            raise ValueError(f"{video_id!r}: no such video in the index; `videos()` lists those that are")
        return self._owner_of[video_id]

    def path(self, video: VideoEntry) -> Path:
        """Where its file lies; links are followed once."""
        if video.video_id not in self._paths:
            self._paths[video.video_id] = (self._folder / video.path).resolve()
        return self._paths[video.video_id]

    def windows_within(self, video_id: str, start_seconds: float, end_seconds: float) -> list[int]:
        """The numbers of the windows inside a span of a video, in order."""
        table = self.tables[Level.WINDOW]
        rows = table.rows_of(self.owner(video_id))
        first = np.searchsorted(table.start_n[rows], start_seconds - _CLOCK_TOLERANCE)
        stop = np.searchsorted(table.end_n[rows], end_seconds + _CLOCK_TOLERANCE, side="right")
        found: list[int] = table.number_n[rows][first:stop].tolist()
        return found
