"""A screener that compares pictures with prompts through an open_clip model. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image

from ingest.config.pictures import ScreenConfig
from ingest.pictures.screen import Verdict
from ingest.weights import resolve_weights

_BATCH = 32


class ZeroShotScreener:
    """The probability of surgery is what the surgical prompts get of a softmax over all prompts."""

    def __init__(self, config: ScreenConfig) -> None:
        """Raises ValueError in one line if the model cannot be loaded."""
        self._least = config.min_surgery_probability
        self._surgical = len(config.surgery_prompts)
        self._model, self._preprocess, tokenizer = _load(config)
        with torch.inference_mode():
            texts = self._model.encode_text(tokenizer([*config.surgery_prompts, *config.other_prompts]))
        self._texts_pd = torch.nn.functional.normalize(texts, dim=-1)

    def judge(self, pixels_thwc: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> list[Verdict]:
        """One verdict for each uint8 RGB picture [H, W, 3]."""
        pictures = list(pixels_thwc)
        blocks = [pictures[first : first + _BATCH] for first in range(0, len(pictures), _BATCH)]
        return [self._verdict(probability) for block in blocks for probability in self._probabilities(block)]

    def _probabilities(self, pictures: Sequence[NDArray[np.uint8]]) -> list[float]:
        inputs = torch.stack([self._preprocess(Image.fromarray(pixels)) for pixels in pictures])
        with torch.inference_mode():
            seen = torch.nn.functional.normalize(self._model.encode_image(inputs), dim=-1)
            logits = self._model.logit_scale.exp() * seen @ self._texts_pd.T
            shares = logits.softmax(dim=-1)[:, : self._surgical].sum(dim=-1)
        return [float(share) for share in shares]

    def _verdict(self, probability: float) -> Verdict:
        surgery = probability >= self._least
        return Verdict(surgery=surgery, reason="" if surgery else "not surgery", score=probability)


def _load(config: ScreenConfig) -> tuple[Any, Any, Any]:
    folder = Path(config.model).expanduser()
    if (folder / "open_clip_config.json").is_file():
        name, weights = f"local-dir:{folder}", None
    elif config.model in open_clip.list_models():
        name, weights = config.model, str(resolve_weights(config.weights))
    else:
        raise ValueError(
            f"screen.model: {config.model!r} is no open_clip architecture and no folder with open_clip_config.json: "
            "give one of them"
        )
    try:
        model, _train, preprocess = open_clip.create_model_and_transforms(name, pretrained=weights)
    except (RuntimeError, OSError, KeyError, FileNotFoundError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"screen.weights: {config.weights or config.model} does not load ({first})") from error
    return model.eval(), preprocess, open_clip.get_tokenizer(name)
