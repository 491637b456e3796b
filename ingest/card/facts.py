"""What a data card says of a corpus, counted from its manifest and shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.manifest import Manifest, State, VideoRow
from ingest.records import Level, Sample
from ingest.shards import ShardReader
from ingest.status import count_rewriting, open_corpus

_SHOWN = 12
_LISTED = 15
Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One table of the card."""

    title: str
    headings: tuple[str, ...]
    rows: Rows
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """All that the card says."""

    name: str
    fingerprint: str
    """Of the shards."""
    tables: tuple[Figure, ...]
    clip_seconds: tuple[float, ...]
    """Length of every clip."""
    examples: tuple[Sample, ...]
    """Clips, and whole silent videos where there are no clips, to be shown."""


def gather(corpus: Path) -> Facts:
    """Count what a corpus holds. Raises ValueError in one line if there is none."""
    reader = ShardReader(corpus)
    with open_corpus(corpus) as manifest:
        rows = manifest.videos()
        tables = (_contents(rows, reader), _origin(rows), _attributes(manifest), *_losses(manifest, rows), _tools(rows))
        spans = [(start, end) for _id, _number, start, end, *_rest in manifest.table("clips")[1]]
    examples = tuple(reader.read(key) for key in _spread(_shown_keys(reader)))
    reader.close()
    return Facts(
        name=corpus.absolute().name,
        fingerprint=reader.fingerprint,
        tables=tuple(table for table in tables if table.rows),
        clip_seconds=tuple(end - start for start, end in spans),
        examples=examples,
    )


def _shown_keys(reader: ShardReader) -> list[str]:
    clips = [entry.key for entry in reader.entries(Level.CLIP)]
    return clips or [entry.key for entry in reader.entries(Level.VIDEO)]


def _spread(keys: Sequence[str]) -> list[str]:
    """Some of the keys, evenly over all of them."""
    count = min(_SHOWN, len(keys))
    return [keys[(2 * number + 1) * len(keys) // (2 * count)] for number in range(count)]


def _contents(rows: Sequence[VideoRow], reader: ShardReader) -> Figure:
    done = [row for row in rows if row.state is State.DONE]
    groups = {
        "narrated": [row for row in done if row.narrated],
        "silent": [row for row in done if not row.narrated],
        "left out": [row for row in rows if row.state in (State.REJECTED, State.FAILED)],
    }
    return Figure(
        title="What it holds",
        headings=("videos", "count", "hours", "hours of speech", "clips", "phases", "vague or no title"),
        rows=tuple((name, *_sums(group)) for name, group in groups.items() if group),
        note=", ".join(f"{len(reader.entries(level))} samples at {level.value} level" for level in Level),
    )


def _sums(group: Sequence[VideoRow]) -> tuple[str, ...]:
    hours = sum(row.duration_seconds for row in group) / 3600
    speech = sum(row.speech_seconds for row in group) / 3600
    counts = (sum(row.clips for row in group), sum(row.phases for row in group), sum(row.vague_title for row in group))
    return (str(len(group)), f"{hours:.2f}", f"{speech:.2f}", *map(str, counts))


def _origin(rows: Sequence[VideoRow]) -> Figure:
    done = [row for row in rows if row.state is State.DONE]
    found = Counter(
        (row.license or "unknown", row.consent or "unknown", row.split or "none", row.language or "none")
        for row in done
    )
    return Figure(
        title="Where it comes from",
        headings=("licence", "consent", "split", "language", "videos"),
        rows=tuple((*key, str(count)) for key, count in _frequent(found)),
        note="Videos of unknown licence or consent must not be published.",
    )


def _attributes(manifest: Manifest) -> Figure:
    _columns, rows = manifest.table("evidence")
    found = Counter((attribute.replace("_", " "), value) for _id, _number, attribute, value, *_rest in rows)
    return Figure(
        title="What the titles name",
        headings=("attribute", "value", "times found"),
        rows=tuple((*key, str(count)) for key, count in _frequent(found)),
    )


def _losses(manifest: Manifest, rows: Sequence[VideoRow]) -> Iterable[Figure]:
    videos = Counter(_kind(row.reason) for row in rows if row.state in (State.REJECTED, State.FAILED))
    texts = Counter((kind, _kind(reason)) for *_span, reason, kind in manifest.table("rejections")[1])
    changes = Counter((before, after) for *_span, before, after, _why in manifest.table("corrections")[1])
    yield Figure(
        title="Videos left out",
        headings=("reason", "videos"),
        rows=tuple((reason, str(count)) for reason, count in _frequent(videos)),
    )
    yield Figure(
        title="Text left out",
        headings=("what", "reason", "times"),
        rows=tuple((*key, str(count)) for key, count in _frequent(texts)),
        note="Every one stands in the manifest with its words, second and figures.",
    )
    yield Figure(
        title="Words changed",
        headings=("heard", "written", "times"),
        rows=tuple((*key, str(count)) for key, count in _frequent(changes)),
        note=str(count_rewriting(manifest)),
    )


def _kind(reason: str) -> str:
    """A reason without its figures and names."""
    for general in ("repeats", "evaluation video"):
        if reason.startswith(general):
            return general
    return reason.split(":", maxsplit=1)[0].split(" (", maxsplit=1)[0]


def _tools(rows: Sequence[VideoRow]) -> Figure:
    found = Counter((row.engine, row.model, row.recipe) for row in rows if row.state is State.DONE)
    return Figure(
        title="How it was made",
        headings=("engine", "model", "recipe", "videos"),
        rows=tuple((*key, str(count)) for key, count in _frequent(found)),
        note="A recipe is the checksum of all options that samples depend on.",
    )


def _frequent(found: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]
