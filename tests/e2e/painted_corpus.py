"""A corpus in the real shard format whose pictures are plain enough to be learned in seconds: a colour has a name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.records import Level, Sample
from ingest.shards import ShardWriter, encode_jpeg

COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 180, 40),
    "blue": (30, 40, 210),
    "yellow": (220, 210, 40),
    "white": (235, 235, 235),
    "black": (20, 20, 20),
}


def write_corpus(
    root: Path,
    *,
    narrated: int = 6,
    silent: int = 6,
    clips_per_video: int = 4,
    seed: int = 0,
    shown: str = "is shown",
    samples_per_shard: int = 1000,
) -> Path:
    """Videos of one colour each; narrations and titles say which. Silent video `untitled` has no title."""
    random = np.random.default_rng(seed)
    names = list(COLOURS)
    with ShardWriter(root / "shards", samples_per_shard) as writer:
        for number in range(narrated):
            colour = names[number % len(names)]
            for clip in range(clips_per_video):
                text = f"now the {colour} tissue {shown} {'again' if clip else 'first'}"
                writer.add(_sample(random, colour, text, f"narrated{number:02d}", clip * 4000))
            writer.add(_sample(random, colour, f"{colour} surgery", f"narrated{number:02d}", None))
        for number in range(silent):
            colour = names[number % len(names)]
            writer.add(_sample(random, colour, f"{colour} surgery", f"silent{number:02d}", None, narrated=False))
        writer.add(_sample(random, "red", "", "untitled", None, narrated=False))
    return root


def _sample(
    random: np.random.Generator, colour: str, text: str, video_id: str, start_ms: int | None, *, narrated: bool = True
) -> Sample:
    pictures = []
    for _ in range(6):
        pixels = np.asarray(COLOURS[colour]) + random.integers(-18, 18, (96, 112, 3))
        pictures.append(encode_jpeg(pixels.clip(0, 255).astype(np.uint8)))
    return Sample(
        key=video_id if start_ms is None else f"{video_id}-{start_ms:08d}",
        level=Level.VIDEO if start_ms is None else Level.CLIP,
        video_id=video_id,
        narrated=narrated,
        start_seconds=(start_ms or 0) / 1000,
        end_seconds=(start_ms or 0) / 1000 + 3,
        text=text,
        frame_seconds=tuple(n * 0.5 for n in range(6)),
        jpegs=tuple(pictures),
    )
