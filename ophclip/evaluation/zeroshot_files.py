"""Recognition without training of what is labelled as a whole: clips, segments, pictures, videos with their procedures.

Each is one vector, pooled over its frames, compared with what is said about each class. Shapes: F files, D width.
"""

from __future__ import annotations

import numpy as np

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.clips import span_of
from ophclip.evaluation.embedding import EmbeddingStore, class_vectors
from ophclip.evaluation.file_results import HEADLINE, file_result, file_summary
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import PromptSet, Style
from ophclip.evaluation.records import (
    Dataset,
    FileDataset,
    LabelledFile,
    PhaseDataset,
    Task,
    file_split_hash,
    phase_split_hash,
)
from ophclip.evaluation.results import FileResult
from ophclip.evaluation.scored_files import SCORE_DIGITS, ScoredFile
from ophclip.evaluation.zeroshot import Spent, embed_all, provenance_of
from ophclip.progress import Progress


def evaluate_files(
    store: EmbeddingStore,
    dataset: Dataset,
    prompts: PromptSet,
    config: ZeroShotConfig,
    progress: Progress | None = None,
) -> FileResult:
    """Zero-shot recognition of files, or of the labelled segments of phases as clips.

    Raises:
        ValueError: a label without a prompt class of its own, a file that cannot be decoded, or labels of seconds only.
    """
    if not isinstance(dataset, FileDataset | PhaseDataset):
        raise ValueError(f"zeroshot.unit=segment: {dataset.source.name} labels seconds, not segments; leave it out")
    task = dataset.task if isinstance(dataset, FileDataset) else Task.CLIP
    split_sha256 = file_split_hash(dataset) if isinstance(dataset, FileDataset) else phase_split_hash(dataset)
    chosen = prompts.for_labels(dataset.classes, distinct=task is Task.CLIP)
    items = dataset.files if isinstance(dataset, FileDataset) else dataset.videos
    paths = list(dict.fromkeys(item.path for item in items))
    spent = Spent(store)
    embed_all(store, paths, progress)
    files, vectors_fd = _whole(store, dataset) if isinstance(dataset, FileDataset) else _segments(store, dataset)
    provenance = provenance_of(
        HEADLINE[task], dataset.source, split_sha256, prompts=chosen, model=store.model, config=config
    )
    scored = {style: _scored(store, files, vectors_fd, chosen, style) for style in reversed(chosen.styles)}
    best = scored.pop(Style.ENSEMBLE)
    styles = {style.value: file_summary(given, dataset.classes, task, provenance) for style, given in scored.items()}
    return file_result(
        provenance, spent.throughput(paths), task=task, classes=dataset.classes, files=best, styles=styles
    )


def _whole(store: EmbeddingStore, dataset: FileDataset) -> tuple[list[LabelledFile], Floats]:
    """Every file and its one vector [F, D]."""
    videos = [store.video(file.path).vectors_td for file in dataset.files]
    pooled = [store.model.pool_spans(vectors_td, [(0, len(vectors_td))]) for vectors_td in videos]
    return list(dataset.files), np.concatenate(pooled).astype(np.float64)


def _segments(store: EmbeddingStore, dataset: PhaseDataset) -> tuple[list[LabelledFile], Floats]:
    """Every labelled segment that begins within its video, as VIDEO#NUMBER@START-END, and its one vector [F, D]."""
    files, pooled = [], []
    for video in dataset.videos:
        seen = store.video(video.path)
        parts = [part for part in video.segments if part.start_seconds <= seen.seconds_t[-1]]
        if not parts:
            raise ValueError(f"{video.path}: no labelled segment of {video.video_id} lies within it; is it this video?")
        files += [
            LabelledFile(
                file_id=f"{video.video_id}#{number}@{part.start_seconds:.3f}-{part.end_seconds:.3f}",
                path=video.path,
                labels=(part.label,),
                video_id=video.video_id,
            )
            for number, part in enumerate(parts, start=1)
        ]
        pooled.append(store.model.pool_spans(seen.vectors_td, [span_of(part, seen.seconds_t) for part in parts]))
    return files, np.concatenate(pooled).astype(np.float64)


def _scored(
    store: EmbeddingStore, files: list[LabelledFile], vectors_fd: Floats, prompts: PromptSet, style: Style
) -> list[ScoredFile]:
    scores_fc = (vectors_fd @ class_vectors(store, prompts, style).T).round(SCORE_DIGITS)
    return [
        ScoredFile(
            file_id=file.file_id, video_id=file.video_id, labels=file.labels, scores_c=scores_c, group=file.group
        )
        for file, scores_c in zip(files, scores_fc, strict=True)
    ]
