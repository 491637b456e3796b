"""From labels and scores to everything that a result of presence says: pure, so that it can be done again.

Shapes: N labelled seconds, C classes, V videos.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ophclip.config import PresenceThreshold
from ophclip.evaluation.intervals import Estimate, estimate, estimate_cells, presence_chance
from ophclip.evaluation.metrics import Floats, Ints, average_precisions, false_positive_rates
from ophclip.evaluation.operating import OperatingPoint, bar_counts, operating_point
from ophclip.evaluation.results import PresenceResult, PresenceVideoScore, Provenance, Throughput
from ophclip.evaluation.scores import VideoScores

ENSEMBLE = "ensemble"


def presence_score(evidence: VideoScores, threshold: PresenceThreshold) -> PresenceVideoScore:
    """`instrument_video_map` of one video, by class."""
    present_nc, scores_nc = evidence.present_tc, evidence.scores_tc.astype(np.float64)
    assert present_nc is not None
    return PresenceVideoScore(
        seconds=len(present_nc),
        average_precision_c=average_precisions(present_nc, scores_nc),
        false_positive_rate_c=false_positive_rates(present_nc, scores_nc, threshold),
        evidence=evidence,
    )


def presence_result(
    provenance: Provenance,
    throughput: Throughput,
    classes: tuple[str, ...],
    videos: Mapping[str, PresenceVideoScore],
    *,
    threshold: PresenceThreshold,
    styles: Mapping[str, Estimate],
    past_the_end: Mapping[str, float] | None = None,
    bars_c: Floats | None = None,
) -> PresenceResult:
    """Every figure of the ensemble's `videos`; `styles` are those of single prompt styles.

    `past_the_end` says by how many seconds labels outlast their video, `bars_c` [C] what was learned from `fit_split`.
    """
    precision_vc = np.stack([score.average_precision_c for score in videos.values()])
    rates_vc = np.stack([score.false_positive_rate_c for score in videos.values()])
    drawn = {"samples": provenance.bootstrap_samples, "seed": provenance.seed}
    labels = [score.evidence.present_tc for score in videos.values() if score.evidence.present_tc is not None]
    mean = estimate_cells(precision_vc, **drawn)
    return PresenceResult(
        provenance=provenance,
        throughput=throughput,
        classes=classes,
        mean_average_precision=mean,
        chance=presence_chance(labels, samples=provenance.chance_samples, seed=provenance.seed),
        threshold=threshold,
        false_positive_rate=estimate_cells(rates_vc, **drawn),
        styles={ENSEMBLE: mean, **styles},
        class_average_precision={
            label: estimate(precision_vc[:, place], **drawn) for place, label in enumerate(classes)
        },
        videos=videos,
        nulls=int(np.isnan(precision_vc).sum()),
        unseen=tuple(_unseen(classes, precision_vc)),
        past_the_end=dict(past_the_end or {}),
        operating_point=None if bars_c is None else _at_bars(bars_c, classes, videos, provenance),
    )


def _at_bars(
    bars_c: Floats, classes: tuple[str, ...], videos: Mapping[str, PresenceVideoScore], provenance: Provenance
) -> OperatingPoint:
    counts = {name: _counts(score.evidence, bars_c) for name, score in videos.items()}
    return operating_point(
        bars_c,
        classes,
        counts,
        recall=provenance.fit_recall,
        split=provenance.fit_split,
        split_sha256=provenance.fit_split_sha256,
        samples=provenance.bootstrap_samples,
        seed=provenance.seed,
    )


def _counts(evidence: VideoScores, bars_c: Floats) -> Ints:
    assert evidence.present_tc is not None
    return bar_counts(evidence.present_tc, evidence.scores_tc.astype(np.float64), bars_c)


def style_figure(videos: Mapping[str, PresenceVideoScore], provenance: Provenance) -> Estimate:
    """Mean average precision of one prompt style."""
    cells_vc = np.stack([score.average_precision_c for score in videos.values()])
    return estimate_cells(cells_vc, samples=provenance.bootstrap_samples, seed=provenance.seed)


def _unseen(classes: tuple[str, ...], precision_vc: Floats) -> list[str]:
    return [label for label, cells_v in zip(classes, precision_vc.T, strict=True) if np.isnan(cells_v).all()]
