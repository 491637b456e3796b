"""Which frames of a video are looked at, and spans of them pooled by the mean, without torch.

Shapes: T frames, W spans of them, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def grid_seconds(duration_seconds: float, fps: float) -> NDArray[np.float64]:
    """0, 1/fps, 2/fps, ... below the duration; at least one."""
    return np.arange(max(int(np.ceil(duration_seconds * fps - 1e-6)), 1), dtype=np.float64) / fps


def mean_of_spans(vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """The mean of each span (first, stop) of unit vectors [T, D], of unit length again: [W, D].

    A span of one frame is that frame.
    """
    first_w, stop_w = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    single_w = stop_w - first_w == 1
    if single_w.all():
        return np.asarray(vectors_td[first_w])
    totals_td = np.concatenate([np.zeros((1, vectors_td.shape[1])), np.cumsum(vectors_td, axis=0, dtype=np.float64)])
    means_wd = totals_td[stop_w] - totals_td[first_w]
    pooled_wd = (means_wd / np.maximum(np.linalg.norm(means_wd, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    pooled_wd[single_w] = vectors_td[first_w[single_w]]
    return np.asarray(pooled_wd)
