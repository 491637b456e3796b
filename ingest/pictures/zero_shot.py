"""A screener that compares pictures with prompts through an open_clip model. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ingest.config.pictures import ScreenConfig
from ingest.pictures.open_clip_model import load_open_clip
from ingest.pictures.screen import Verdict

_BATCH = 32


class ZeroShotScreener:
    """The probability of surgery is what the surgical prompts get of a softmax over all prompts."""

    def __init__(self, config: ScreenConfig) -> None:
        """Raises ValueError in one line if the model cannot be loaded."""
        self._least = config.min_surgery_probability
        self._surgical = len(config.surgery_prompts)
        self._model, self._preprocess, tokenizer = load_open_clip(config.model, config.weights, "screen")
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
