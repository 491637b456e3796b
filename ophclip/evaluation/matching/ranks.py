"""The rank of every query, from which every figure of retrieval can be computed again, and its CSV.

Shapes: Q queries.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.atomic import write_text
from ophclip.evaluation.metrics import Ints
from ophclip.evaluation.tables import Row, read_table

RANKS_NAME = "ranks.csv"
TEXT_TO_VISUAL, VISUAL_TO_TEXT = "text_to_visual", "visual_to_text"
_COLUMNS = ("protocol", "direction", "sample", "video", "rank", "right", "candidates")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """Queries of one protocol in one direction."""

    protocol: str
    direction: str
    keys: tuple[str, ...]
    """The sample of each query."""
    video_ids: tuple[str, ...]
    rank_q: Ints
    """Of the best right candidate, from 1."""
    right_q: Ints
    """How many candidates are right."""
    candidates_q: Ints


def write_ranks(path: Path, ranks: Sequence[Ranks]) -> None:
    """One row a query."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in ranks:
        cells = one.rank_q.tolist(), one.right_q.tolist(), one.candidates_q.tolist()
        for key, video_id, *numbers in zip(one.keys, one.video_ids, *cells, strict=True):
            writer.writerow((one.protocol, one.direction, key, video_id, *numbers))
    write_text(path, buffer.getvalue())


def read_ranks(path: Path) -> tuple[Ranks, ...]:
    """Read what `write_ranks` wrote.

    Raises:
        ValueError: the file is missing, lacks a column, or holds a rank that cannot be; names file and line.
    """
    found: dict[tuple[str, str], list[tuple[str, str, int, int, int]]] = {}
    for row in read_table(path, _COLUMNS):
        numbers = _number(row, "rank"), _number(row, "right"), _number(row, "candidates")
        rank, right, candidates = numbers
        if rank > candidates - right + 1:
            raise ValueError(
                f"{row.where}: rank {rank} cannot be with {right} right of {candidates}; evaluate with "
                "`ophclip retrieval` again"
            )
        found.setdefault((row["protocol"], row["direction"]), []).append((row["sample"], row["video"], *numbers))
    return tuple(_ranks(protocol, direction, rows) for (protocol, direction), rows in found.items())


def _ranks(protocol: str, direction: str, rows: Sequence[tuple[str, str, int, int, int]]) -> Ranks:
    keys, video_ids, rank, right, candidates = zip(*rows, strict=True)
    return Ranks(
        protocol=protocol,
        direction=direction,
        keys=keys,
        video_ids=video_ids,
        rank_q=np.array(rank, dtype=np.int64),
        right_q=np.array(right, dtype=np.int64),
        candidates_q=np.array(candidates, dtype=np.int64),
    )


def _number(row: Row, column: str) -> int:
    text = row[column]
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{row.where}: {column} is {text!r}, expected a whole number from 1")
    return int(text)
