"""Whether a place in a picture lies on an instrument, judged by boxes, beside what a random place would reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ophclip.evaluation.tables import number, read_table

_CLOCK_TOLERANCE = 1e-6
_SIDES = ("x0_px", "y0_px", "x1_px", "y1_px")


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """Where an instrument is in the picture that a video shows at `seconds`, in pixels of the video."""

    seconds: float
    x0_px: float
    y0_px: float
    x1_px: float
    y1_px: float

    def holds(self, x_px: float, y_px: float) -> bool:
        """Whether a place lies in it; the border does."""
        return self.x0_px <= x_px <= self.x1_px and self.y0_px <= y_px <= self.y1_px

    def share(self, width_px: int, height_px: int) -> float:
        """Its share of a picture of that size: how often a random place lies in it."""
        return (self.x1_px - self.x0_px) * (self.y1_px - self.y0_px) / (width_px * height_px)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointing:
    """One place judged: whether it lies in the box, what a random place does, and what the picture's centre does."""

    right: bool
    chance: float
    centre: bool


Boxes = Mapping[tuple[str, str], Sequence[Box]]
"""By video and instrument."""


def read_boxes(path: Path) -> Boxes:
    """A table `video, seconds, instrument, x0_px, y0_px, x1_px, y1_px`.

    Raises:
        ValueError: no such table, a column is missing, or a number cannot be read.
    """
    boxes: dict[tuple[str, str], list[Box]] = {}
    for row in read_table(path, ("video", "seconds", "instrument", *_SIDES)):
        box = Box(seconds=number(row, "seconds"), **{side: number(row, side) for side in _SIDES})
        boxes.setdefault((row["video"], row["instrument"]), []).append(box)
    return boxes


def box_within(boxes: Sequence[Box], start_seconds: float, end_seconds: float, near_seconds: float) -> Box | None:
    """The box nearest to a second among those within [start, end], None if there is none."""
    inside = [box for box in boxes if start_seconds - _CLOCK_TOLERANCE <= box.seconds <= end_seconds + _CLOCK_TOLERANCE]
    return min(inside, key=lambda box: abs(box.seconds - near_seconds), default=None)


def judged_place(box: Box, x_px: float, y_px: float, width_px: int, height_px: int) -> Pointing:
    """A place in a picture of that size, judged by the box in it."""
    return Pointing(
        right=box.holds(x_px, y_px),
        chance=box.share(width_px, height_px),
        centre=box.holds(width_px / 2, height_px / 2),
    )
