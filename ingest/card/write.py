"""The data card as files: `card.md` and `card.html` in the corpus, and their pictures in `card/`."""

from __future__ import annotations

import base64
from importlib import resources
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest import atomic
from ingest.card.facts import Facts, gather
from ingest.records import Sample
from ingest.shards import decode_jpeg, encode_jpeg

_TILE_WIDTH_PX, _TILE_HEIGHT_PX = 240, 180
_FRAMES = 4


def write_card(corpus: Path) -> tuple[Path, Path]:
    """Write the data card of a corpus; returns its Markdown and HTML. Raises ValueError in one line without shards."""
    facts = gather(corpus)
    strips = [strip(sample) for sample in facts.examples]
    pictures = {f"example-{number:02d}.jpg": encode_jpeg(pixels) for number, pixels in enumerate(strips)}
    lengths = _histogram(facts.clip_seconds)
    files = {**pictures, **({"clip_lengths.png": lengths} if lengths else {})}
    for name, data in files.items():
        atomic.write_bytes(corpus / "card" / name, data)
    markdown, html = corpus / "card.md", corpus / "card.html"
    atomic.write_text(markdown, _markdown(facts, list(pictures), bool(lengths)))
    atomic.write_text(html, _html(facts, list(pictures.values()), lengths))
    return markdown, html


def strip(sample: Sample) -> NDArray[np.uint8]:
    """A few frames of a sample side by side, uint8 RGB [H, W, 3]."""
    places = np.linspace(0, len(sample.jpegs) - 1, min(_FRAMES, len(sample.jpegs))).round().astype(int)
    tiles = [_tile(decode_jpeg(sample.jpegs[place])) for place in places]
    tiles += [np.full_like(tiles[0], 255)] * (_FRAMES - len(tiles))
    return np.concatenate(tiles, axis=1)


def _tile(pixels_hwc: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture in a frame of fixed size, its shape kept."""
    height, width = pixels_hwc.shape[:2]
    scale = min(_TILE_WIDTH_PX / width, _TILE_HEIGHT_PX / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(pixels_hwc, size, interpolation=cv2.INTER_AREA)
    tile = np.full((_TILE_HEIGHT_PX, _TILE_WIDTH_PX, 3), 255, dtype=np.uint8)
    top, left = (_TILE_HEIGHT_PX - size[1]) // 2, (_TILE_WIDTH_PX - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _histogram(clip_seconds: tuple[float, ...]) -> bytes:
    if not clip_seconds:
        return b""
    from matplotlib.figure import Figure as Plot

    plot = Plot(figsize=(6.0, 2.2), layout="constrained")
    axes = plot.subplots()
    axes.hist(clip_seconds, bins=min(40, max(5, len(clip_seconds) // 3)), color="#2a6f97")
    axes.set_xlabel("length of a clip in seconds")
    axes.set_ylabel("clips")
    axes.spines[["top", "right"]].set_visible(False)
    buffer = BytesIO()
    plot.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _markdown(facts: Facts, pictures: list[str], has_lengths: bool) -> str:
    lines = [f"# {facts.name}: data card", "", f"Shards: SHA-256 `{facts.fingerprint}`", ""]
    for table in facts.tables:
        lines += [f"## {table.title}", "", _row(table.headings), _row(("---",) * len(table.headings))]
        lines += [*map(_row, table.rows), "", *([table.note, ""] if table.note else [])]
    if has_lengths:
        lines += ["## Length of clips", "", "![Histogram](card/clip_lengths.png)", ""]
    lines += ["## Examples", ""]
    for name, sample in zip(pictures, facts.examples, strict=True):
        lines += [f"![{sample.key}](card/{name})", "", _as_words(caption(sample)), ""]
    return "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_as_words(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _as_words(text: str) -> str:
    """What others wrote, so that Markdown takes it for no tag, picture or link."""
    return text.replace("<", "&lt;").replace("[", "\\[")


def caption(sample: Sample) -> str:
    """Whose words a picture goes with, and from when to when."""
    words = f"“{sample.text}”" if sample.text else "no text"
    return f"{sample.video_id}, {sample.start_seconds:.1f} to {sample.end_seconds:.1f} s: {words}"


def _html(facts: Facts, pictures: list[bytes], lengths: bytes) -> str:
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((resources.files("ingest.card") / "card.html.j2").read_text(encoding="utf-8"))
    return template.render(
        facts=facts,
        lengths=_address(lengths, "png") if lengths else "",
        examples=[
            (_address(data, "jpeg"), caption(sample)) for data, sample in zip(pictures, facts.examples, strict=True)
        ],
    )


def _address(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
