"""Recognition without training: frames are compared with what is said about each class.

Every video is decoded and encoded once per `EmbeddingStore`, however many tasks, prompts and styles are scored on it.
Shapes: T frames, N labelled seconds, C classes, D width, V videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.clips import rank_clips
from ophclip.evaluation.embedder import Embedder
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.phases import phase_result, phase_scores, phase_summary
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.protocols import VIDEO_MACRO_V1
from ophclip.evaluation.records import (
    PhaseDataset,
    PhaseVideo,
    PresenceDataset,
    Source,
    class_ids_at,
    last_line,
    outlasting_seconds,
    phase_split_hash,
)
from ophclip.evaluation.results import (
    PhaseResult,
    Provenance,
    Throughput,
    code_version,
)
from ophclip.evaluation.similarity import similarity
from ophclip.evaluation.smoothing import causal_prediction, offline_prediction, plain_prediction
from ophclip.evaluation.timelines import Timeline
from ophclip.evaluation.transitions import TRANSITIONS_NAME, Transitions, learned, read_transitions, sticky
from ophclip.evaluation.vectors import grid_seconds
from ophclip.progress import Progress
from ophclip.smoothing_options import SmoothingConfig


def evaluate_phases(
    store: EmbeddingStore,
    dataset: PhaseDataset,
    prompts: PromptSet,
    config: ZeroShotConfig,
    *,
    fit: PhaseDataset | None = None,
    progress: Progress | None = None,
) -> PhaseResult:
    """Zero-shot phase recognition by every named protocol, `video_macro_v1` first; `fit` is `fit_split`.

    Raises:
        ValueError: a label without a prompt class of its own, a video that cannot be decoded or has no labelled second.
    """
    chosen = prompts.for_labels(dataset.classes, distinct=True)
    transitions = _transitions(fit, dataset.classes, config)
    spent = Spent(store)
    embed_all(store, [video.path for video in dataset.videos], progress)
    provenance = provenance_of(
        VIDEO_MACRO_V1,
        dataset.source,
        phase_split_hash(dataset),
        fit_split_sha256=phase_split_hash(fit) if fit else "",
        prompts=chosen,
        model=store.model,
        config=config,
    )
    if transitions is not None:
        provenance = replace(provenance, transitions_sha256=transitions.sha256)
    lines = {
        style: _timelines(store, dataset, chosen, style, config, transitions=transitions)
        for style in reversed(chosen.styles)
    }
    singles = {style.value: lines[style] for style in lines if style is not Style.ENSEMBLE}
    vectors_cd = class_vectors(store, chosen, Style.ENSEMBLE)
    clips = [
        clip
        for video in dataset.videos
        for clip in rank_clips(video, dataset.classes, *similarity(store, video.path, vectors_cd, config))
    ]
    over = past_the_end(store, dataset)
    result = phase_result(
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
        transitions=transitions,
        past_the_end=over,
    )
    lines_of = {video.video_id: last_line(video) for video in dataset.videos if video.video_id in over}
    return replace(result, last_lines=lines_of)


def past_the_end(store: EmbeddingStore, dataset: PhaseDataset | PresenceDataset) -> dict[str, float]:
    """By how many seconds the labels of each video outlast it, where they do."""
    over = {
        video.video_id: outlasting_seconds(video, store.video(video.path).duration_seconds) for video in dataset.videos
    }
    return {name: round(seconds, 3) for name, seconds in over.items() if seconds}


def _timelines(
    store: EmbeddingStore,
    dataset: PhaseDataset,
    prompts: PromptSet,
    style: Style,
    config: ZeroShotConfig,
    *,
    transitions: Transitions | None,
) -> list[Timeline]:
    """Every video's; the ensemble's smoothed, too."""
    vectors_cd = class_vectors(store, prompts, style)
    smoothing = config.smoothing if style is Style.ENSEMBLE else SmoothingConfig()
    config = replace(config, smoothing=smoothing)
    return [
        _timeline(store, video, dataset.classes, vectors_cd, config, transitions=transitions)
        for video in dataset.videos
    ]


def _timeline(
    store: EmbeddingStore,
    video: PhaseVideo,
    classes: Sequence[str],
    vectors_cd: Floats,
    config: ZeroShotConfig,
    *,
    transitions: Transitions | None,
) -> Timeline:
    seconds_t, scores_tc = similarity(store, video.path, vectors_cd, config)
    truth_t = class_ids_at(video.segments, classes, seconds_t)
    if (truth_t < 0).all():
        spans = [(part.start_seconds, part.end_seconds) for part in video.segments]
        labelled = (
            f"labels lie between {min(spans)[0]:g} and {max(end for _, end in spans):g} s" if spans else "no label"
        )
        where = next((f"{part.where}: " for part in video.segments if part.where), "")
        raise ValueError(
            f"{where}{video.path}: no frame lies within a labelled phase of {video.video_id}: {labelled}, frames "
            f"between {seconds_t[0]:g} and {seconds_t[-1]:g} s; is it this video?"
        )
    scale = store.model.logit_scale
    plain = plain_prediction(scores_tc, scale)
    return Timeline(
        video_id=video.video_id,
        seconds_t=seconds_t,
        truth_t=truth_t,
        predicted_t=plain.ids_t,
        confidence_t=plain.confidence_t,
        scores_tc=scores_tc.astype(np.float32),
        causal=causal_prediction(scores_tc, scale, config.fps, config.smoothing, transitions),
        offline=offline_prediction(scores_tc, scale, config.smoothing, transitions),
    )


def _transitions(fit: PhaseDataset | None, classes: Sequence[str], config: ZeroShotConfig) -> Transitions | None:
    """What the Markov models are told of how phases follow each other; None where there are none."""
    given = config.smoothing
    if not given.markov:
        return None
    if given.transitions:
        return read_transitions(Path(given.transitions), classes)
    if fit is None:
        return sticky(len(classes), config.fps, given.dwell_seconds)
    truths = [class_ids_at(video.segments, classes, _labelled_grid(video, config.fps)) for video in fit.videos]
    return learned(truths, len(classes), given.pseudo_count)


def _labelled_grid(video: PhaseVideo, fps: float) -> Floats:
    """0, 1/fps, 2/fps, ... up to the end of the last label."""
    return grid_seconds(max((part.end_seconds for part in video.segments), default=0.0), fps)


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
    protocol: str,
    source: Source,
    split_sha256: str,
    *,
    prompts: PromptSet,
    model: Embedder,
    config: ZeroShotConfig,
    fit_split_sha256: str = "",
) -> Provenance:
    """Everything that the figures of this evaluation depend on."""
    return Provenance(
        protocol=protocol if config.fps == 1.0 else f"{protocol} but at {config.fps:g} fps",
        fps=config.fps,
        window_seconds=config.window_seconds,
        dataset=source,
        split_sha256=split_sha256,
        split=config.split,
        fit_split=config.fit_split,
        fit_split_sha256=fit_split_sha256,
        fit_recall=config.fit_recall,
        smoothing=replace(config.smoothing, transitions=TRANSITIONS_NAME if config.smoothing.transitions else ""),
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
