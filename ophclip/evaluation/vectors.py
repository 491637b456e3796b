"""Arithmetic on frames' vectors, without torch.

Shapes: T frames, D width.
"""

from __future__ import annotations

import numpy as np

from ophclip.evaluation.metrics import Floats
from ophclip.models.spans import grid_seconds

__all__ = ["grid_seconds", "unit", "window_spans"]


def unit(vectors: Floats) -> Floats:
    """Rows scaled to length one; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def window_spans(frames: int, fps: float, window_seconds: float) -> list[tuple[int, int]]:
    """For each frame the frames (first, stop) within a window centred on it; 0 seconds leave it alone."""
    reach = int(window_seconds * fps / 2)
    return [(max(place - reach, 0), min(place + reach + 1, frames)) for place in range(frames)]
