"""Text that is burned into pictures: read by OCR, located in time, painted over.

H and W are the size of a picture; boxes are in its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import OverlayConfig

_LONG = 4
_SHORT_SIDE_PX = 384
"""To which smaller pictures are enlarged before they are searched. The library's 736 takes four times as long and
finds no more."""
_TALL = 0.1
"""Up to four letters and digits that are taller, in heights of the picture, are none: sutures were read as `1090`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TextBox:
    """An upright box around text that was read."""

    x: int
    y: int
    width: int
    height: int
    text: str
    score: float
    """How sure the recogniser is, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TransientBox:
    """Text that does not stand through the whole video."""

    box: TextBox
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlays:
    """What is burned into one video."""

    static: tuple[TextBox, ...]
    transient: tuple[TransientBox, ...]


class TextReader:
    """Holds the OCR models, which install with their library; nothing is fetched."""

    def __init__(self, config: OverlayConfig) -> None:
        from rapidocr import RapidOCR

        self._config = config
        self._engine: Any = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,
                "Det.limit_side_len": _SHORT_SIDE_PX,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read_text(self, pixels_hwc: NDArray[np.uint8]) -> tuple[TextBox, ...]:
        """Text in a uint8 RGB picture [H, W, 3], of two letters or digits and more, as sure as asked."""
        found = self._engine(np.ascontiguousarray(pixels_hwc[..., ::-1]))
        if found.boxes is None or found.txts is None:
            return ()
        read = zip(found.boxes, found.txts, found.scores, strict=True)
        boxes = [_upright(corners, str(text), float(score)) for corners, text, score in read]
        return tuple(box for box in boxes if self._believed(box, pixels_hwc.shape[0]))

    def _believed(self, box: TextBox, height: int) -> bool:
        count = sum(letter.isalnum() for letter in box.text)
        if count <= _LONG and box.height > _TALL * height:
            return False
        return count >= 2 and box.score >= (self._config.min_score if count >= _LONG else self._config.min_short_score)


def count_places(boxes: Sequence[TextBox]) -> int:
    """How many places the boxes stand at: those that lie over each other are one."""
    places: list[TextBox] = []
    for box in boxes:
        if not any(overlap(box, place) for place in places):
            places.append(box)
    return len(places)


def mask(pixels_hwc: NDArray[np.uint8], boxes: Sequence[TextBox], pad: float) -> NDArray[np.uint8]:
    """A copy with every box painted black, `pad` of its height wider on each side."""
    painted = pixels_hwc.copy()
    for box in boxes:
        more = round(pad * box.height) + 1
        top, left = max(0, box.y - more), max(0, box.x - more)
        painted[top : box.y + box.height + more, left : box.x + box.width + more] = 0
    return painted


def _upright(corners: NDArray[np.float32], text: str, score: float) -> TextBox:
    x, y, width, height = cv2.boundingRect(np.asarray(corners, np.float32))
    return TextBox(x=max(0, x), y=max(0, y), width=width, height=height, text=text, score=score)


def overlap(one: TextBox, other: TextBox) -> bool:
    """Whether more than half of the smaller box lies in the other."""
    wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    smaller = min(one.width * one.height, other.width * other.height)
    return wide > 0 and high > 0 and 2 * wide * high > smaller
