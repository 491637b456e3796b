"""What users hold as pictures and videos, as uint8 RGB arrays one at a time: PIL pictures, arrays, tensors, files.

Shapes: B pictures, T frames, H x W pixels, C = 3 channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from ingest.media import frame_blocks, probe
from ophclip.data.pictures import read_picture
from ophclip.models.spans import grid_seconds

Pixels: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = Image | Path | str | Pixels
_FRAMES_A_PASS = 256
_EXPECTED = "expected a PIL picture, a picture file, or uint8 RGB [H, W, 3]"


def pixels_of(picture: Picture) -> Pixels:
    """One picture as uint8 RGB [H, W, 3]; PIL's of other modes become RGB as open_clip makes them.

    Raises:
        ValueError: it is none, or has no pixels.
    """
    if isinstance(picture, Image):
        picture = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    elif isinstance(picture, Path | str):
        picture = read_picture(Path(picture))
    if not isinstance(picture, np.ndarray):
        raise ValueError(f"encode_image: {_EXPECTED}; found {type(picture).__name__}")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise ValueError(f"encode_image: {_EXPECTED}; found {picture.dtype} {list(picture.shape)}")
    return picture


def pictures_of(given: Picture | Iterable[Picture] | Tensor) -> Iterator[Pixels]:
    """One picture, several, an array uint8 [B, H, W, 3] or a tensor uint8 [B, 3, H, W], each read when it is asked for.

    Raises:
        ValueError: one of them is no picture.
    """
    if isinstance(given, Tensor):
        given = channels_last(given, 4)
    if isinstance(given, Image | Path | str) or (isinstance(given, np.ndarray) and given.ndim != 4):
        yield pixels_of(given)
        return
    for picture in given:
        yield pixels_of(picture)


def channels_last(frames: Tensor, dimensions: int) -> Pixels:
    """uint8 [..., 3, H, W] or [..., H, W, 3] of so many dimensions -> uint8 [..., H, W, 3].

    Raises:
        ValueError: it is neither.
    """
    sides = list(frames.shape)
    if str(frames.dtype) != "torch.uint8" or len(sides) != dimensions or 3 not in (sides[-1], sides[-3]):
        raise ValueError(
            f"pictures: found a tensor of {frames.dtype} {sides}; expected float [B, 3, S, S] as `preprocess` makes it "
            "([B, T, 3, S, S] of videos), or uint8 [..., 3, H, W]"
        )
    moved = frames.movedim(-3, -1) if sides[-3] == 3 else frames
    return np.asarray(moved.cpu().numpy(), dtype=np.uint8)


def frames_of_file(path: Path, fps: float, short_side_px: int) -> Iterator[Pixels]:
    """The frames that a video shows at 0, 1/fps, 2/fps, ... seconds, a few in memory at a time.

    Raises:
        ValueError: the file cannot be decoded.
    """
    seconds_t = grid_seconds(probe(path).duration_seconds, fps)
    for block in frame_blocks(path, seconds_t, _FRAMES_A_PASS, short_side_px=short_side_px):
        yield from block.pixels_thwc


def videos_of(given: Any, fps: float, short_side_px: int) -> Iterator[Iterator[Pixels]]:
    """The frames of one video or of each of several: files, arrays uint8 [T, H, W, 3], or pictures in their order.

    Raises:
        ValueError: one of them is no video.
    """
    if isinstance(given, Tensor):
        given = channels_last(given, 5 if given.ndim == 5 else 4)
    if isinstance(given, np.ndarray) and given.ndim not in (4, 5):
        raise ValueError(
            f"encode_video: found {given.dtype} {list(given.shape)}; expected uint8 [T, H, W, 3] of a video or "
            "[B, T, H, W, 3] of several"
        )
    several = isinstance(given, Sequence) and not isinstance(given, str) and len(given) > 0 and _is_video(given[0])
    if several or (isinstance(given, np.ndarray) and given.ndim == 5):
        for one in given:
            yield _frames_of(one, fps, short_side_px)
    elif not (isinstance(given, Sequence) and len(given) == 0):
        yield _frames_of(given, fps, short_side_px)


def _is_video(one: object) -> bool:
    return isinstance(one, Path | str) or (isinstance(one, np.ndarray) and one.ndim == 4)


def _frames_of(one: Any, fps: float, short_side_px: int) -> Iterator[Pixels]:
    return frames_of_file(Path(one), fps, short_side_px) if isinstance(one, Path | str) else pictures_of(one)
