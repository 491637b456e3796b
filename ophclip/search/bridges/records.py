"""What travels over a bridge: moments that were found, and what a person says of stretches of video."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A hit and what was asked for."""

    query: str
    video_id: str
    path: Path
    """The video's file."""
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What a person says of a stretch of video."""

    label: str
    video: str
    """Name of its file where that is known, else its id."""
    start_seconds: float
    end_seconds: float
    present: bool
    where: str
    """File and item, for messages."""


def read_moments(text: str, name: str) -> tuple[Moment, ...]:
    """Hits as `ophclip search --json` prints them, one a line; `name` is what messages call the text.

    Raises:
        ValueError: a line is none; names it.
    """
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise ValueError(f"{name}: no hit in it; expected what `ophclip search --json` prints")
    return tuple(_moment(line, f"{name}, line {number}") for number, line in lines)


def _moment(line: str, where: str) -> Moment:
    try:
        tree = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where}: not JSON ({error}); expected a hit as `ophclip search --json` prints it") from error
    fields = object_of(tree, where)
    start, end = span_of(fields, "start_seconds", "end_seconds", where)
    return Moment(
        query=plain(text_of(fields, "query", where)),
        video_id=text_of(fields, "video_id", where),
        path=Path(text_of(fields, "path", where)),
        start_seconds=start,
        end_seconds=end,
        score=number_of(fields, "score", where),
    )


def plain(text: str) -> str:
    """Text on one line, with single spaces."""
    return " ".join(text.split())


def object_of(value: Any, where: str) -> Mapping[str, Any]:
    """A JSON object; ValueError names the place of anything else."""
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected a JSON object, found {_shown(value)}")
    return value


def list_of(value: Any, where: str) -> list[Any]:
    """A JSON list; ValueError names the place of anything else."""
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a list, found {_shown(value)}")
    return value


def text_of(fields: Mapping[str, Any], key: str, where: str) -> str:
    """A text that is not empty; ValueError names place and field."""
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {key} is {_shown(value)}; expected a text")
    return value


def number_of(fields: Mapping[str, Any], key: str, where: str) -> float:
    """A finite number; ValueError names place and field."""
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{where}: {key} is {_shown(value)}; expected a number")
    return float(value)


def span_of(fields: Mapping[str, Any], first: str, last: str, where: str) -> tuple[float, float]:
    """Two seconds that follow each other; ValueError names place and fields."""
    start, end = number_of(fields, first, where), number_of(fields, last, where)
    if not 0 <= start < end:
        raise ValueError(f"{where}: {first} {start:g} and {last} {end:g}; expected 0 or more, and a later end")
    return start, end


def frames_of(value: Iterable[Any], where: str) -> tuple[int, int]:
    """First and last frame, counted from 1; ValueError names the place."""
    given = list(value)
    whole = [one for one in given if isinstance(one, int | float) and not isinstance(one, bool) and one == int(one)]
    if len(given) != 2 or len(whole) != 2 or not 1 <= whole[0] <= whole[1]:
        raise ValueError(f"{where}: frames {given}; expected the first and the last, counted from 1")
    return int(whole[0]), int(whole[1])


def _shown(value: Any) -> str:
    return json.dumps(value)[:40] if value is not None else "missing"
