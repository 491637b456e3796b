"""The phases of an indexed video, recognised without training on them, from the vectors of its windows.

Shapes: W windows, C classes, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.embedder import Embedder
from ophclip.evaluation.prompts import Style, builtin_prompts
from ophclip.evaluation.smoothing import offline_prediction
from ophclip.evaluation.transitions import sticky
from ophclip.evaluation.vectors import unit
from ophclip.smoothing_options import Offline, SmoothingConfig

PROMPTS = "cataract101"


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseSpan:
    """A stretch of a video and its phase."""

    phase: str
    start_seconds: float
    end_seconds: float


def phase_names() -> tuple[str, ...]:
    """All phases that are looked for, in their usual order."""
    return tuple(one.label for one in builtin_prompts(PROMPTS).classes)


def phases_of(
    embedder: Embedder, spans: Sequence[tuple[float, float]], vectors_wd: NDArray[np.float32], duration_seconds: float
) -> tuple[PhaseSpan, ...]:
    """The most likely sequence of phases, without gaps from 0 to the end of the video.

    Args:
        embedder: the model that made the vectors.
        spans: (start, end) of the windows in order.
        vectors_wd: their unit vectors.
        duration_seconds: of the video.
    """
    classes = builtin_prompts(PROMPTS).classes
    vectors_cd = unit(np.stack([embedder.embed_texts(one.sentences(Style.ENSEMBLE)).mean(axis=0) for one in classes]))
    middles_w = np.array([(start + end) / 2 for start, end in spans])
    step_seconds = float(np.median(np.diff(middles_w))) if len(spans) > 1 else duration_seconds
    config = SmoothingConfig(offline=Offline.VITERBI)
    config.dwell_seconds = max(config.dwell_seconds, step_seconds)
    transitions = sticky(len(classes), 1 / step_seconds, config.dwell_seconds)
    found = offline_prediction(vectors_wd.astype(np.float64) @ vectors_cd.T, embedder.logit_scale, config, transitions)
    assert found is not None
    edges = [0.0, *((middles_w[:-1] + middles_w[1:]) / 2).tolist(), duration_seconds]
    runs = [(label, list(run)) for label, run in groupby(range(len(spans)), key=lambda place: int(found.ids_t[place]))]
    return tuple(
        PhaseSpan(phase=classes[label].label, start_seconds=edges[run[0]], end_seconds=edges[run[-1] + 1])
        for label, run in runs
    )
