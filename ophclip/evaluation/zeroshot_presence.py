"""Presence of instruments without training on it: a class' score is the cosine of its prompts with the picture.

Shapes: T frames, N labelled seconds, C classes, D width, V videos.
"""

from __future__ import annotations

import numpy as np

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.operating import learned_bars
from ophclip.evaluation.presence import presence_result, presence_score, style_figure
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.protocols import INSTRUMENT_VIDEO_MAP
from ophclip.evaluation.records import PresenceDataset, PresenceVideo, presence_split_hash
from ophclip.evaluation.results import PresenceResult, PresenceVideoScore
from ophclip.evaluation.scores import VideoScores
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
    provenance = provenance_of(
        INSTRUMENT_VIDEO_MAP,
        dataset.source,
        presence_split_hash(dataset),
        fit_split_sha256=presence_split_hash(fit) if fit else "",
        prompts=chosen,
        model=store.model,
        config=config,
    )
    return presence_result(
        provenance,
        spent.throughput([video.path for video in dataset.videos]),
        dataset.classes,
        cells[Style.ENSEMBLE],
        threshold=config.threshold,
        styles={
            style.value: style_figure(found, provenance)
            for style, found in cells.items()
            if style is not Style.ENSEMBLE
        },
        past_the_end=past_the_end(store, dataset),
        bars_c=_bars(store, dataset, fit, chosen, config) if fit else None,
    )


def _bars(
    store: EmbeddingStore, dataset: PresenceDataset, fit: PresenceDataset, prompts: PromptSet, config: ZeroShotConfig
) -> Floats:
    """Bars [C] by the videos of `fit`."""
    _require_other_files(store, dataset, fit)
    vectors_cd = class_vectors(store, prompts, Style.ENSEMBLE)
    seen = [_labelled_scores(store, video, vectors_cd, config) for video in fit.videos]
    labels = [video.present_tc for video in seen if video.present_tc is not None]
    scores_nc = np.concatenate([video.scores_tc for video in seen]).astype(np.float64)
    return learned_bars(np.concatenate(labels), scores_nc, config.fit_recall)


def _require_other_files(store: EmbeddingStore, dataset: PresenceDataset, fit: PresenceDataset) -> None:
    scored = {store.video(video.path).sha256: video for video in dataset.videos}
    for video in fit.videos:
        sha256 = store.video(video.path).sha256
        if sha256 and (same := scored.get(sha256)):
            raise ValueError(
                f"{video.path}: the same file as {same.path}; a video that is learned from must not be scored"
            )


def _presence_cells(
    store: EmbeddingStore, dataset: PresenceDataset, prompts: PromptSet, style: Style, config: ZeroShotConfig
) -> dict[str, PresenceVideoScore]:
    vectors_cd = class_vectors(store, prompts, style)
    return {
        video.video_id: presence_score(_labelled_scores(store, video, vectors_cd, config), config.threshold)
        for video in dataset.videos
    }


def _labelled_scores(
    store: EmbeddingStore, video: PresenceVideo, vectors_cd: Floats, config: ZeroShotConfig
) -> VideoScores:
    """Labels and scores at the labelled seconds that the file has; the frame is the last at or before each."""
    seconds_t, scores_tc = similarity(store, video.path, vectors_cd, config)
    inside_n = (video.seconds_n >= 0) & (video.seconds_n < store.video(video.path).duration_seconds)
    if not inside_n.any():
        raise ValueError(
            f"{video.path}: no labelled second of {video.video_id} lies within the file; is it this video?"
        )
    rows: Ints = np.searchsorted(seconds_t, video.seconds_n[inside_n] + 1e-6, side="right") - 1
    return VideoScores(
        video_id=video.video_id,
        seconds_t=video.seconds_n[inside_n],
        scores_tc=scores_tc[rows].astype(np.float32),
        present_tc=video.present_nc[inside_n],
    )
