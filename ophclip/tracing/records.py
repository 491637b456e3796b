"""A chain of links, each with its facts, and how it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ingest.options import Option

_NAME_WIDTH = 18
_MOST_ROWS = 12
"""Longer mappings, such as all options of a training, are counted."""


class Standing(Option):
    """How a link stands."""

    HOLDS = "holds"
    BROKEN = "broken"
    """It should be there and is not, or is not what it was."""
    ABSENT = "absent"
    """It is no part of this chain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One link: what is known, and where it does not hold, why."""

    name: str
    standing: Standing
    facts: Mapping[str, Any]
    """Plain values, lists and mappings of them; what is empty is not known."""
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """The chain behind one second of one video."""

    place: str
    video_id: str
    second: float
    links: tuple[Link, ...]

    @property
    def broken(self) -> tuple[Link, ...]:
        """The links that do not hold."""
        return tuple(link for link in self.links if link.standing is Standing.BROKEN)

    def to_json(self) -> dict[str, Any]:
        """Plain tree."""
        links = [{**asdict(link), "standing": link.standing.value} for link in self.links]
        return {"place": self.place, "video_id": self.video_id, "second": self.second, "links": links}

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.video_id} at {self.second:g} s, from {self.place}"
        for link in self.links:
            mark = {Standing.HOLDS: "", Standing.BROKEN: "BROKEN: ", Standing.ABSENT: "none: "}[link.standing]
            yield f"{link.name}" + (f"  {mark}{link.reason}" if mark else "")
            for name, value in link.facts.items():
                yield from _told(name.replace("_", " "), value)


def holds(name: str, /, **facts: Any) -> Link:
    """A link that stands."""
    return Link(name=name, standing=Standing.HOLDS, facts=facts)


def broken(name: str, reason: str, /, **facts: Any) -> Link:
    """A link that does not."""
    return Link(name=name, standing=Standing.BROKEN, facts=facts, reason=reason)


def absent(name: str, reason: str, /, **facts: Any) -> Link:
    """A link that this chain does not have."""
    return Link(name=name, standing=Standing.ABSENT, facts=facts, reason=reason)


def _told(name: str, value: Any) -> Iterator[str]:
    """Lists and mappings over several lines, what lies deeper left to the JSON."""
    if isinstance(value, Mapping) and len(value) > _MOST_ROWS:
        value = f"{len(value)}, with --json"
    if isinstance(value, Mapping):
        value = [f"{key}: {_short(one)}" for key, one in value.items()]
    rows = value if isinstance(value, list | tuple) else [value]
    for number, row in enumerate(rows or [None]):
        yield f"  {name if not number else '':<{_NAME_WIDTH}} {_row(row) if isinstance(row, Mapping) else _short(row)}"


def _row(row: Mapping[str, Any]) -> str:
    cells = {key: cell for key, cell in row.items() if cell != "" and not isinstance(cell, list | tuple | Mapping)}
    start, end = cells.pop("start_seconds", None), cells.pop("end_seconds", None)
    span = [] if start is None else [f"{start:.2f}-{end:.2f} s"]
    return "  ".join([*span, *(f"{key.replace('_', ' ')}: {_short(cell)}" for key, cell in cells.items())])


def _short(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
