"""Burned-in text of one video, from the pictures that wait for its samples: found, painted over, looked for in others.

T pictures, H and W the size of one.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import OverlayConfig
from ingest.pictures.overlays import Overlays, TextBox, TextReader, count_places, find_overlays, mask
from ingest.spool import Spool

_CELLS = (24, 18)
_HARD_EDGE, _NEW_DETAIL = 60, 0.3


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
        static, passing = count_places(self.overlays.static), count_places([one.box for one in self.overlays.transient])
        if not static and not passing:
            return ""
        return f"text in the pictures was painted over: {static} places throughout, {passing} at times"


def find_masks(reader: TextReader, spool: Spool, cuts: Sequence[float], config: OverlayConfig) -> Masks:
    """Read some pictures of a video; paint over what was found and read others; then read all of them once more."""
    first = chosen(spool, cuts, config.frames)
    read = {place: reader.read_text(spool.pixels(place)) for place in first}
    masks = _masks(spool, read, config)
    second = between(first, len(spool.seconds), config.frames)
    for place in second:
        still = reader.read_text(_painted(masks, spool, place))
        read[place] = (*_standing(masks, spool, place), *still)
    masks = _masks(spool, read, config)
    remains = any(reader.read_text(_painted(masks, spool, place)) for place in read if masks.at(spool.seconds[place]))
    return replace(masks, remains=remains)


def _masks(spool: Spool, read: Mapping[int, Sequence[TextBox]], config: OverlayConfig) -> Masks:
    places = sorted(read)
    overlays = find_overlays([spool.seconds[place] for place in places], [read[place] for place in places])
    return Masks(overlays=overlays, pad=config.pad, remains=False)


def _painted(masks: Masks, spool: Spool, place: int) -> NDArray[np.uint8]:
    return masks.painted(spool.seconds[place], spool.pixels(place))


def _standing(masks: Masks, spool: Spool, place: int) -> tuple[TextBox, ...]:
    return masks.at(spool.seconds[place])


def chosen(spool: Spool, cuts: Sequence[float], frames: int) -> list[int]:
    """Places of `frames` pictures spread over a video, of those that open its first scenes, and of changed ones.

    As many at most of each. A changed picture has fine detail where none of those already chosen has: text that
    appears without a cut.
    """
    seconds = spool.seconds
    spread = np.linspace(0, len(seconds) - 1, min(frames, len(seconds))).round().astype(int).tolist()
    openings = [bisect_right(seconds, cut) for cut in cuts[:frames]]
    known = sorted({*spread, *(place for place in openings if place < len(seconds))})
    details = np.stack([detail(spool.pixels(place)) for place in range(len(seconds))])
    return sorted({*known, *changed(details, known, frames)})


def changed(details: NDArray[np.float32], known: Sequence[int], most: int) -> list[int]:
    """Places whose detail [T, cells] exceeds in some cell that of all known places, the farthest first."""
    seen = details[list(known)].max(axis=0)
    found: list[int] = []
    while len(found) < most:
        excess = (details - seen).max(axis=1)
        place = int(excess.argmax())
        if excess[place] < _NEW_DETAIL:
            break
        found.append(place)
        seen = np.maximum(seen, details[place])
    return found


def detail(pixels_hwc: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of hard edges in each cell of a grid over a uint8 RGB picture [H, W, 3], flat."""
    grey = cv2.cvtColor(pixels_hwc, cv2.COLOR_RGB2GRAY)
    hard = (cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3))) > _HARD_EDGE).astype(np.float32)
    return np.asarray(cv2.resize(hard, _CELLS, interpolation=cv2.INTER_AREA), np.float32).reshape(-1)


def between(places: Sequence[int], length: int, most: int) -> list[int]:
    """Places of other pictures, each in the middle of the widest gap that is left; at most as many as asked."""
    taken = sorted(places)
    found: list[int] = []
    while len(found) < most:
        edges = [-1, *taken, length]
        gap, low = max((high - low, -low) for low, high in pairwise(edges))
        if gap < 2:
            break
        place = -low + gap // 2
        found.append(place)
        insort(taken, place)
    return sorted(found)
