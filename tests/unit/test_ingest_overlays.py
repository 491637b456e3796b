"""Burned-in text is read over real surgery, painted over, and nothing is left of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drawing import FONTS, Burned, Pixels, burn, identity_text

from ingest.config.pictures import OverlayConfig
from ingest.pictures.overlays import TextBox, TextReader, count_places, mask
from ingest.pictures.tracks import follow


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(OverlayConfig())


def surgery(folder: Path) -> list[Pixels]:
    paths = sorted((folder / "cataract1k" / "images").glob("*.png"))
    return [np.ascontiguousarray(cv2.resize(cv2.imread(str(path)), (512, 384))[..., ::-1]) for path in paths]


def burned(frames: list[Pixels], count: int, seed: int = 3) -> list[Burned]:
    rng = np.random.default_rng(seed)
    kinds = ("outlined", "plain", "boxed")
    return [
        burn(
            frames[place % len(frames)],
            identity_text(rng),
            rng,
            size_share=float(rng.uniform(0.04, 0.09)),
            contrast=kinds[place % len(kinds)],
            name=FONTS[place % len(FONTS)],
        )
        for place in range(count)
    ]


def covered(one: Burned, reader: TextReader) -> float:
    """Share of the text's box that the masks of what was read would paint over."""
    white = np.full_like(one.pixels_hwc, 255)
    x, y, width, height = one.box
    painted = mask(white, reader.read_text(one.pixels_hwc), 0.25)[y : y + height, x : x + width]
    return float((painted == 0).mean())


def test_text_that_stands_is_static_and_is_gone_after_masking(real_data: Path, reader: TextReader) -> None:
    rng = np.random.default_rng(1)
    text = "MUELLER, ANNA 12.03.1956"
    ones = [
        burn(frame, text, np.random.default_rng(5), size_share=0.06, contrast="outlined", name=FONTS[0]).pixels_hwc
        for frame in surgery(real_data)[:3]
    ]
    ones[1] = burn(ones[1], "MRN 4711223", rng, size_share=0.07, contrast="boxed", name=FONTS[1]).pixels_hwc
    found = follow({place: reader.read_text(pixels) for place, pixels in enumerate(ones)}, 512, 384)
    assert found.static
    assert any("4711223" in one.box.text for one in found.covers)
    boxes = [*found.static, *(one.box for one in found.covers)]
    assert [box for pixels in ones for box in reader.read_text(mask(pixels, boxes, 0.25))] == []


def test_boxes_that_lie_over_each_other_are_one_place() -> None:
    boxes = [
        TextBox(x=x, y=y, width=80, height=10, text="A", score=1.0) for x, y in ((5, 5), (7, 6), (5, 200), (300, 5))
    ]
    assert count_places(boxes) == 3
    assert count_places([]) == 0


@pytest.mark.slow
def test_recall_over_real_frames_and_nothing_read_where_nothing_is(real_data: Path, reader: TextReader) -> None:
    frames = surgery(real_data)
    hidden = [covered(one, reader) >= 0.9 for one in burned(frames, 30)]
    assert sum(hidden) / len(hidden) >= 0.9
    assert [box for frame in frames for box in reader.read_text(frame)] == []
