"""From decoded pictures to what the visual tower takes. The same record travels in the bundle.

Shapes: T frames of H x W pixels, S the side of the tower's picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor
from torch.nn import functional as F

from ophclip.data.pictures import normalise, square
from ophclip.model_options import VisualConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """Short side to `image_size_px`, centre crop, (x / 255 - mean) / std."""

    image_size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, frames: Image | NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> Tensor:
        """uint8 RGB [T, H, W, 3], or T pictures [H, W, 3] of any sizes -> float32 [T, 3, S, S].

        A PIL picture, which becomes RGB first, gives [3, S, S], as open_clip's transforms do.

        Raises:
            ValueError: no picture, or one that is not uint8 [H, W, 3].
        """
        if isinstance(frames, Image):
            return self([np.asarray(frames.convert("RGB"), dtype=np.uint8)])[0]
        if len(frames) == 0:
            raise ValueError("preprocess: no pictures given, expected at least one uint8 [H, W, 3]")
        for pixels in frames:
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                raise ValueError(f"preprocess: expected uint8 [H, W, 3], found {pixels.dtype} {list(pixels.shape)}")
        squares_thwc = np.stack([square(pixels, self.image_size_px) for pixels in frames])
        return self.normalise(torch.from_numpy(squares_thwc).permute(0, 3, 1, 2))

    def normalise(self, frames: Tensor) -> Tensor:
        """uint8 RGB [..., 3, H, W], square, on any device -> float32 [..., 3, S, S]; other sizes are resized first."""
        side = self.image_size_px
        if frames.shape[-1] != side or frames.shape[-2] != side:
            flat = frames.reshape(-1, *frames.shape[-3:]).float()
            resized = F.interpolate(flat, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
            frames = resized.reshape(*frames.shape[:-2], side, side)
        return normalise(frames, self.mean, self.std)


def build_preprocess(config: VisualConfig) -> Preprocess:
    """The preprocessing that belongs to a visual tower."""
    red, green, blue = config.mean
    red_std, green_std, blue_std = config.std
    return Preprocess(image_size_px=config.image_size_px, mean=(red, green, blue), std=(red_std, green_std, blue_std))
