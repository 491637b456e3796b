"""A held-out video with what the world knows about it, and what the files of a layout are made of.

Arrays: h, w picture axes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ophclip.simulate.casebook import Case
from ophclip.simulate.draw import stream
from ophclip.simulate.eye import Pixels
from ophclip.simulate.language import Verb
from ophclip.simulate.scene import Scene

Named = TypeVar("Named")


@dataclass(frozen=True, kw_only=True)
class Take:
    """One video: its program, its file, and the scene that was filmed."""

    case: Case
    video: Path
    seed: int
    """The world's."""

    @cached_property
    def scene(self) -> Scene:
        """What is before the camera at any second."""
        case = self.case
        rng = stream(self.seed, "eye", case.program.site.value, case.role.value, case.index)
        return Scene(case.program, rng, case.width_px, case.height_px)

    @property
    def duration_seconds(self) -> float:
        return self.case.clock.duration_seconds

    @property
    def whole_seconds(self) -> range:
        """The seconds at which instruments are labelled."""
        return range(int(self.duration_seconds - 1e-6) + 1)


@dataclass(frozen=True, slots=True)
class Film:
    """The whole video."""

    take: Take


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a video over [start, end)."""

    take: Take
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Still:
    """The picture that a video shows at a second."""

    take: Take
    second: int


@dataclass(frozen=True, slots=True)
class Mask:
    """A one-channel picture (h, w), made when it is written."""

    take: Take
    paint: Callable[[], Pixels]


Content = str | Film | Cut | Still | Mask
Tree = Mapping[str, Content]
"""The files of a layout by their path in its folder."""

Span = tuple[float, float, str]
"""Start and end in seconds, and a label."""


def table(header: Sequence[str], rows: Iterable[Sequence[object]], separator: str = ",") -> str:
    """A CSV file; without `header` it has none."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def phase_spans(take: Take) -> list[Span]:
    """The world's own phases, from the first action to the end of the video."""
    return [
        (phase.start_seconds, min(phase.end_seconds, take.duration_seconds), phase.name.value)
        for phase in take.case.program.phases
    ]


def action_spans(take: Take, labels: Mapping[Verb, str]) -> list[Span]:
    """Actions under the labels of a dataset, neighbours of one label joined; other actions and idle time in between
    are in no span."""
    spans: list[Span] = []
    joined = False
    for action in take.case.program.actions():
        label = labels.get(action.verb)
        if label is not None and joined and spans[-1][2] == label:
            spans[-1] = (spans[-1][0], action.end_seconds, label)
        elif label is not None:
            spans.append((action.start_seconds, action.end_seconds, label))
        joined = label is not None
    return spans


def label_at(spans: Sequence[Span], second: float) -> str:
    """The label of the span that holds a second, else nothing."""
    return next((label for start, end, label in spans if start <= second < end), "")


def dealt(takes: Sequence[Take], splits: Sequence[Named]) -> list[tuple[Named, Take]]:
    """Each video with one of the splits, dealt in turn."""
    return [(splits[place % len(splits)], take) for place, take in enumerate(takes)]
