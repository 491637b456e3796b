"""Plain CSV in seconds: what the page's thumbs write, what a spreadsheet can edit.

Columns query, instrument, video_id, start_seconds, end_seconds, score, verdict; a verdict is `up`, `down`, or empty
where nobody said. Cells that a spreadsheet would take for a formula have an apostrophe before them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ophclip.evaluation.tables import Row, guarded, named, number, read_table, unguarded
from ophclip.search.bridges.records import Judgement, Moment, plain

COLUMNS = ("query", "instrument", "video_id", "start_seconds", "end_seconds", "score", "verdict")
_VERDICTS = {"up": True, "down": False}


def moments_table(moments: Sequence[Moment], instruments: Mapping[str, str]) -> str:
    """Moments as CSV without verdicts; `instruments` names the instrument that a query means."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in moments:
        texts = (one.query, instruments.get(one.query, ""), one.video_id)
        figures = (one.start_seconds, one.end_seconds, one.score)
        writer.writerow([*map(guarded, texts), *map(repr, figures), ""])
    return buffer.getvalue()


def read_seconds(path: Path, files: Mapping[str, Path]) -> tuple[Judgement, ...]:
    """Stretches with a verdict; without a column `verdict` every row says that it is there.

    The label is the instrument, else the query; or the column `label` of a table that has one. `files` says where
    videos lie by id.

    Raises:
        ValueError: one line that names file and line of what is damaged.
    """
    rows = read_table(path, ("video_id", "start_seconds", "end_seconds"))
    return tuple(judgement for row in rows if (judgement := _judgement(row, files)) is not None)


def _judgement(row: Row, files: Mapping[str, Path]) -> Judgement | None:
    verdict = row.get("verdict", "up").lower()
    if not verdict:
        return None
    if verdict not in _VERDICTS:
        raise ValueError(f"{row.where}: verdict is {row['verdict']!r}; expected up, down or empty")
    start, end = number(row, "start_seconds"), number(row, "end_seconds")
    if not 0 <= start < end:
        raise ValueError(f"{row.where}: from {start:g} to {end:g} s; expected 0 or more, and a later end")
    label = plain(unguarded(row.get("label") or row.get("instrument") or row.get("query") or ""))
    if not label:
        raise ValueError(f"{row.where}: no label, instrument or query; expected a name in one of them")
    video_id = unguarded(named(row, "video_id"))
    return Judgement(
        label=label,
        video=files[video_id].name if video_id in files else video_id,
        start_seconds=start,
        end_seconds=end,
        present=_VERDICTS[verdict],
        where=row.where,
    )
