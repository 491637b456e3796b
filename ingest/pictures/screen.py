"""Whether a picture shows surgery: by rules that say their reason, or by a zero-shot model.

T pictures, H and W their size. A picture that no rule speaks against counts as surgery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import ScreenConfig, ScreenKind

_SIDE_PX = 96
"""Short side at which the rules look: letters stay edges, the noise of a video goes away."""
_LIT_LEVEL = 32
"""Grey level from which a pixel is lit; the surroundings of an endoscope's circle are not."""
_EVEN_RANGE, _HARD_RANGE = 4, 70
"""Grey levels between neighbours: up to the first even, above the second a hard edge."""
_LEAST_CHROMA = 8.0
"""Below this mean distance of the colour channels a picture is grey."""
_LEVELS = np.arange(256, dtype=np.float32)
_REDDER_THAN_GREEN, _REDDER_THAN_BLUE, _GREENER_THAN_BLUE = (
    np.minimum(np.float32(share) * _LEVELS, 255).astype(np.uint8) for share in (1.12, 1.25, 0.7)
)
"""The warm colours of tissue: red above these levels of green and of blue, green above these of blue."""
_FACE_SIDE_PX, _FACE_PX = 88, 20
"""Short side at which a face is looked for, and the least face in it: OpenCV's cascade knows none smaller."""
_MOST_TISSUE_OF_FACES = 0.6
"""With more tissue than this in the lit picture nobody is looked for: a face leaves room for hair, clothes and wall."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a screener says of one picture."""

    surgery: bool
    reason: str
    """Empty for surgery, else `black`, `lettering`, `flat`, `no tissue`, `face` or `not surgery` (zero-shot)."""
    score: float
    """From 0 (surely not) to 1 (surely surgery): for a rule 0.5 at its threshold, for a model its probability."""


class Screener(Protocol):
    """Judges pictures one by one."""

    def judge(self, pixels_thwc: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> list[Verdict]:
        """One verdict for each uint8 RGB picture [H, W, 3]."""
        ...


def build_screener(config: ScreenConfig) -> Screener | None:
    """The screener that `config` names, None if screening is off.

    Raises ValueError in one line if its model cannot be loaded.
    """
    if config.kind is ScreenKind.OFF:
        return None
    if config.kind is ScreenKind.ZERO_SHOT:
        from ingest.pictures.zero_shot import ZeroShotScreener

        return ZeroShotScreener(config)
    return RuleScreener(config)


def surgery_share(verdicts: Sequence[Verdict]) -> float:
    """Share of the pictures that show surgery; 1 without any picture, since nothing speaks against it."""
    return sum(verdict.surgery for verdict in verdicts) / len(verdicts) if verdicts else 1.0


def main_reason(verdicts: Sequence[Verdict]) -> str:
    """The reason given most often, the first in the alphabet among equals; empty if all is surgery."""
    reasons = sorted(verdict.reason for verdict in verdicts if not verdict.surgery)
    return max(dict.fromkeys(reasons), key=reasons.count, default="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What the rules look at; shares are of the lit picture."""

    level: float
    lit_share: float
    even_share: float
    edge_share: float
    tissue_share: float
    chroma: float


def features(pixels_hwc: NDArray[np.uint8]) -> Features:
    """Measure one uint8 RGB picture [H, W, 3] of any size."""
    return _features(_small(pixels_hwc))


class RuleScreener:
    """Rules from the cheapest to the dearest; the first that fires is the reason."""

    def __init__(self, config: ScreenConfig) -> None:
        self._config = config
        self._faces = _face_finder() if config.faces else None

    def judge(self, pixels_thwc: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> list[Verdict]:
        """One verdict for each uint8 RGB picture [H, W, 3]; 1 to 3 ms each."""
        return [self._judge(pixels) for pixels in pixels_thwc]

    def _judge(self, pixels_hwc: NDArray[np.uint8]) -> Verdict:
        found, config = features(pixels_hwc), self._config
        margins = {
            "black": _margin(found.level, config.max_black_level, 255.0),
            "lettering": 1.0 - _margin(found.edge_share, config.max_edge_share, 1.0),
            "flat": 1.0 - _margin(found.even_share, config.max_flat_share, 1.0),
        }
        if found.chroma >= _LEAST_CHROMA:
            margins["no tissue"] = _margin(found.tissue_share, config.min_tissue_share, 1.0)
        for reason, margin in margins.items():
            if margin < 0.5:
                return Verdict(surgery=False, reason=reason, score=margin)
        coloured = found.chroma >= _LEAST_CHROMA and found.tissue_share < _MOST_TISSUE_OF_FACES
        if self._faces is not None and coloured and self._faces(pixels_hwc):
            return Verdict(surgery=False, reason="face", score=0.25)
        return Verdict(surgery=True, reason="", score=min(margins.values()))


def _margin(value: float, threshold: float, most: float) -> float:
    """0 to 1, rising with `value`: 0 at 0, 0.5 at the threshold, 1 at `most`."""
    if value < threshold:
        return 0.5 * value / threshold
    return 0.5 + 0.5 * (value - threshold) / (most - threshold) if most > threshold else 0.5


def _small(pixels_hwc: NDArray[np.uint8], side_px: int = _SIDE_PX) -> NDArray[np.uint8]:
    height, width = pixels_hwc.shape[:2]
    share = side_px / min(height, width)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small: NDArray[np.uint8] = cv2.resize(pixels_hwc, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small


def _features(small: NDArray[np.uint8]) -> Features:
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    spread = cv2.subtract(cv2.dilate(grey, np.ones((3, 3))), cv2.erode(grey, np.ones((3, 3))))
    lit = grey > _LIT_LEVEL
    count = max(int(lit.sum()), 1)
    red, green, blue = cv2.split(small)
    warm = (red > cv2.LUT(green, _REDDER_THAN_GREEN)) & (red > cv2.LUT(blue, _REDDER_THAN_BLUE))
    warm &= (green > cv2.LUT(blue, _GREENER_THAN_BLUE)) & lit
    chroma = cv2.subtract(cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue))
    return Features(
        level=float(np.percentile(grey, 99)),
        lit_share=float(lit.mean()),
        even_share=int(((spread <= _EVEN_RANGE) & lit).sum()) / count,
        edge_share=int(((spread > _HARD_RANGE) & lit).sum()) / count,
        tissue_share=int(warm.sum()) / count,
        chroma=float(chroma[lit].mean()) if lit.any() else 0.0,
    )


def _face_finder() -> Callable[[NDArray[np.uint8]], bool]:
    folder = Path(cv2.__file__).parent / "data"  # the wheel carries its cascades there
    cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))

    def found(pixels_hwc: NDArray[np.uint8]) -> bool:
        grey = cv2.cvtColor(_small(pixels_hwc, _FACE_SIDE_PX), cv2.COLOR_RGB2GRAY)
        return len(cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(_FACE_PX, _FACE_PX))) > 0

    return found
