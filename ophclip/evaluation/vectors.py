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


def window_means(vectors_td: Floats, fps: float, window_seconds: float) -> Floats:
    """Each frame's vector as the mean over the frames within a window centred on it; 0 seconds leaves them alone."""
    reach = int(window_seconds * fps / 2)
    if reach == 0:
        return vectors_td
    total = np.concatenate([np.zeros((1, vectors_td.shape[1])), np.cumsum(vectors_td, axis=0)])
    first_t = np.maximum(np.arange(len(vectors_td)) - reach, 0)
    last_t = np.minimum(np.arange(len(vectors_td)) + reach + 1, len(vectors_td))
    return np.asarray((total[last_t] - total[first_t]) / (last_t - first_t)[:, None])
