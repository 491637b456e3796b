"""A page about results as typed records.

Every picture carries the numbers that it was drawn from: as a table to unfold, and as a CSV within the page.
"""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import dataclass

from matplotlib.figure import Figure

from ophclip.evaluation.plots import figure_bytes

UNFOLDED_ROWS = 120
"""A table of more rows than this is given as CSV only."""
UNFOLDED_COLUMNS = 21
_PX_AN_INCH = 108


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table with a caption; the first `words` columns are text, the others are figures."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    folded: bool = False
    """Whether it is shown only when it is asked for."""

    @property
    def unfolds(self) -> bool:
        """Whether it is small enough to be read on the page."""
        return len(self.rows) <= UNFOLDED_ROWS and len(self.headings) <= UNFOLDED_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture as a data address, what it shows in words, and the numbers behind it."""

    title: str
    text: str
    alt: str
    image: str
    numbers: Table
    file: str
    """Name under which the numbers are saved, without suffix."""
    widest_px: int
    """At this width its words are as large as those of other pictures."""
    width_px: int = 640
    """It is not drawn narrower; on a narrow screen it scrolls."""

    @property
    def csv(self) -> str:
        """The numbers as a data address."""
        return csv_address(self.numbers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Prose, then tables, then pictures."""

    anchor: str
    title: str
    lead: str
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One headline figure."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """Something that the figures depend on; `code` is what a machine reads: a hash, a command."""

    term: str
    text: str
    code: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The whole report. `alarms` say why the figures must not be believed, `warnings` how to read them."""

    title: str
    subtitle: str
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]
    cards: tuple[Card, ...]
    facts: tuple[Fact, ...]
    sections: tuple[Section, ...]
    paper: Table
    """The rows that go into a paper."""
    receipt: tuple[str, ...]


def drawn(
    figure: Figure, *, title: str, text: str, alt: str, numbers: Table, file: str, width_px: int = 640
) -> Picture:
    """A figure as a picture within the page."""
    return Picture(
        title=title,
        text=text,
        alt=alt,
        image=image_address(figure_bytes(figure, "svg")),
        numbers=numbers,
        file=file,
        widest_px=round(figure.get_figwidth() * _PX_AN_INCH),
        width_px=width_px,
    )


def image_address(data: bytes) -> str:
    """The picture itself as a `data:` address, so that the page is one file."""
    kind = "png" if data.startswith(b"\x89PNG") else "svg+xml" if data.lstrip().startswith(b"<") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def csv_address(table: Table) -> str:
    """The table as CSV in a `data:` address."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows((table.headings, *table.rows))
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(buffer.getvalue().encode()).decode('ascii')}"
