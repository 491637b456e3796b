"""`ophclip zeroshot`: a bundle and a dataset, or one video, in; a folder with figures, predictions and pictures out.

OUT/result.json   OUT/predictions.csv   OUT/classes.png   OUT/ribbons/VIDEO.png        of phases
OUT/result.json   OUT/classes.png                                                      of presence
OUT/similarity.csv   OUT/similarity.png   OUT/ribbon.png                               of one video
"""

from __future__ import annotations

import csv
import io
from enum import Enum
from pathlib import Path

import numpy as np

from ingest.atomic import write_text
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.datasets import (
    read_cataract101,
    read_ophnet_phases,
    read_phase_table,
    read_presence_table,
)
from ophclip.evaluation.embedding import EmbeddingStore, default_device
from ophclip.evaluation.plots import class_bars, phase_ribbon, save_figure, similarity_map
from ophclip.evaluation.prompts import PromptSet, load_prompts
from ophclip.evaluation.records import UNLABELLED, PhaseDataset, PresenceDataset
from ophclip.evaluation.results import PhaseResult, PresenceResult, Timeline, write_result, write_timelines
from ophclip.evaluation.similarity import SimilarityCurve, open_store, score_video
from ophclip.evaluation.zeroshot import evaluate_phases, evaluate_presence
from ophclip.models.bundle import Loaded, load_bundle
from ophclip.progress import Progress


class DatasetKind(str, Enum):
    """Layouts that `--dataset` names."""

    CATARACT101 = "cataract101"
    OPHNET = "ophnet"
    PHASE_TABLE = "phase-table"
    PRESENCE_TABLE = "presence-table"


SHIPPED_PROMPTS = {
    DatasetKind.CATARACT101: "cataract101",
    DatasetKind.OPHNET: "ophnet",
    DatasetKind.PRESENCE_TABLE: "instruments",
}
"""Prompts taken when none are named."""


def read_dataset(kind: DatasetKind, root: Path, videos: tuple[Path, ...] = ()) -> PhaseDataset | PresenceDataset:
    """A labelled dataset; `root` is its folder, or the CSV of a table whose videos lie in `videos` or beside it.

    Raises:
        ValueError: a file or column is missing or holds what it may not.
    """
    if kind is DatasetKind.CATARACT101:
        return read_cataract101(root)
    if kind is DatasetKind.OPHNET:
        return read_ophnet_phases(root)
    return read_phase_table(root, videos) if kind is DatasetKind.PHASE_TABLE else read_presence_table(root, videos)


def prompts_for(kind: DatasetKind, spec: str = "") -> PromptSet:
    """The prompts named by `spec` (a file or a shipped set), else those shipped for the dataset.

    Raises:
        ValueError: a phase table without prompts, or prompts that cannot be read.
    """
    if not spec and kind not in SHIPPED_PROMPTS:
        raise ValueError("zeroshot --dataset phase-table: give --prompts FILE, a YAML or a text file of sentences")
    return load_prompts(spec or SHIPPED_PROMPTS[kind])


def zeroshot_dataset(
    bundle: Path | Loaded,
    kind: DatasetKind,
    root: Path,
    out: Path,
    *,
    config: ZeroShotConfig,
    prompts: str = "",
    videos: tuple[Path, ...] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> PhaseResult | PresenceResult:
    """Score a bundle on a dataset and write figures, predictions and pictures into `out`.

    Raises:
        ValueError: bundle, dataset or prompts are not what they should be, or a video cannot be decoded.
    """
    dataset, chosen = read_dataset(kind, root, videos), prompts_for(kind, prompts)
    store = open_store(_loaded(bundle), config, cache)
    return score_dataset(store, dataset, chosen, out, config=config, progress=progress)


def _loaded(bundle: Path | Loaded) -> Loaded:
    return bundle if isinstance(bundle, Loaded) else load_bundle(bundle, device=default_device())


def score_dataset(
    store: EmbeddingStore,
    dataset: PhaseDataset | PresenceDataset,
    prompts: PromptSet,
    out: Path,
    *,
    config: ZeroShotConfig,
    progress: Progress | None = None,
) -> PhaseResult | PresenceResult:
    """Score what is loaded already and write the result; videos that the store holds are not decoded again."""
    if isinstance(dataset, PhaseDataset):
        phases = evaluate_phases(store, dataset, prompts, config, progress)
        write_phases(out, phases)
        return phases
    presence = evaluate_presence(store, dataset, prompts, config, progress)
    write_presence(out, presence)
    return presence


def write_phases(out: Path, result: PhaseResult) -> None:
    """Write `result.json`, `predictions.csv`, bars of F1 by class and a ribbon for each video."""
    write_timelines(out / "predictions.csv", result.timelines, result.classes)
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


def zeroshot_video(
    bundle: Path | Loaded, video: Path, prompts: str, out: Path, *, config: ZeroShotConfig
) -> SimilarityCurve:
    """Compare one video with the sentences of a prompts file; writes the curve, its picture and a ribbon.

    Raises:
        ValueError: bundle or prompts are not what they should be, or the video cannot be decoded.
    """
    chosen = load_prompts(prompts)
    curve = score_video(open_store(_loaded(bundle), config), video, chosen, config)
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
