"""Each head on one training set: labelled seconds in, scores of the test videos out.

Shapes: N labelled seconds of one video, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.probes.budgets import Picks
from ophclip.evaluation.probes.finetuning import Pictures, finetune, tuned_scores
from ophclip.evaluation.probes.linear import fit_linear
from ophclip.evaluation.probes.neighbours import knn_scores
from ophclip.evaluation.probes.samples import ProbeVideo
from ophclip.evaluation.probes.temporal import fit_temporal
from ophclip.models.bundle import Loaded
from ophclip.probe_options import ProbeConfig, ProbeHead

OF_SHOTS = (ProbeHead.LINEAR, ProbeHead.KNN)
"""Heads that learn from single seconds."""
WITHOUT_CHANCE = (ProbeHead.LINEAR, ProbeHead.KNN)
"""Heads of which the same training set always gives the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What one head is given."""

    train: Sequence[ProbeVideo]
    picks: Picks
    test: Sequence[ProbeVideo]
    exclusive: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores [N, C] of each test video, and what training settled."""

    scores: Sequence[Floats]
    settled: Mapping[str, Any]


def head_options(head: ProbeHead, config: ProbeConfig) -> dict[str, Any]:
    """The options on which a head's answer depends."""
    if head is ProbeHead.KNN:
        return {"neighbours": config.neighbours, "temperature": config.temperature}
    if head is ProbeHead.TCN:
        return asdict(config.temporal)
    return asdict(config.finetune) if head is ProbeHead.FINETUNE else {}


def answer_of(head: ProbeHead, task: Task, config: ProbeConfig) -> Answer:
    """The answer of a head on frozen features."""
    if head is ProbeHead.TCN:
        return _temporal(task, config)
    samples_nd = np.concatenate([task.train[place].samples_nd[rows] for place, rows in task.picks.items()])
    truth_nc = np.concatenate([task.train[place].truth_nc[rows] for place, rows in task.picks.items()])
    if head is ProbeHead.KNN:
        neighbours, temperature = config.neighbours, config.temperature
        scores = [
            knn_scores(samples_nd, truth_nc, video.samples_nd, neighbours=neighbours, temperature=temperature)
            for video in task.test
        ]
        return Answer(scores, {"neighbours": min(config.neighbours, len(samples_nd))})
    groups_n = np.concatenate([np.full(len(rows), place) for place, rows in task.picks.items()])
    probe = fit_linear(samples_nd, truth_nc, groups_n, exclusive=task.exclusive)
    how = "kept-aside training videos" if probe.chosen else "default, as all is of one video"
    scores = [probe.scores(video.samples_nd) for video in task.test]
    return Answer(scores, {"strength": probe.strength, "strength_chosen_by": how})


def _temporal(task: Task, config: ProbeConfig) -> Answer:
    head = fit_temporal(task.train, task.picks, config.temporal, exclusive=task.exclusive, seed=task.seed)
    scores = [head.scores(video.vectors_td)[video.rows_n] for video in task.test]
    return Answer(scores, {"epochs": head.epochs, "stopped_by": list(head.kept_aside)})


def tuned_answer(task: Task, config: ProbeConfig, *, loaded: Loaded, frames: Path, checkpoint: Path) -> Answer:
    """The answer of full fine-tuning; it goes on from `checkpoint` if it is there. `frames` keeps decoded pictures."""
    pictures = Pictures(frames, loaded.config.visual.image_size_px)
    tuned = finetune(
        loaded, task.train, task.picks, config.finetune,
        pictures=pictures, checkpoint=checkpoint, exclusive=task.exclusive, seed=task.seed,
    )  # fmt: skip
    scores = [
        tuned_scores(tuned, video, loaded=loaded, pictures=pictures, batch_frames=config.batch_frames)
        for video in task.test
    ]
    return Answer(scores, {"steps": config.finetune.steps})
