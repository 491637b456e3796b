"""What is loaded is scored, and the figures, predictions and pictures of it are written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ingest.atomic import write_text
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.clips import write_clips
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.plots import class_bars, phase_ribbon, save_figure, similarity_map
from ophclip.evaluation.prompts import PromptSet
from ophclip.evaluation.records import UNLABELLED, PhaseDataset, PresenceDataset
from ophclip.evaluation.results import PhaseResult, PresenceResult, write_result
from ophclip.evaluation.similarity import SimilarityCurve, open_store, score_video
from ophclip.evaluation.timelines import Timeline, write_timelines
from ophclip.evaluation.transitions import TRANSITIONS_NAME, write_transitions
from ophclip.evaluation.zeroshot import evaluate_phases, evaluate_presence
from ophclip.models.bundle import Loaded
from ophclip.progress import Progress


def score_dataset(
    store: EmbeddingStore,
    dataset: PhaseDataset | PresenceDataset,
    prompts: PromptSet,
    out: Path,
    *,
    config: ZeroShotConfig,
    fit: PhaseDataset | PresenceDataset | None = None,
    progress: Progress | None = None,
) -> PhaseResult | PresenceResult:
    """Score what is loaded already and write the result; videos that the store holds are not decoded again.

    `fit` is the part of the same dataset from which thresholds and transitions are learned.
    """
    if isinstance(dataset, PhaseDataset):
        assert not isinstance(fit, PresenceDataset)
        phases = evaluate_phases(store, dataset, prompts, config, fit=fit, progress=progress)
        write_phases(out, phases)
        return phases
    assert not isinstance(fit, PhaseDataset)
    presence = evaluate_presence(store, dataset, prompts, config, fit=fit, progress=progress)
    write_presence(out, presence)
    return presence


def write_phases(out: Path, result: PhaseResult) -> None:
    """Write `result.json`, `predictions.csv`, `clips.csv`, bars of F1 by class and a ribbon for each video.

    `transitions.csv`, too, where phases were smoothed by a Markov model.
    """
    write_timelines(out / "predictions.csv", result.timelines, result.classes)
    write_clips(out / "clips.csv", result.clips)
    if result.transitions is not None:
        write_transitions(out / TRANSITIONS_NAME, result.transitions, result.classes)
    for line in result.timelines:
        score = result.videos[line.video_id]
        note = f"accuracy {score.accuracy:.2f} · macro F1 {score.f1:.2f}"
        save_figure(phase_ribbon(line, result.classes, note=note), out / "ribbons" / f"{line.video_id}.png")
    bars = class_bars(
        result.class_f1,
        title="Phase F1",
        axis="F1, mean over the videos that have the phase, with 95 % interval",
        note=f"{len(result.videos)} videos · macro F1 {result.summary['f1'].mean:.2f}",
    )
    save_figure(bars, out / "classes.png")
    write_result(out / "result.json", result)


def write_presence(out: Path, result: PresenceResult) -> None:
    """Write `result.json` and bars of average precision by class."""
    bars = class_bars(
        result.class_average_precision,
        title="Average precision",
        axis="average precision, mean over the videos that have the class, with 95 % interval",
        chance=result.chance,
        note=f"{len(result.videos)} videos · mAP {result.mean_average_precision.mean:.2f}",
    )
    save_figure(bars, out / "classes.png")
    write_result(out / "result.json", result)


def compare_video(
    loaded: Loaded, video: Path, prompts: PromptSet, out: Path, *, config: ZeroShotConfig, cache: Path | None = None
) -> SimilarityCurve:
    """Compare one video with the classes of `prompts`; writes the curve, its picture and a ribbon.

    Raises:
        ValueError: the video cannot be decoded.
    """
    curve = score_video(open_store(loaded, config, cache), video, prompts, config)
    write_text(out / "similarity.csv", _curve_table(curve))
    save_figure(
        similarity_map(curve.seconds_t, curve.scores_tc, curve.classes, title=video.name), out / "similarity.png"
    )
    line = Timeline(
        video_id=video.name,
        seconds_t=curve.seconds_t,
        truth_t=np.full(len(curve.seconds_t), UNLABELLED),
        predicted_t=curve.scores_tc.argmax(axis=1),
    )
    save_figure(phase_ribbon(line, curve.classes), out / "ribbon.png")
    return curve


def _curve_table(curve: SimilarityCurve) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("seconds", *curve.classes))
    for seconds, scores_c in zip(curve.seconds_t, curve.scores_tc, strict=True):
        writer.writerow((f"{seconds:g}", *(f"{score:.5f}" for score in scores_c)))
    return buffer.getvalue()
