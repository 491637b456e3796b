"""The k-NN probe: the nearest labelled seconds vote, weighted by their cosine (Wu et al., CVPR 2018).

Shapes: N labelled seconds that are learned from, Q that are asked, C classes, D width, K neighbours.
"""

from __future__ import annotations

import numpy as np

from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.probes.samples import Features
from ophclip.evaluation.vectors import unit

_ASKED_AT_ONCE = 1024


def knn_scores(
    learned_nd: Features, truth_nc: Floats, asked_qd: Features, *, neighbours: int, temperature: float
) -> Floats:
    """The share of the votes of each class [Q, C] among the nearest by cosine; a neighbour votes with
    exp(cosine / temperature), of presence only on the classes of which something is said there. Without a vote: 0.
    """
    learned_nd, asked_qd = (unit(part.astype(np.float64)).astype(np.float32) for part in (learned_nd, asked_qd))
    count = min(neighbours, len(learned_nd))
    known_nc = ~np.isnan(truth_nc)
    votes_nc = np.where(known_nc, truth_nc, 0.0)
    parts = []
    for first in range(0, len(asked_qd), _ASKED_AT_ONCE):
        cosines_qn = asked_qd[first : first + _ASKED_AT_ONCE] @ learned_nd.T
        nearest_qk = np.argpartition(-cosines_qn, count - 1, axis=1)[:, :count]
        near_qk = np.take_along_axis(cosines_qn, nearest_qk, axis=1).astype(np.float64)
        weights_qk = np.exp((near_qk - near_qk.max(axis=1, keepdims=True)) / temperature)
        voted_qc = np.einsum("qk,qkc->qc", weights_qk, votes_nc[nearest_qk])
        total_qc = np.einsum("qk,qkc->qc", weights_qk, known_nc[nearest_qk].astype(np.float64))
        parts.append(voted_qc / np.maximum(total_qc, 1e-300))
    return np.concatenate(parts)
