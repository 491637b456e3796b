"""Burned-in text of one video, from the pictures that wait for its samples: found, followed, painted over, looked for.

T pictures, H and W the size of one.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import OverlayConfig
from ingest.pictures.overlays import Overlays, TextBox, TextReader, TransientBox, count_places, mask
from ingest.pictures.strokes import strangest, strokes
from ingest.pictures.tracks import Followed, follow
from ingest.spool import Spool


@dataclass(frozen=True, kw_only=True, slots=True)
class Masks:
    """What is painted over in one video."""

    overlays: Overlays
    pad: float
    refusal: str
    """Why the video must not be used, empty if it may."""

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


def find_masks(
    reader: TextReader, spool: Spool, shown: Sequence[int], cuts: Sequence[float], config: OverlayConfig
) -> Masks:
    """Look for text in those pictures of a video that samples may show.

    Some are read, and others to follow what was found; all of it is painted over. Then some are read as painted; what
    is still legible is painted over too, twice at most.
    """
    search = _Search(reader, spool, shown, config)
    search.read(chosen(search.seconds, cuts, config.frames))
    search.settle()
    legible = search.still_legible(search.doubtful())
    for _again in range(2):
        if legible:
            search.settle()
            legible = search.still_legible(legible)
    return search.masks(remains=bool(legible))


class _Search:
    """What was read so far of the shown pictures, and what it means. Places are those among them."""

    def __init__(self, reader: TextReader, spool: Spool, shown: Sequence[int], config: OverlayConfig) -> None:
        self._reader, self._spool, self._shown, self._config = reader, spool, shown, config
        self.seconds = [spool.seconds[place] for place in shown]
        self._height, self._width = self._pixels(0).shape[:2]
        self._grids = np.stack([strokes(self._pixels(place)) for place in range(len(shown))])
        self._texts: dict[int, tuple[TextBox, ...]] = {}
        self._followed = Followed(static=(), covers=(), moves=(), lost=False, ends=())

    def read(self, places: Iterable[int]) -> None:
        """Read these pictures and follow their text."""
        self._texts |= {place: self._reader.read_text(self._pixels(place)) for place in places}
        self._followed = follow(self._texts, self._width, self._height)

    def settle(self) -> None:
        """Read more pictures: where text moved, came or went, until it is known where and when.

        Then those that look written on, until as many as `frames` of them were not.
        """
        blank = 0
        while blank < self._config.frames and (left := self._config.most_frames - len(self._texts)) > 0:
            gaps = self._followed.moves or self._followed.ends
            strange = None if gaps else self._strangest()
            if strange is not None:
                self.read([strange])
                blank += not self._texts[strange]
            elif gaps:
                self.read(list(dict.fromkeys(gap.middle for gap in gaps))[:left])
            else:
                break

    def doubtful(self) -> list[int]:
        """Pictures that were not read, and some of those in which text was."""
        most = self._config.frames
        written = [place for place, boxes in sorted(self._texts.items()) if boxes]
        return sorted({*between(list(self._texts), len(self.seconds), most), *spread(written, 2 * most)})

    def still_legible(self, places: Sequence[int]) -> list[int]:
        """Those of the pictures in which text is read after painting; what it was counts as found."""
        masks, found = self.masks(remains=False), []
        for place in places:
            pixels = self._pixels(place)
            still = self._reader.read_text(masks.painted(self.seconds[place], pixels))
            if still:
                found.append(place)
                before = self._texts[place] if place in self._texts else self._reader.read_text(pixels)
                self._texts[place] = (*before, *still)
        self._followed = follow(self._texts, self._width, self._height)
        return found

    def masks(self, *, remains: bool) -> Masks:
        """What is painted over. The video is refused if text remains after that, or could not be followed."""
        found, refusal = self._followed, ""
        if (
            found.moves
            or found.lost
            or (len(self._texts) >= self._config.most_frames and self._strangest() is not None)
        ):
            refusal = f"text that moves or comes and goes in its pictures was lost after {len(self._texts)} were read"
        elif remains:
            refusal = "text remains readable in its pictures after painting over what was found"
        passing = (
            TransientBox(
                box=one.box,
                start_seconds=self.seconds[one.first],
                end_seconds=self.seconds[min(one.last, len(self.seconds) - 1)],
            )
            for one in found.covers
        )
        overlays = Overlays(static=found.static, transient=tuple(passing))
        return Masks(overlays=overlays, pad=self._config.pad, refusal=refusal)

    def _pixels(self, place: int) -> NDArray[np.uint8]:
        return self._spool.pixels(self._shown[place])

    def _strangest(self) -> int | None:
        found = self._followed
        return strangest(self._grids, self._height, self._texts, found.static, found.covers)


def chosen(seconds: Sequence[float], cuts: Sequence[float], frames: int) -> list[int]:
    """Places of `frames` pictures spread over a video, and of those that open its first scenes, as many at most."""
    openings = [bisect_right(seconds, cut) for cut in cuts[:frames]]
    return sorted({*spread(range(len(seconds)), frames), *(place for place in openings if place < len(seconds))})


def spread(places: Sequence[int], most: int) -> list[int]:
    """At most so many of the places, evenly, the first and the last among them."""
    return [places[number] for number in np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)]


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
