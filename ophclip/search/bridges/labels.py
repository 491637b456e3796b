"""What people said, as tables that `ophclip probe` reads: `phase-table` and `presence-table`.

Legend of shapes: n labelled seconds of a video.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ophclip.evaluation.tables import guarded
from ophclip.search.bridges.records import Judgement


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelTable:
    """A table, and what it came to."""

    text: str
    videos: int
    rows: int
    contradictions: int
    """Cells of which one person says yes and another no; they are left empty."""


def phase_table(judgements: Sequence[Judgement]) -> LabelTable:
    """Segments `video,start_seconds,end_seconds,label` of what is there, in order, each once.

    Raises:
        ValueError: nothing is said to be there, or one stretch has two labels.
    """
    spans: dict[tuple[str, float, float], Judgement] = {}
    for one in judgements:
        if not one.present:
            continue
        first = spans.setdefault((one.video, one.start_seconds, one.end_seconds), one)
        if first.label != one.label:
            raise ValueError(f"{one.where}: {one.label!r} where {first.where} says {first.label!r}; keep one of them")
    if not spans:
        raise ValueError("labels: nothing is said to be there; expected at least one stretch with a label")
    rows = [
        (guarded(video), repr(start), repr(end), guarded(one.label))
        for (video, start, end), one in sorted(spans.items())
    ]
    text = _csv([("video", "start_seconds", "end_seconds", "label"), *rows])
    return LabelTable(text=text, videos=len({row[0] for row in rows}), rows=len(rows), contradictions=0)


def presence_table(judgements: Sequence[Judgement], *, whole_seconds: Mapping[str, float] | None = None) -> LabelTable:
    """Seconds `video,seconds,LABEL...` with 1 where a label is there, 0 where it is not, empty where nobody said.

    Every whole second of a stretch counts, and the middle of one that holds none.

    Args:
        judgements: what was said.
        whole_seconds: lengths of videos that were labelled from start to end: what is not said there is not there.

    Raises:
        ValueError: nothing was said.
    """
    if not judgements:
        raise ValueError("labels: no verdict in it; say up or down, or annotate and export again")
    labels = tuple(dict.fromkeys(one.label for one in judgements))
    said: dict[tuple[str, float], dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    for one in judgements:
        for second in _seconds_of(one):
            said[one.video, second][one.label].add(one.present)
    for video, length_seconds in (whole_seconds or {}).items():
        for second in np.arange(0.0, length_seconds).tolist():
            said.setdefault((video, second), defaultdict(set))
    whole = set(whole_seconds or {})
    rows, contradictions = [], 0
    for (video, second), cells in sorted(said.items()):
        contradictions += sum(len(found) > 1 for found in cells.values())
        unsaid = "0" if video in whole else ""
        values = [_cell(cells[label], unsaid) if label in cells else unsaid for label in labels]
        rows.append((guarded(video), repr(second).removesuffix(".0"), *values))
    text = _csv([("video", "seconds", *map(guarded, labels)), *rows])
    return LabelTable(text=text, videos=len({row[0] for row in rows}), rows=len(rows), contradictions=contradictions)


def _cell(found: set[bool], unsaid: str) -> str:
    return unsaid if not found else "" if len(found) > 1 else str(int(found == {True}))


def _seconds_of(one: Judgement) -> list[float]:
    whole = np.arange(np.ceil(one.start_seconds), one.end_seconds).tolist()
    return whole or [round((one.start_seconds + one.end_seconds) / 2, 3)]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
