"""An open_clip model from local files, and the vectors that it makes of pictures. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from ingest.weights import resolve_weights


def load_open_clip(model: str, weights: str, option: str) -> tuple[Any, Any, Any]:
    """Model, preprocessing and tokenizer of an open_clip folder, or of an architecture with a file of weights.

    Raises ValueError in one line that names `option` if it cannot be loaded.
    """
    folder = Path(model).expanduser()
    if (folder / "open_clip_config.json").is_file():
        name, pretrained = f"local-dir:{folder}", None
    elif model in open_clip.list_models():
        name, pretrained = model, str(resolve_weights(weights))
    else:
        raise ValueError(
            f"{option}.model: {model!r} is no open_clip architecture and no folder with open_clip_config.json: "
            "give one of them"
        )
    try:
        loaded, _train, preprocess = open_clip.create_model_and_transforms(name, pretrained=pretrained)
    except (RuntimeError, OSError, KeyError, FileNotFoundError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"{option}.weights: {weights or model} does not load ({first})") from error
    return loaded.eval(), preprocess, open_clip.get_tokenizer(name)


class OpenClipEmbedder:
    """Vectors of pictures by an open_clip model."""

    def __init__(self, model: str, weights: str) -> None:
        """Raises ValueError in one line if the model cannot be loaded."""
        self._model, self._preprocess, _tokenizer = load_open_clip(model, weights, "duplicates")

    def embed(self, pixels_thwc: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Vectors of length one, [T, D], of uint8 RGB pictures [H, W, 3]."""
        inputs = torch.stack([self._preprocess(Image.fromarray(pixels)) for pixels in pixels_thwc])
        with torch.inference_mode():
            seen = torch.nn.functional.normalize(self._model.encode_image(inputs), dim=-1)
        return seen.numpy().astype(np.float32)
