"""What is loaded is scored, and the figures, predictions and pictures of it are written."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from ingest.atomic import write_text
from ingest.shards import sha256_of
from ophclip.config import ScoredUnit, ZeroShotConfig
from ophclip.evaluation.clips import write_clips
from ophclip.evaluation.embedder import Encoder
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.embedding_folder import EmbeddingFolder
from ophclip.evaluation.leakage import leakage_of
from ophclip.evaluation.plots import class_bars, phase_ribbon, save_figure, similarity_map
from ophclip.evaluation.prompts import PromptSet
from ophclip.evaluation.receipts import Given, Receipt, SourceFile, relative
from ophclip.evaluation.records import UNLABELLED, Dataset, FileDataset, PhaseDataset, PresenceDataset, labelled_files
from ophclip.evaluation.results import FileResult, PhaseResult, PresenceResult, write_result
from ophclip.evaluation.scored_files import write_scored_files
from ophclip.evaluation.scores import SCORES, VideoScores, write_scores
from ophclip.evaluation.similarity import SimilarityCurve, open_store, score_video
from ophclip.evaluation.timelines import Timeline, write_timelines
from ophclip.evaluation.transitions import TRANSITIONS_NAME, write_transitions
from ophclip.evaluation.zeroshot import evaluate_phases
from ophclip.evaluation.zeroshot_files import evaluate_files
from ophclip.evaluation.zeroshot_presence import evaluate_presence
from ophclip.progress import Progress

_FILE_BARS = {
    "class_f1": ("F1 of clips", "F1, with 95 % interval"),
    "class_average_precision": ("Average precision", "average precision, with 95 % interval"),
}


def score_dataset(
    store: EmbeddingStore,
    dataset: Dataset,
    prompts: PromptSet,
    out: Path,
    *,
    config: ZeroShotConfig,
    fit: Dataset | None = None,
    given: Given | None = None,
    trained_on: Path | None = None,
    progress: Progress | None = None,
) -> PhaseResult | PresenceResult | FileResult:
    """Score what is loaded already and write the result; videos that the store holds are not decoded again.

    `fit` is the part of the same dataset from which thresholds and transitions are learned. `given` says for the record
    where all of it came from; `trained_on` is the corpus of the training, whose videos are looked for by pictures as
    well.

    Raises:
        ValueError: a label without a prompt, a video that cannot be decoded, or presence that is asked of segments.
    """
    figures = scored(store, dataset, prompts, config, fit=fit, progress=progress)
    result = replace(figures, receipt=_receipt(store, dataset, out, given, trained_on))
    if isinstance(result, FileResult):
        write_files(out, result)
    elif isinstance(result, PhaseResult):
        write_phases(out, result)
    else:
        write_presence(out, result)
    return result


def scored(
    store: EmbeddingStore,
    dataset: Dataset,
    prompts: PromptSet,
    config: ZeroShotConfig,
    *,
    fit: Dataset | None = None,
    progress: Progress | None = None,
) -> PhaseResult | PresenceResult | FileResult:
    """The figures of what is loaded already, by the task that the dataset asks. Raises as `score_dataset`."""
    if isinstance(dataset, FileDataset) or config.unit is ScoredUnit.SEGMENT:
        return evaluate_files(store, dataset, prompts, config, progress)
    if isinstance(dataset, PhaseDataset):
        assert fit is None or isinstance(fit, PhaseDataset)
        return evaluate_phases(store, dataset, prompts, config, fit=fit, progress=progress)
    assert fit is None or isinstance(fit, PresenceDataset)
    return evaluate_presence(store, dataset, prompts, config, fit=fit, progress=progress)


def _receipt(
    store: EmbeddingStore,
    dataset: Dataset,
    out: Path,
    given: Given | None,
    trained_on: Path | None,
) -> Receipt:
    """Which files were scored, and whether training saw one of them.

    Vectors that do not say of which bytes they were made stand for themselves: their content is compared with nothing.
    """
    paths, files, content = labelled_files(dataset), {}, {}
    for video_id, path in paths.items():
        sha256, read = store.video(path).sha256, path
        if isinstance(store.model, EmbeddingFolder) and sha256 == sha256_of(store.model.file_of(path)):
            read = store.model.file_of(path)
        files[video_id] = SourceFile(path=relative(read, out), sha256=sha256)
        content[video_id] = sha256 if read is path else ""
    leakage = leakage_of(store.model.training, content, paths, trained_on)
    return Receipt(given=given or Given(), files=files, leakage=leakage)


def write_phases(out: Path, result: PhaseResult) -> None:
    """Write `result.json`, what is predicted, bars of F1 by class and a ribbon for each video."""
    write_predictions(out, result)
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


def write_predictions(out: Path, result: PhaseResult) -> None:
    """Write predictions, clips and scores, and transitions where phases were smoothed by a Markov model."""
    write_timelines(out / "predictions.csv", result.timelines, result.classes)
    write_clips(out / "clips.csv", result.clips)
    kept = [
        VideoScores(video_id=line.video_id, seconds_t=line.seconds_t, scores_tc=line.scores_tc)
        for line in result.timelines
        if line.scores_tc is not None
    ]
    if kept:
        write_scores(out / SCORES, kept)
    if result.transitions is not None:
        write_transitions(out / TRANSITIONS_NAME, result.transitions, result.classes)


def write_presence(out: Path, result: PresenceResult) -> None:
    """Write `result.json`, labels and scores, and bars of average precision by class."""
    write_scores(out / SCORES, [score.evidence for score in result.videos.values()])
    bars = class_bars(
        result.class_average_precision,
        title="Average precision",
        axis="average precision, mean over the videos that have the class, with 95 % interval",
        chance=result.chance,
        note=f"{len(result.videos)} videos · mAP {result.mean_average_precision.mean:.2f}",
    )
    save_figure(bars, out / "classes.png")
    write_result(out / "result.json", result)


def write_files(out: Path, result: FileResult) -> None:
    """Write `result.json`, `predictions.csv`, and bars of the first figure by class."""
    write_scored_files(out / "predictions.csv", result.files, result.classes)
    (kind, figures), *_ = result.class_figures.items()
    title, axis = _FILE_BARS[kind]
    summary, first = next(iter(result.summary.items()))
    note = f"{len(result.files)} files · {summary.replace('_', ' ')} {first.mean:.2f}"
    save_figure(class_bars(figures, title=title, axis=axis, note=note), out / "classes.png")
    write_result(out / "result.json", result)


def compare_video(
    model: Encoder | EmbeddingFolder,
    video: Path,
    prompts: PromptSet,
    out: Path,
    *,
    config: ZeroShotConfig,
    cache: Path | None = None,
) -> SimilarityCurve:
    """Compare one video with the classes of `prompts`; writes the curve, its picture and a ribbon.

    Raises:
        ValueError: the video cannot be decoded.
    """
    curve = score_video(open_store(model, config, cache), video, prompts, config)
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
