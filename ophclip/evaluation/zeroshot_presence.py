"""Presence of instruments without training on it: a class' score is the cosine of its prompts with the picture.

Shapes: T frames, N labelled seconds, C classes, D width, V videos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.intervals import Estimate, estimate, estimate_cells, presence_chance
from ophclip.evaluation.metrics import Floats, Ints, average_precisions, false_positive_rates, nanmean
from ophclip.evaluation.operating import OperatingPoint, bar_counts, learned_bars, operating_point
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.protocols import INSTRUMENT_VIDEO_MAP
from ophclip.evaluation.records import PresenceDataset, PresenceVideo, presence_split_hash
from ophclip.evaluation.results import PresenceResult, PresenceVideoScore
from ophclip.evaluation.similarity import similarity
from ophclip.evaluation.zeroshot import Spent, embed_all, past_the_end, provenance_of
from ophclip.progress import Progress


def evaluate_presence(
    store: EmbeddingStore,
    dataset: PresenceDataset,
    prompts: PromptSet,
    config: ZeroShotConfig,
    *,
    fit: PresenceDataset | None = None,
    progress: Progress | None = None,
) -> PresenceResult:
    """Zero-shot presence by `instrument_video_map`: a class' score is the cosine of its prompts with the picture.

    `fit` is `fit_split`.

    Raises:
        ValueError: a label without a prompt class, or a video that cannot be decoded.
    """
    chosen = prompts.for_labels(dataset.classes)
    spent = Spent(store)
    embed_all(store, [video.path for part in (dataset, fit) if part for video in part.videos], progress)
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
            fit_split_sha256=presence_split_hash(fit) if fit else "",
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
        past_the_end=past_the_end(store, dataset),
        operating_point=_operating_point(store, dataset, fit, chosen, config) if fit else None,
    )


def _operating_point(
    store: EmbeddingStore, dataset: PresenceDataset, fit: PresenceDataset, prompts: PromptSet, config: ZeroShotConfig
) -> OperatingPoint:
    """Bars by the videos of `fit`, and what they give on those of `dataset`."""
    _require_other_files(store, dataset, fit)
    vectors_cd = class_vectors(store, prompts, Style.ENSEMBLE)
    seen = [_labelled_scores(store, video, vectors_cd, config) for video in fit.videos]
    present_nc, scores_nc = (np.concatenate(part) for part in zip(*seen, strict=True))
    bars_c = learned_bars(present_nc, scores_nc, config.fit_recall)
    return operating_point(
        bars_c,
        dataset.classes,
        {
            video.video_id: bar_counts(*_labelled_scores(store, video, vectors_cd, config), bars_c)
            for video in dataset.videos
        },
        recall=config.fit_recall,
        split=config.fit_split,
        split_sha256=presence_split_hash(fit),
        samples=config.bootstrap_samples,
        seed=config.seed,
    )


def _require_other_files(store: EmbeddingStore, dataset: PresenceDataset, fit: PresenceDataset) -> None:
    scored = {store.video(video.path).sha256: video for video in dataset.videos}
    for video in fit.videos:
        sha256 = store.video(video.path).sha256
        if sha256 and (same := scored.get(sha256)):
            raise ValueError(
                f"{video.path}: the same file as {same.path}; a video that is learned from must not be scored"
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


def _estimate(values_v: Floats, config: ZeroShotConfig) -> Estimate:
    return estimate(values_v, samples=config.bootstrap_samples, seed=config.seed)


def _by_class(classes: Sequence[str], values_vc: Floats, config: ZeroShotConfig) -> dict[str, Estimate]:
    return {label: _estimate(values_vc[:, column], config) for column, label in enumerate(classes)}
