"""A store into which vectors are put: what evaluation makes of them is real, only nothing is decoded or encoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from ophclip.evaluation.embedder import EmbeddedVideo
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.vectors import unit
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import Loaded, build_preprocess, build_tokenizer
from ophclip.models.dual_encoder import build_model


@dataclass(kw_only=True)
class PutStore(EmbeddingStore):
    """`put` gives a video its frames' vectors [T, D], one a second."""

    words: dict[str, Floats]
    given: dict[Path, EmbeddedVideo] = field(default_factory=dict)

    def put(self, path: Path, vectors_td: Floats, sha256: str = "") -> None:
        self.given[path] = EmbeddedVideo(
            seconds_t=np.arange(float(len(vectors_td))),
            vectors_td=unit(vectors_td).astype(np.float32),
            duration_seconds=float(len(vectors_td)),
            sha256=sha256 or str(path),
        )

    def video(self, path: Path) -> EmbeddedVideo:
        return self.given[path]

    def texts(self, sentences: Sequence[str]) -> Floats:
        return np.stack([self.words[sentence] for sentence in sentences])


def put_store(sentences: Sequence[str], dim: int) -> PutStore:
    """Sentences at right angles to each other; the model is only asked for its temperature, 1/100."""
    config = ModelConfig(
        name="tiny",
        embed_dim=dim,
        visual=VisualConfig(name="tiny", image_size_px=32),
        text=TextConfig(name="tiny", context_length=32),
    )
    model = build_model(config).eval()
    with torch.no_grad():
        model.log_logit_scale.fill_(math.log(100.0))
    loaded = Loaded(
        model=model,
        preprocess=build_preprocess(config.visual),
        tokenizer=build_tokenizer(config.text),
        config=config,
        weights_sha256="w",
    )
    words = dict(zip(sentences, np.eye(dim)[: len(sentences)], strict=True))
    return PutStore(model=loaded, words=words)
