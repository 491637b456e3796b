"""Recognition without training: frames are compared with what is said about each class.

Every video is decoded and encoded once per `EmbeddingStore`, however many tasks, prompts and styles are scored on it.
Shapes: T frames, N labelled seconds, C classes, D width, V videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.clips import rank_clips
from ophclip.evaluation.embedder import Embedder
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.intervals import Estimate, estimate, estimate_cells, presence_chance
from ophclip.evaluation.metrics import (
    Floats,
    Ints,
    average_precisions,
    false_positive_rates,
    nanmean,
)
from ophclip.evaluation.phases import phase_result, phase_scores, phase_summary
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.protocols import INSTRUMENT_VIDEO_MAP, VIDEO_MACRO_V1
from ophclip.evaluation.records import (
    PhaseDataset,
    PhaseVideo,
    PresenceDataset,
    PresenceVideo,
    Source,
    class_ids_at,
    phase_split_hash,
    presence_split_hash,
)
from ophclip.evaluation.results import (
    PhaseResult,
    PresenceResult,
    PresenceVideoScore,
    Provenance,
    Throughput,
    code_version,
)
from ophclip.evaluation.similarity import causal_means, similarity
from ophclip.evaluation.timelines import CONFIDENCE_DIGITS, Timeline
from ophclip.progress import Progress


def evaluate_phases(
    store: EmbeddingStore,
    dataset: PhaseDataset,
    prompts: PromptSet,
    config: ZeroShotConfig,
    progress: Progress | None = None,
) -> PhaseResult:
    """Zero-shot phase recognition by every named protocol, `video_macro_v1` first.

    Raises:
        ValueError: a label without a prompt class of its own, a video that cannot be decoded or has no labelled second.
    """
    chosen = prompts.for_labels(dataset.classes, distinct=True)
    spent = Spent(store)
    embed_all(store, [video.path for video in dataset.videos], progress)
    provenance = provenance_of(
        VIDEO_MACRO_V1, dataset.source, phase_split_hash(dataset), prompts=chosen, model=store.model, config=config
    )
    lines = {style: _timelines(store, dataset, chosen, style, config) for style in reversed(chosen.styles)}
    singles = {style.value: lines[style] for style in lines if style is not Style.ENSEMBLE}
    vectors_cd = class_vectors(store, chosen, Style.ENSEMBLE)
    clips = [
        clip
        for video in dataset.videos
        for clip in rank_clips(video, dataset.classes, *similarity(store, video.path, vectors_cd, config))
    ]
    return phase_result(
        provenance,
        spent.throughput([video.path for video in dataset.videos]),
        dataset.classes,
        lines[Style.ENSEMBLE],
        clips=clips,
        styles={
            name: phase_summary(phase_scores(given, len(dataset.classes)), provenance)
            for name, given in singles.items()
        },
        attributes={video.video_id: video.attributes for video in dataset.videos},
    )


def _timelines(
    store: EmbeddingStore, dataset: PhaseDataset, prompts: PromptSet, style: Style, config: ZeroShotConfig
) -> list[Timeline]:
    vectors_cd = class_vectors(store, prompts, style)
    return [_timeline(store, video, dataset.classes, vectors_cd, config) for video in dataset.videos]


def _timeline(
    store: EmbeddingStore, video: PhaseVideo, classes: Sequence[str], vectors_cd: Floats, config: ZeroShotConfig
) -> Timeline:
    seconds_t, scores_tc = similarity(store, video.path, vectors_cd, config)
    truth_t = class_ids_at(video.segments, classes, seconds_t)
    if (truth_t < 0).all():
        raise ValueError(f"{video.path}: no frame lies within a labelled phase of {video.video_id}; is it this video?")
    smoothed_t = None
    if config.smoothing_seconds:
        smoothed_t = causal_means(scores_tc, config.fps, config.smoothing_seconds).argmax(axis=1)
    return Timeline(
        video_id=video.video_id,
        seconds_t=seconds_t,
        truth_t=truth_t,
        predicted_t=scores_tc.argmax(axis=1),
        smoothed_t=smoothed_t,
        confidence_t=_confidence(scores_tc * store.model.logit_scale),
    )


def _confidence(logits_tc: Floats) -> Floats:
    """The highest softmax probability of each second [T]."""
    odds_tc = np.exp(logits_tc - logits_tc.max(axis=1, keepdims=True))
    return np.asarray((1.0 / odds_tc.sum(axis=1)).round(CONFIDENCE_DIGITS))


def _estimate(values_v: Floats, config: ZeroShotConfig) -> Estimate:
    return estimate(values_v, samples=config.bootstrap_samples, seed=config.seed)


def _by_class(classes: Sequence[str], values_vc: Floats, config: ZeroShotConfig) -> dict[str, Estimate]:
    return {label: _estimate(values_vc[:, column], config) for column, label in enumerate(classes)}


def evaluate_presence(
    store: EmbeddingStore,
    dataset: PresenceDataset,
    prompts: PromptSet,
    config: ZeroShotConfig,
    progress: Progress | None = None,
) -> PresenceResult:
    """Zero-shot presence by `instrument_video_map`: a class' score is the cosine of its prompts with the picture.

    Raises:
        ValueError: a label without a prompt class, or a video that cannot be decoded.
    """
    chosen = prompts.for_labels(dataset.classes)
    spent = Spent(store)
    embed_all(store, [video.path for video in dataset.videos], progress)
    cells = {style: _presence_cells(store, dataset, chosen, style, config) for style in reversed(chosen.styles)}
    best = cells[Style.ENSEMBLE]
    precision_vc = np.stack([score.average_precision_c for score in best.values()])
    rates_vc = np.stack([score.false_positive_rate_c for score in best.values()])
    missing_c = np.isnan(nanmean(precision_vc, axis=0))
    return PresenceResult(
        provenance=provenance_of(
            INSTRUMENT_VIDEO_MAP,
            dataset.source,
            presence_split_hash(dataset),
            prompts=chosen,
            model=store.model,
            config=config,
        ),
        throughput=spent.throughput([video.path for video in dataset.videos]),
        classes=dataset.classes,
        mean_average_precision=_estimate_cells(precision_vc, config),
        chance=presence_chance(
            [video.present_nc for video in dataset.videos], samples=config.chance_samples, seed=config.seed
        ),
        threshold=config.threshold,
        false_positive_rate=_estimate_cells(rates_vc, config),
        styles={
            style.value: _estimate_cells(np.stack([score.average_precision_c for score in found.values()]), config)
            for style, found in cells.items()
        },
        class_average_precision=_by_class(dataset.classes, precision_vc, config),
        videos=best,
        nulls=int(np.isnan(precision_vc).sum()),
        unseen=tuple(label for label, missing in zip(dataset.classes, missing_c, strict=True) if missing),
    )


def _estimate_cells(values_vc: Floats, config: ZeroShotConfig) -> Estimate:
    return estimate_cells(values_vc, samples=config.bootstrap_samples, seed=config.seed)


def _presence_cells(
    store: EmbeddingStore, dataset: PresenceDataset, prompts: PromptSet, style: Style, config: ZeroShotConfig
) -> dict[str, PresenceVideoScore]:
    vectors_cd = class_vectors(store, prompts, style)
    threshold = config.threshold
    cells = {}
    for video in dataset.videos:
        present_nc, scores_nc = _labelled_scores(store, video, vectors_cd, config)
        cells[video.video_id] = PresenceVideoScore(
            seconds=len(present_nc),
            average_precision_c=average_precisions(present_nc, scores_nc),
            false_positive_rate_c=false_positive_rates(present_nc, scores_nc, threshold),
        )
    return cells


def _labelled_scores(
    store: EmbeddingStore, video: PresenceVideo, vectors_cd: Floats, config: ZeroShotConfig
) -> tuple[Floats, Floats]:
    """Labels and scores [N, C] at the labelled seconds that the file has; the frame is the last at or before each."""
    seconds_t, scores_tc = similarity(store, video.path, vectors_cd, config)
    inside_n = (video.seconds_n >= 0) & (video.seconds_n < store.video(video.path).duration_seconds)
    if not inside_n.any():
        raise ValueError(
            f"{video.path}: no labelled second of {video.video_id} lies within the file; is it this video?"
        )
    rows: Ints = np.searchsorted(seconds_t, video.seconds_n[inside_n] + 1e-6, side="right") - 1
    return video.present_nc[inside_n], scores_tc[rows]


def embed_all(store: EmbeddingStore, paths: Sequence[Path], progress: Progress | None) -> None:
    """Bring every video into the store.

    Raises:
        ValueError: one cannot be decoded, or a folder of vectors lacks those of some.
    """
    store.require(paths)
    for done, path in enumerate(paths):
        if progress is not None:
            progress(done, len(paths), path.name)
        store.video(path)
    if progress is not None:
        progress(len(paths), len(paths), "")


class Spent:
    """What this evaluation added to the store's counters."""

    def __init__(self, store: EmbeddingStore) -> None:
        self._store = store
        self._before = (store.frames_encoded, store.seconds_spent)

    def throughput(self, paths: Sequence[Path]) -> Throughput:
        """Frames and seconds spent since."""
        return Throughput(
            frames=self._store.frames_encoded - self._before[0],
            video_seconds=sum(self._store.video(path).duration_seconds for path in paths),
            wall_seconds=self._store.seconds_spent - self._before[1],
        )


def provenance_of(
    protocol: str, source: Source, split_sha256: str, *, prompts: PromptSet, model: Embedder, config: ZeroShotConfig
) -> Provenance:
    """Everything that the figures of this evaluation depend on."""
    return Provenance(
        protocol=protocol if config.fps == 1.0 else f"{protocol} but at {config.fps:g} fps",
        fps=config.fps,
        window_seconds=config.window_seconds,
        smoothing_seconds=config.smoothing_seconds,
        dataset=source,
        split_sha256=split_sha256,
        prompts_name=prompts.name,
        prompts_author=prompts.author,
        prompts_date=prompts.date,
        prompts_sha256=prompts.sha256,
        model_name=model.name,
        weights_sha256=model.weights_sha256,
        code_version=code_version(),
        seed=config.seed,
        bootstrap_samples=config.bootstrap_samples,
        chance_samples=config.chance_samples,
    )
