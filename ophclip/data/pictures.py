"""Pictures between the shard and the tower: decoding, squaring, normalising.

Shapes: T frames of H x W pixels, S the side of a square picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from torch import Tensor

STORED_MARGIN = 8 / 7
"""A training picture is decoded this much larger than the tower's, so that a random crop of it loses no detail: 256
pixels for a tower of 224, which is what shards hold, so that nothing is resampled (that nearly doubles the cost)."""


def stored_side_px(image_size_px: int) -> int:
    """Side of the square pictures in a batch for a tower that sees `image_size_px`."""
    return round(image_size_px * STORED_MARGIN)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture file as uint8 RGB [H, W, 3].

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected a picture and there is no such file")
    try:
        pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # it is empty, or claims to be larger than OpenCV allows
        pixels = None
    if pixels is None:
        raise ValueError(f"{path}: not a picture that can be read; expected JPEG or PNG")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def square(pixels_hwc: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """Resize the short side to `side_px`, then cut the centre: uint8 [H, W, 3] -> uint8 [S, S, 3].

    Shrinking averages over areas, enlarging is bilinear.
    """
    height, width = pixels_hwc.shape[:2]
    scale = side_px / min(height, width)
    new_width, new_height = max(side_px, round(width * scale)), max(side_px, round(height * scale))
    if (new_height, new_width) != (height, width):
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        resized = cv2.resize(pixels_hwc, (new_width, new_height), interpolation=interpolation)
        pixels_hwc = np.asarray(resized, dtype=np.uint8)
    top, left = (new_height - side_px) // 2, (new_width - side_px) // 2
    return pixels_hwc[top : top + side_px, left : left + side_px]


def decode_square(jpeg: bytes, side_px: int) -> NDArray[np.uint8]:
    """Decode a JPEG to uint8 RGB [S, S, 3], letting the decoder shrink as far as `side_px` allows.

    Raises:
        ValueError: the bytes are no JPEG.
    """
    pixels = simplejpeg.decode_jpeg(jpeg, colorspace="RGB", min_height=side_px, min_width=side_px)
    return square(pixels, side_px)


def normalise(frames_chw: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Turn uint8 RGB [..., 3, H, W] into float32 of the same shape: (x / 255 - mean) / std per channel."""
    mean_c11 = torch.tensor(mean, device=frames_chw.device).view(3, 1, 1)
    std_c11 = torch.tensor(std, device=frames_chw.device).view(3, 1, 1)
    return frames_chw.float().sub_(mean_c11 * 255.0).div_(std_c11 * 255.0)
