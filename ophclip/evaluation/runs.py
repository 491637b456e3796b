"""`ophclip zeroshot`: a model and a dataset, or one video, in; a folder with figures, predictions and pictures out.

OUT/result.json   OUT/predictions.csv   OUT/clips.csv   OUT/classes.png   OUT/ribbons/VIDEO.png   of phases
OUT/result.json   OUT/classes.png                                                                 of presence
OUT/result.json   OUT/predictions.csv   OUT/classes.png             of clips, pictures and procedures, file by file
OUT/similarity.csv   OUT/similarity.png   OUT/ribbon.png                                          of one video

What was given is looked at before torch is loaded; the work is done in `scoring`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.media import probe
from ingest.shards import user_cache
from ingest.status import open_corpus
from ophclip.config import ScoredUnit, ZeroShotConfig
from ophclip.evaluation.datasets import dataset_entry
from ophclip.evaluation.embedding_folder import EmbeddingFolder
from ophclip.evaluation.opening import holds_vectors, looked_at, opened
from ophclip.evaluation.prompts import PromptSet, load_prompts
from ophclip.evaluation.receipts import given_to
from ophclip.evaluation.records import Dataset, FileDataset, PhaseDataset, PresenceDataset, Task
from ophclip.evaluation.results import FileResult, PhaseResult, PresenceResult
from ophclip.evaluation.splits import Parts, parts_of, require_files
from ophclip.evaluation.transitions import read_transitions
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.evaluation.opening import AnyModel
    from ophclip.evaluation.similarity import SimilarityCurve


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A model that is there, labelled files, and what is said of their classes."""

    model: AnyModel
    dataset: Dataset
    """What is scored."""
    prompts: PromptSet
    fit: Dataset | None = None
    """The part of the same dataset from which thresholds and transitions are learned."""


def asked(
    model: AnyModel, name: str, root: Path, prompts: str, videos: tuple[Path, ...], *, config: ZeroShotConfig
) -> Question:
    """Look at everything that was given before torch is loaded.

    Of a folder of vectors the videos need not be there; its classes are the prompts if it has vectors of classes and
    no prompts are named.

    Raises:
        ValueError: model, dataset or prompts are not what they should be.
    """
    parts = read_parts(name, root, videos, config, with_videos=not holds_vectors(model))
    dataset = parts.scored
    seen = looked_at(model)
    own = seen.prompts if isinstance(seen, EmbeddingFolder) and not prompts else None
    chosen = own or prompts_for(name, prompts)
    chosen.for_labels(dataset.classes, distinct=tells_apart(dataset))
    if isinstance(dataset, PhaseDataset) and config.smoothing.transitions:
        read_transitions(Path(config.smoothing.transitions), dataset.classes)
    return Question(model=seen, dataset=dataset, prompts=chosen, fit=parts.fit)


def read_parts(
    name: str, root: Path, videos: tuple[Path, ...], config: ZeroShotConfig, *, with_videos: bool = True
) -> Parts[Dataset]:
    """The parts of a dataset that `config` names; videos of its other parts need not be there, nor those of the phases
    that are learned from: their labels are enough.

    Raises:
        ValueError: no dataset has this name, a file is missing or holds what it may not, a split is not in the
            annotations, a video is in both, or nothing is learned from `fit_split`.
    """
    whole = dataset_entry(name).read(root, videos, with_videos=with_videos and not config.split)
    parts = parts_of(whole, config)
    learns = isinstance(whole, PresenceDataset) or (
        isinstance(whole, PhaseDataset) and config.unit is ScoredUnit.SECOND and config.smoothing.learns
    )
    if parts.fit is not None and not learns:
        raise ValueError(
            f"zeroshot.fit_split: of {name} nothing is learned from it; leave it out, or for phases set "
            "smoothing.causal=hmm or smoothing.offline=viterbi without smoothing.transitions"
        )
    if with_videos:
        require_files(parts.scored)
    if with_videos and isinstance(parts.fit, PresenceDataset):
        require_files(parts.fit)
    return parts


def tells_apart(dataset: Dataset) -> bool:
    """Whether one class is chosen, so that no two may have the same prompts."""
    one_label = isinstance(dataset, FileDataset) and dataset.task is Task.CLIP
    return one_label or isinstance(dataset, PhaseDataset)


def read_dataset(name: str, root: Path, videos: tuple[Path, ...] = ()) -> PhaseDataset | PresenceDataset:
    """A labelled dataset; `root` is its folder, or the CSV of a table whose videos lie in `videos` or beside it.

    Raises:
        ValueError: no dataset has this name, or a file or column is missing or holds what it may not.
    """
    dataset = dataset_entry(name).read(root, videos)
    if isinstance(dataset, FileDataset):
        raise ValueError(f"{name}: labels whole files; expected a dataset of phases or presence in videos")
    return dataset


def prompts_for(name: str, spec: str = "") -> PromptSet:
    """The prompts named by `spec` (a file or a shipped set), else those shipped for the dataset.

    Raises:
        ValueError: there are none for the dataset, or they cannot be read.
    """
    shipped = dataset_entry(name).facts.prompts
    if not spec and not shipped:
        raise ValueError(f"zeroshot --dataset {name}: give --prompts FILE, a YAML or a text file of sentences")
    return load_prompts(spec or shipped)


def default_cache() -> Path:
    """Where the commands keep what was encoded: `ophclip/embeddings` in the user's cache directory."""
    return user_cache() / "embeddings"


def zeroshot_dataset(
    bundle: AnyModel,
    name: str,
    root: Path,
    out: Path,
    *,
    config: ZeroShotConfig,
    prompts: str = "",
    videos: tuple[Path, ...] = (),
    cache: Path | None = None,
    trained_on: Path | None = None,
    progress: Progress | None = None,
) -> PhaseResult | PresenceResult | FileResult:
    """Score a model on a dataset and write figures, predictions and pictures into `out`.

    `trained_on` is the corpus of the training, if copies of its videos are to be looked for by pictures as well.

    Raises:
        ValueError: model, dataset or prompts are not what they should be, or a video cannot be decoded.
    """
    question = asked(bundle, name, root, prompts, videos, config=config)
    out.mkdir(parents=True, exist_ok=True)
    if trained_on is not None:
        open_corpus(trained_on, read_only=True).close()
    from ophclip.evaluation.scoring import score_dataset
    from ophclip.evaluation.similarity import open_store

    store = open_store(opened(question.model), config, cache)
    given = given_to(out, bundle, name, root, videos=videos, prompts=prompts)
    return score_dataset(
        store,
        question.dataset,
        question.prompts,
        out,
        config=config,
        fit=question.fit,
        given=given,
        trained_on=trained_on,
        progress=progress,
    )


def zeroshot_video(
    bundle: AnyModel, video: Path, prompts: str, out: Path, *, config: ZeroShotConfig, cache: Path | None = None
) -> SimilarityCurve:
    """Compare one video with the sentences of a prompts file; writes the curve, its picture and a ribbon.

    Raises:
        ValueError: model or prompts are not what they should be, or the video cannot be decoded.
    """
    chosen = load_prompts(prompts)
    seen = looked_at(bundle)
    out.mkdir(parents=True, exist_ok=True)
    if not isinstance(seen, EmbeddingFolder):
        probe(video)
    from ophclip.evaluation.scoring import compare_video

    return compare_video(opened(seen), video, chosen, out, config=config, cache=cache)
