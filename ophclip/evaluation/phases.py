"""From predictions by second to everything that a result of phases says: pure, so that it can be done again.

Shapes: V videos, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ophclip.evaluation.calibration import calibration
from ophclip.evaluation.clips import Clip, clip_topk
from ophclip.evaluation.intervals import Estimate, Statistic, estimate, estimate_statistic, phase_chance
from ophclip.evaluation.metrics import PHASE_METRICS, Floats, PhaseScore, confusion, video_macro
from ophclip.evaluation.protocols import CLIP_TOPK, PROTOCOLS, Predictions, phase_figures
from ophclip.evaluation.results import (
    GroupFigures,
    PhaseResult,
    ProtocolFigures,
    Provenance,
    SmoothedFigures,
    Throughput,
)
from ophclip.evaluation.timelines import CAUSAL, SMOOTHED, Timeline, smoothed_lines
from ophclip.evaluation.transitions import Transitions
from ophclip.smoothing_options import Causal

LENGTH = "length"
_THIRDS = ("shortest third", "middle third", "longest third")


def phase_result(
    provenance: Provenance,
    throughput: Throughput,
    classes: tuple[str, ...],
    timelines: Sequence[Timeline],
    *,
    clips: Sequence[Clip],
    styles: Mapping[str, Mapping[str, Estimate]],
    attributes: Mapping[str, Mapping[str, str]],
    transitions: Transitions | None = None,
    past_the_end: Mapping[str, float] | None = None,
) -> PhaseResult:
    """Every figure of the ensemble's `timelines`; `styles` are the summaries of single prompt styles.

    `attributes` of a video (surgeon, experience, ...) make the groups, beside thirds by length.

    Raises:
        ValueError: a video has no labelled second.
    """
    scores = phase_scores(timelines, len(classes))
    summary = phase_summary(scores, provenance)
    smoothed = {name: found for name in SMOOTHED if (found := smoothed_lines(timelines, name))}
    return PhaseResult(
        provenance=provenance,
        throughput=throughput,
        classes=classes,
        summary=summary,
        chance=phase_chance(
            [line.truth_t for line in timelines],
            len(classes),
            samples=provenance.chance_samples,
            seed=provenance.seed,
        ),
        styles={"ensemble": summary, **styles},
        smoothed={name: _smoothed(name, lines, classes, provenance) for name, lines in smoothed.items()},
        class_f1=_class_f1(scores, classes, provenance),
        videos=scores,
        undefined=sum(score.undefined for score in scores.values()),
        absent=sum(int(np.isnan(score.f1_c).sum()) for score in scores.values()),
        timelines=tuple(timelines),
        transitions=transitions,
        past_the_end=dict(past_the_end or {}),
        clips=tuple(clips),
        protocols=_protocols(timelines, clips, classes, provenance),
        calibration=_estimates(calibration(timelines), provenance),
        attributes={line.video_id: dict(attributes.get(line.video_id, {})) for line in timelines},
        groups=_groups(scores, attributes, provenance),
    )


def _smoothed(name: str, lines: Sequence[Timeline], classes: Sequence[str], provenance: Provenance) -> SmoothedFigures:
    scores = phase_scores(lines, len(classes))
    return SmoothedFigures(
        method=_method(name, provenance),
        summary=phase_summary(scores, provenance),
        class_f1=_class_f1(scores, classes, provenance),
        videos=scores,
        undefined=sum(score.undefined for score in scores.values()),
        protocols=_protocols(lines, (), classes, provenance),
        calibration=_estimates(calibration(lines), provenance),
    )


def _method(name: str, provenance: Provenance) -> str:
    """What was done, in words."""
    config = provenance.smoothing
    if name == CAUSAL and config.causal is not Causal.HMM:
        return f"{config.causal} of the scores of the last {config.seconds:g} s"
    model = "forward filter" if name == CAUSAL else "Viterbi path"
    if config.transitions:
        return f"{model}, transitions given"
    if provenance.fit_split:
        return f"{model}, transitions learned from split {provenance.fit_split}"
    return f"{model}, phases of {config.dwell_seconds:g} s on average"


def _class_f1(scores: Mapping[str, PhaseScore], classes: Sequence[str], provenance: Provenance) -> dict[str, Estimate]:
    labels_vc = np.stack([score.f1_c for score in scores.values()])
    return {label: _estimate(labels_vc[:, place], provenance) for place, label in enumerate(classes)}


def phase_scores(lines: Sequence[Timeline], classes: int) -> dict[str, PhaseScore]:
    """`video_macro_v1` of each video.

    Raises:
        ValueError: a video has no labelled second.
    """
    return {line.video_id: video_macro(confusion(line.truth_t, line.predicted_t, classes)) for line in lines}


def phase_summary(scores: Mapping[str, PhaseScore], provenance: Provenance) -> dict[str, Estimate]:
    """`video_macro_v1` over the videos."""
    return {
        name: _estimate(np.array([getattr(score, name) for score in scores.values()]), provenance)
        for name in PHASE_METRICS
    }


def _estimate(values_v: Floats, provenance: Provenance) -> Estimate:
    return estimate(values_v, samples=provenance.bootstrap_samples, seed=provenance.seed)


def _estimates(figures: Mapping[str, Statistic], provenance: Provenance) -> dict[str, Estimate]:
    drawn = {"samples": provenance.bootstrap_samples, "seed": provenance.seed}
    return {name: estimate_statistic(figure, **drawn) for name, figure in figures.items()}


def _protocols(
    lines: Sequence[Timeline], clips: Sequence[Clip], classes: Sequence[str], provenance: Provenance
) -> dict[str, ProtocolFigures]:
    names = [line.video_id for line in lines]
    figures = phase_figures(Predictions(lines=lines, classes=len(classes), fps=provenance.fps))
    if clips:
        figures[CLIP_TOPK] = clip_topk(clips, names)
    return {
        name: ProtocolFigures(
            rule=PROTOCOLS[name].rule, figures=_estimates(given, provenance), videos=_by_video(given, names)
        )
        for name, given in figures.items()
    }


def _by_video(figures: Mapping[str, Statistic], names: Sequence[str]) -> dict[str, dict[str, float]]:
    own = {metric: figure.values_v for metric, figure in figures.items() if figure.values_v is not None}
    if not own:
        return {}
    return {
        name: {metric: float(values_v[place]) for metric, values_v in own.items()} for place, name in enumerate(names)
    }


def _groups(
    scores: Mapping[str, PhaseScore], attributes: Mapping[str, Mapping[str, str]], provenance: Provenance
) -> dict[str, dict[str, GroupFigures]]:
    """Figures by attribute and its value, of attributes that tell videos apart."""
    columns: dict[str, dict[str, list[str]]] = {}
    for video_id in scores:
        for attribute, value in attributes.get(video_id, {}).items():
            columns.setdefault(attribute, {}).setdefault(value, []).append(video_id)
    if len(scores) >= len(_THIRDS):
        ordered = sorted(scores, key=lambda video_id: (scores[video_id].seconds, video_id))
        thirds = np.array_split(np.array(ordered), len(_THIRDS))
        columns[LENGTH] = {name: list(third) for name, third in zip(_THIRDS, thirds, strict=True)}
    return {
        attribute: {
            value: GroupFigures(
                videos=len(members),
                figures=phase_summary({str(name): scores[str(name)] for name in members}, provenance),
            )
            for value, members in sorted(values.items())
        }
        for attribute, values in columns.items()
        if len(values) > 1
    }
