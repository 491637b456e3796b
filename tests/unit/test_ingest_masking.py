"""Text burned into the pictures of one video does not reach its samples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawing import FONTS, Pixels, burn
from moving_text import MOTIONS, panned, simulated, titled

from ingest.config.pictures import OverlayConfig
from ingest.pictures.masking import Masks, between, chosen, find_masks
from ingest.pictures.overlays import TextReader
from ingest.pictures.strokes import strangest, strokes
from ingest.spool import Spool

CONFIG = OverlayConfig(frames=4)
Box = tuple[int, int, int, int] | None


def tissue(number: int) -> Pixels:
    """A soft red picture without letters."""
    rng = np.random.default_rng(number)
    rough = rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)
    rough[..., 1:] //= 2
    return np.asarray(cv2.resize(rough, (456, 342), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def spooled(folder: Path, pictures: Iterable[Pixels]) -> Spool:
    spool = Spool(folder, 90)
    for number, picture in enumerate(pictures):
        spool.add(number / 2, picture)
    return spool


def test_pictures_are_spread_and_scenes_are_opened(tmp_path: Path) -> None:
    with spooled(tmp_path, [tissue(0)] * 21) as spool:
        assert chosen(spool.seconds, (), 3) == [0, 10, 20]
        assert chosen(spool.seconds, (3.1, 10.0), 3) == [0, 7, 10, 20]
    with spooled(tmp_path, [tissue(0)]) as spool:
        assert chosen(spool.seconds, (), 3) == [0]


@pytest.mark.parametrize("first", [1, 33, 57])
def test_text_that_appears_without_a_cut_is_the_strangest(tmp_path: Path, first: int) -> None:
    with spooled(tmp_path, briefly([tissue(0)] * 60, first, 2, "boxed")[0]) as spool:
        grids = np.stack([strokes(spool.pixels(place)) for place in range(60)])
        assert strangest(grids, 342, chosen(spool.seconds, (), 3), (), ()) in (first, first + 1)


def test_gaps_are_halved() -> None:
    assert between([0, 10, 20], 21, 3) == [2, 5, 15]
    assert between([0, 1, 2], 3, 3) == []
    assert between([], 9, 1) == [4]


def briefly(
    frames: list[Pixels], first: int, count: int, contrast: str, size: float = 0.07
) -> tuple[list[Pixels], list[Box]]:
    """The frames with a name burned into some, and where it stands, for each picture."""
    shown = list(frames)
    boxes: list[Box] = [None] * len(frames)
    for place in range(first, first + count):
        one = burn(
            frames[place],
            "MUELLER, ANNA 12.03.1956",
            np.random.default_rng(5),
            size_share=size,
            contrast=contrast,
            name=FONTS[0],
        )
        shown[place], boxes[place] = one.pixels_hwc, one.box
    return shown, boxes


def hidden(masks: Masks, spool: Spool, boxes: list[Box]) -> list[bool]:
    """Of each picture with text, whether nine tenths of it are painted over or the video is refused."""
    found = []
    for place, box in enumerate(boxes):
        if box is not None:
            x, y, width, height = box
            painted = masks.painted(spool.seconds[place], spool.pixels(place))[y : y + height, x : x + width]
            found.append(bool(masks.refusal) or bool((painted == 0).all(axis=2).mean() > 0.9))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "count", "contrast"),
    [
        (0, 60, "outlined"),
        (0, 4, "plain"),
        (0, 4, "boxed"),
        (23, 4, "outlined"),
        (23, 4, "plain"),
        (31, 12, "boxed"),
    ],
)
def test_a_name_is_hidden_however_long_it_stands_over_moving_surgery(
    real_data: Path, tmp_path: Path, first: int, count: int, contrast: str
) -> None:
    paths = sorted((real_data / "cataract1k" / "images").glob("*.png"))
    still = cv2.resize(cv2.imread(str(paths[count % len(paths)])), (512, 384))[..., ::-1]
    frames = [np.ascontiguousarray(np.roll(still, (place % 5, place % 7), (0, 1))) for place in range(60)]
    shown, boxes = briefly(frames, first, count, contrast)
    with spooled(tmp_path, shown) as spool:
        masks = find_masks(TextReader(OverlayConfig()), spool, range(len(shown)), (), OverlayConfig())
        found = hidden(masks, spool, boxes)
        assert all(found), (sum(found), len(found))
        without = [place for place, box in enumerate(boxes) if box is None and not masks.at(spool.seconds[place])]
        assert len(without) >= (60 - count) // 2, "most pictures without text stay as they are"


@pytest.mark.slow
def test_a_name_that_stands_throughout_is_painted_over_and_clean_pictures_are_left_alone(tmp_path: Path) -> None:
    reader = TextReader(CONFIG)
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
        masks = find_masks(reader, named, range(8), (), CONFIG)
        assert not masks.refusal
        assert "painted over" in masks.told()
        assert "MUELLER" not in masks.told()
        for place, (x, y, width, height) in enumerate(boxes):
            painted = masks.painted(named.seconds[place], named.pixels(place))
            assert (painted[y : y + height, x : x + width] == 0).all(axis=2).mean() > 0.9
        nothing = find_masks(reader, clean, range(8), (), CONFIG)
        assert (nothing.told(), nothing.at(1.0), nothing.refusal) == ("", (), "")


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(MOTIONS))
def test_a_name_that_moves_is_hidden_in_every_picture_or_the_video_is_refused(
    real_data: Path, tmp_path: Path, kind: str
) -> None:
    rng = np.random.default_rng([1, len(kind)])
    on_tissue = kind in ("jumps", "credits")
    frames = panned(real_data, 48, rng) if on_tissue else simulated(48, 1)
    shown = titled(frames, MOTIONS[kind], rng, size_share=float(rng.uniform(0.03, 0.07)))
    with spooled(tmp_path, shown.pictures) as spool:
        masks = find_masks(TextReader(OverlayConfig()), spool, range(48), (), OverlayConfig())
        for place, boxes in enumerate(shown.boxes):
            painted = masks.painted(spool.seconds[place], spool.pixels(place))
            for x, y, width, height in boxes:
                black = (painted[y : y + height, x : x + width] == 0).all(axis=2).mean()
                assert masks.refusal or black >= 0.9, (place, black)
