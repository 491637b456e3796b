"""Burned-in text of one video, from the pictures that wait for its samples: found, painted over, looked for again."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import OverlayConfig
from ingest.pictures.overlays import Overlays, TextBox, TextReader, mask
from ingest.spool import Spool


@dataclass(frozen=True, kw_only=True, slots=True)
class Masks:
    """What is painted over in one video."""

    overlays: Overlays
    pad: float
    remains: bool
    """Whether text was still read after painting: the video must not be used."""

    def at(self, second: float) -> tuple[TextBox, ...]:
        """The boxes that stand in the picture of a second."""
        passing = [one.box for one in self.overlays.transient if one.start_seconds <= second <= one.end_seconds]
        return (*self.overlays.static, *passing)

    def painted(self, second: float, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture of a second without its text."""
        return mask(pixels_hwc, self.at(second), self.pad)

    def told(self) -> str:
        """In a few words, none of them from the pictures."""
        static, passing = len(self.overlays.static), len(self.overlays.transient)
        if not static and not passing:
            return ""
        return f"text in the pictures was painted over: {static} places throughout, {passing} at times"


def build_reader(config: OverlayConfig) -> TextReader:
    """A reader for the pictures that `chosen` picks."""
    return TextReader(replace(config, frames=2 * config.frames))


def find_masks(reader: TextReader, spool: Spool, cuts: Sequence[float], config: OverlayConfig) -> Masks:
    """Read some pictures of a video, and what can still be read once they are painted over."""
    places = chosen(spool.seconds, cuts, config.frames)
    seconds = [spool.seconds[place] for place in places]
    pictures = [spool.pixels(place) for place in places]
    masks = Masks(overlays=reader.find_overlays(seconds, pictures), pad=config.pad, remains=False)
    if not masks.told():
        return masks
    painted = [masks.painted(second, pixels) for second, pixels in zip(seconds, pictures, strict=True)]
    return replace(masks, remains=bool(reader.residual(painted)))


def chosen(seconds: Sequence[float], cuts: Sequence[float], frames: int) -> list[int]:
    """Places of `frames` pictures spread over a video, and of those that open its first scenes, as many at most."""
    spread = np.linspace(0, len(seconds) - 1, min(frames, len(seconds))).round().astype(int).tolist()
    openings = [bisect_right(seconds, cut) for cut in cuts[:frames]]
    return sorted({*spread, *(place for place in openings if place < len(seconds))})
