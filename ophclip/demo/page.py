"""The report as typed records, and the one function that turns them into a self-contained page."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from ingest.atomic import write_text
from ophclip.evaluation.report.page import Card


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A small table; the first column is text, the others are figures."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """A row of pictures under a heading; images are data addresses."""

    title: str
    text: str
    images: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusSection:
    """What went in and what became of it."""

    lead: str
    table: Table
    strips: tuple[Strip, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One sentence of a transcript with its frames; `refused` names why it was left out."""

    time: str
    text: str
    images: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscriptSection:
    """One video's words beside its pictures."""

    lead: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSection:
    """Prose over pictures."""

    lead: str
    images: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseSection:
    """Zero-shot figures and ribbons."""

    lead: str
    table: Table | None
    pictures: tuple[Strip, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HitView:
    """One search hit: where it is, what it looks like, and whether the truth agrees (empty where it is not known)."""

    video: str
    time: str
    score: str
    image: str
    link: str
    verdict: str = ""
    narration: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryView:
    """One query with its hits."""

    text: str
    score: str
    hits: tuple[HitView, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSection:
    """The searches."""

    lead: str
    queries: tuple[QueryView, ...]
    pointing: tuple[Strip, ...] = ()
    """Heat maps over right hits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingSection:
    """Seconds by stage."""

    lead: str
    table: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    cards: tuple[Card, ...]
    notes: tuple[str, ...]
    corpus: CorpusSection
    transcript: TranscriptSection | None
    training: PictureSection
    phases: PhaseSection
    search: SearchSection
    timings: TimingSection
    receipt: tuple[str, ...] = field(default=())


def clock(seconds: float) -> str:
    """Minutes and seconds with a tenth: 75.25 is `1:15.2`."""
    minutes, tenths = divmod(round(max(seconds, 0.0) * 10), 600)
    return f"{minutes}:{tenths / 10:04.1f}"


def write_page(page: Page, path: Path) -> None:
    """Render `page` into `path`, atomically."""
    template = resources.files("ophclip.demo").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    write_text(path, environment.from_string(template).render(page=page))
