"""Lines of text followed through those pictures of one video that were read: what stands, moves, comes and goes.

A place is that of a picture in the video; read pictures are given by their places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rapidfuzz import fuzz

from ingest.pictures.overlays import TextBox, overlap

_ALIKE = 0.6
_SAME_PLACE = 0.5
_MOST_HULL = 0.1
_MOST_MISSED = 2
"""Read pictures in a row without text that jumps. If there are more, it may have stood in them and was not made out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cover:
    """A box that hides text in all pictures from one place to another, both included."""

    box: TextBox
    first: int
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Neighbouring pictures that were read, with unread ones between."""

    before: int
    after: int

    @property
    def middle(self) -> int:
        return (self.before + self.after) // 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """What is known of the text of a video."""

    static: tuple[TextBox, ...]
    """Where text stands for most of the time: hidden throughout."""
    covers: tuple[Cover, ...]
    moves: tuple[Gap, ...]
    """Where text went from one place to another, and pictures between are still to be read."""
    lost: bool
    """Whether text was read nowhere between two places, or jumps and was not read for a while."""
    ends: tuple[Gap, ...]
    """Where text came or went."""


Sighting = tuple[int, TextBox]


def follow(read: Mapping[int, Sequence[TextBox]], width: int, height: int) -> Followed:
    """What the text that was read means for the pictures between; width and height of a picture in pixels.

    Text that stands, or moves by no more than the height of its line, is covered by the hull of both places in all
    pictures between; text that runs along its line, by that whole line as long as it is seen. Other text that moves is
    known only where neighbouring pictures were read. What comes or goes is covered for one picture more than the first
    that was read without it. A cover may last beyond the last picture.
    """
    places = sorted(read)
    static = [box for boxes in read.values() for box in boxes if _stands(box, read, places)]
    covers: list[Cover] = []
    moves: list[Gap] = []
    ends: list[Gap] = []
    lost = False
    for track in link(read):
        first, last = track[0][0], track[-1][0]
        before = max((place for place in places if place < first), default=first)
        after = min((place for place in places if place > last), default=last)
        ends += _ends(track, static, before, after)
        line = _line(track, width)
        if line is not None:
            covers.append(Cover(box=line, first=max(0, before - 1), last=after + 1))
            continue
        jumps = _jumps(track, _MOST_HULL * width * height)
        lost |= jumps and _missed(track, places) > _MOST_MISSED
        sightings = _whole(track, width) if jumps else track
        for one, other in pairwise(sightings):
            around = [place for place in places if one[0] <= place <= other[0]]
            way = _way(one, other, around, _MOST_HULL * width * height)
            covers += way.covers
            moves += way.moves
            lost |= way.lost
        covers.append(Cover(box=_beyond(sightings[:2][::-1], before - 1), first=max(0, before - 1), last=first))
        covers.append(Cover(box=_beyond(sightings[-2:], after + 1), first=last, last=after + 1))
    return Followed(
        static=tuple(dict.fromkeys(static)),
        covers=tuple(dict.fromkeys(covers)),
        moves=tuple(dict.fromkeys(moves)),
        lost=lost,
        ends=tuple(dict.fromkeys(ends)),
    )


def link(read: Mapping[int, Sequence[TextBox]]) -> list[list[Sighting]]:
    """Sightings of each line of text, in order: of like wording or at the same place, best of both."""
    tracks: list[list[Sighting]] = []
    for place in sorted(read):
        boxes = read[place]
        pairs = sorted(
            (
                (_closeness(track[-1][1], box), number, which)
                for number, track in enumerate(tracks)
                for which, box in enumerate(boxes)
            ),
            reverse=True,
        )
        taken: set[int] = set()
        longer: set[int] = set()
        for closeness, number, which in pairs:
            if closeness > 0.0 and which not in taken and number not in longer:
                tracks[number].append((place, boxes[which]))
                taken.add(which)
                longer.add(number)
        tracks += [[(place, box)] for which, box in enumerate(boxes) if which not in taken]
    return tracks


def hull(one: TextBox, other: TextBox) -> TextBox:
    """The smallest box around both."""
    x, y = min(one.x, other.x), min(one.y, other.y)
    right, bottom = max(one.x + one.width, other.x + other.width), max(one.y + one.height, other.y + other.height)
    return TextBox(x=x, y=y, width=right - x, height=bottom - y, text=other.text, score=min(one.score, other.score))


def _closeness(one: TextBox, other: TextBox) -> float:
    short = min(len(one.text), len(other.text)) < 4
    likeness = (fuzz.ratio if short else fuzz.partial_ratio)(one.text, other.text) / 100
    return (likeness if likeness >= _ALIKE else 0.0) + (_SAME_PLACE if overlap(one, other) else 0.0)


def _stands(box: TextBox, read: Mapping[int, Sequence[TextBox]], places: Sequence[int]) -> bool:
    """Whether text was read at this place for most of the time.

    A picture speaks for the time around it, though not for that before the first and after the last with the text.
    """
    edges = [places[0], *((low + high) / 2 for low, high in pairwise(places)), places[-1]]
    spans = dict(zip(places, (max(high - low, 0.5) for low, high in pairwise(edges)), strict=True))
    seen = [place for place in places if any(overlap(box, other) for other in read[place])]
    known = min(sum(spans[place] for place in seen), seen[-1] - seen[0] + 1)
    return 2 * known > sum(spans.values())


def _ends(track: Sequence[Sighting], static: Sequence[TextBox], before: int, after: int) -> list[Gap]:
    """Where the text came and went, between its sightings and the pictures read before and after them."""
    (first, opening), (last, closing) = track[0], track[-1]
    came = [Gap(before=before, after=first)] if opening not in static and first - before > 1 else []
    went = [Gap(before=last, after=after)] if closing not in static and after - last > 1 else []
    return came + went


def _shift(one: TextBox, other: TextBox) -> tuple[int, int]:
    """By how many pixels both edges moved, sideways and up or down; where only one did, a part was read."""

    def both(first: int, last: int) -> int:
        return min(abs(first), abs(last)) if first * last > 0 else 0

    x, y = other.x - one.x, other.y - one.y
    return both(x, x + other.width - one.width), both(y, y + other.height - one.height)


def _moved(one: TextBox, other: TextBox) -> bool:
    return max(_shift(one, other)) > max(one.height, other.height)


def _jumps(track: Sequence[Sighting], most_pixels: float) -> bool:
    """Whether text went far from one picture to the next."""
    for (start, one), (end, other) in pairwise(track):
        whole = hull(one, other)
        if end - start == 1 and _moved(one, other) and whole.width * whole.height > most_pixels:
            return True
    return False


def _whole(track: Sequence[Sighting], width: int) -> list[Sighting]:
    """The sightings, each as wide to both sides as if the part of the widest one that it lacks stood there."""
    widest = max(box.width for _, box in track)
    whole = []
    for place, box in track:
        left, right = max(0, box.x + box.width - widest), min(width, box.x + widest)
        whole.append((place, replace(box, x=left, width=right - left)))
    return whole


def _missed(track: Sequence[Sighting], places: Sequence[int]) -> int:
    """How many pictures in a row were read without a sighting, at most."""
    sighted = {place for place, _ in track}
    most = row = 0
    for place in places:
        row = 0 if place in sighted else row + 1
        most = max(most, row)
    return most


def _line(track: Sequence[Sighting], width: int) -> TextBox | None:
    """The whole line along which text ran, if it did."""
    for (_, one), (_, other) in pairwise(track):
        sideways, upright = _shift(one, other)
        if sideways > max(one.height, other.height) and 2 * upright <= max(one.height, other.height):
            break
    else:
        return None
    boxes = [box for _, box in track]
    top, bottom = min(box.y for box in boxes), max(box.y + box.height for box in boxes)
    if bottom - top > 2 * max(box.height for box in boxes):
        return None
    return TextBox(x=0, y=top, width=width, height=bottom - top, text=boxes[-1].text, score=boxes[-1].score)


def _way(one: Sighting, other: Sighting, around: Sequence[int], most_pixels: float) -> Followed:
    """What is known between two sightings; around are the places of the pictures read from the one to the other."""
    (start, first), (end, last) = one, other
    whole = hull(first, last)
    covers = [Cover(box=whole, first=start, last=end)]
    moves: list[Gap] = []
    lost = False
    if _moved(first, last):
        moves = [Gap(before=low, after=high) for low, high in pairwise(around) if high - low > 1]
        if moves or len(around) == 2:
            covers = [Cover(box=first, first=start, last=start), Cover(box=last, first=end, last=end)]
        elif whole.width * whole.height > most_pixels:
            covers = [Cover(box=box, first=start, last=end) for box in (first, last)]
            lost = len(around) > 3
    return Followed(static=(), covers=tuple(covers), moves=tuple(moves), lost=lost, ends=())


def _beyond(end: Sequence[Sighting], place: int) -> TextBox:
    """The box of the last sighting, as far as it may have moved until a place outside of the track."""
    at, box = end[-1]
    if len(end) == 1 or not _moved(end[0][1], box):
        return box
    share = (place - at) / (at - end[0][0])
    x, y = round(box.x + share * (box.x - end[0][1].x)), round(box.y + share * (box.y - end[0][1].y))
    return hull(box, replace(box, x=x, y=y))
