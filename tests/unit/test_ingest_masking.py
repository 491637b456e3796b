"""Text burned into the pictures of one video does not reach its samples."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from drawing import FONTS, Pixels, burn

from ingest.config.pictures import OverlayConfig
from ingest.pictures.masking import build_reader, chosen, find_masks
from ingest.spool import Spool

CONFIG = OverlayConfig(frames=4)


def test_pictures_are_spread_and_scenes_are_opened() -> None:
    seconds = [place / 2 for place in range(21)]
    assert chosen(seconds, (), 3) == [0, 10, 20]
    assert chosen(seconds, (3.1, 10.0), 3) == [0, 7, 10, 20]
    assert chosen([0.0], (), 3) == [0]


def tissue(number: int) -> Pixels:
    """A soft red picture without letters."""
    rng = np.random.default_rng(number)
    rough = rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)
    rough[..., 1:] //= 2
    return np.asarray(cv2.resize(rough, (456, 342), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


@pytest.mark.slow
def test_a_name_that_stands_throughout_is_painted_over_and_clean_pictures_are_left_alone(tmp_path: Path) -> None:
    reader = build_reader(CONFIG)
    with Spool(tmp_path, 90) as named, Spool(tmp_path, 90) as clean:
        boxes = []
        for number in range(8):
            rng = np.random.default_rng(5)
            one = burn(
                tissue(number), "MUELLER, ANNA 12.03.1956", rng, size_share=0.07, contrast="boxed", name=FONTS[0]
            )
            boxes.append(one.box)
            named.add(number / 2, one.pixels_hwc)
            clean.add(number / 2, tissue(number))
        masks = find_masks(reader, named, (), CONFIG)
        assert not masks.remains
        assert "painted over" in masks.told()
        assert "MUELLER" not in masks.told()
        for place, (x, y, width, height) in enumerate(boxes):
            painted = masks.painted(named.seconds[place], named.pixels(place))
            assert (painted[y : y + height, x : x + width] == 0).all(axis=2).mean() > 0.9
        nothing = find_masks(reader, clean, (), CONFIG)
        assert (nothing.told(), nothing.at(1.0), nothing.remains) == ("", (), False)
