"""Arithmetic on frames' vectors, without torch.

Shapes: T frames, D width.
"""

from __future__ import annotations

import numpy as np

from ophclip.evaluation.metrics import Floats


def grid_seconds(duration_seconds: float, fps: float) -> Floats:
    """0, 1/fps, 2/fps, ... below the duration; at least one."""
    return np.arange(max(int(np.ceil(duration_seconds * fps - 1e-6)), 1), dtype=np.float64) / fps


def unit(vectors: Floats) -> Floats:
    """Rows scaled to length one; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))


def window_spans(frames: int, fps: float, window_seconds: float) -> list[tuple[int, int]]:
    """For each frame the frames (first, stop) within a window centred on it; 0 seconds leave it alone."""
    reach = int(window_seconds * fps / 2)
    return [(max(place - reach, 0), min(place + reach + 1, frames)) for place in range(frames)]
