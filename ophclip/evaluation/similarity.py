"""How well each second of a video fits what is said about each class.

Shapes: T frames, C classes, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.embedder import Encoder
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.embedding_folder import EmbeddingFolder
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.vectors import window_spans


@dataclass(frozen=True, kw_only=True, slots=True)
class SimilarityCurve:
    """Cosine of each class' prompts with the picture over time: `scores_tc` [T, C] at `seconds_t`."""

    classes: tuple[str, ...]
    seconds_t: Floats
    scores_tc: Floats


def open_store(model: Encoder | EmbeddingFolder, config: ZeroShotConfig, cache: Path | None = None) -> EmbeddingStore:
    """The store that phases, presence and single videos of one model should share."""
    return EmbeddingStore(model=model, fps=config.fps, batch_frames=config.batch_frames, folder=cache)


def score_video(
    store: EmbeddingStore, path: Path, prompts: PromptSet, config: ZeroShotConfig, style: Style = Style.ENSEMBLE
) -> SimilarityCurve:
    """Similarity of every class of `prompts` with every scored second of one video."""
    vectors_cd = class_vectors(store, prompts, style)
    labels = tuple(entry.label for entry in prompts.classes)
    seconds_t, scores_tc = similarity(store, path, vectors_cd, config)
    return SimilarityCurve(classes=labels, seconds_t=seconds_t, scores_tc=scores_tc)


def similarity(store: EmbeddingStore, path: Path, vectors_cd: Floats, config: ZeroShotConfig) -> tuple[Floats, Floats]:
    """Seconds [T] and cosines [T, C] of one video with class vectors [C, D]."""
    embedded = store.video(path)
    spans = window_spans(len(embedded.vectors_td), config.fps, config.window_seconds)
    pooled_td = store.model.pool_spans(embedded.vectors_td, spans)
    return embedded.seconds_t, np.asarray(pooled_td.astype(np.float64) @ vectors_cd.T)
