"""`ophclip zeroshot`: a bundle and a dataset, or one video, in; a folder with figures, predictions and pictures out.

OUT/result.json   OUT/predictions.csv   OUT/clips.csv   OUT/classes.png   OUT/ribbons/VIDEO.png   of phases
OUT/result.json   OUT/classes.png                                                                 of presence
OUT/similarity.csv   OUT/similarity.png   OUT/ribbon.png                                          of one video

What was given is looked at before torch is loaded; the work is done in `scoring`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ingest.media import probe
from ingest.shards import user_cache
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.datasets import dataset_entry
from ophclip.evaluation.prompts import PromptSet, load_prompts
from ophclip.evaluation.records import FileDataset, PhaseDataset, PresenceDataset
from ophclip.evaluation.results import PhaseResult, PresenceResult
from ophclip.evaluation.splits import Parts, parts_of, require_files
from ophclip.evaluation.transitions import read_transitions
from ophclip.models.description import read_description
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.evaluation.similarity import SimilarityCurve
    from ophclip.models.bundle import Loaded


def read_dataset(
    name: str, root: Path, videos: tuple[Path, ...] = (), *, with_videos: bool = True
) -> PhaseDataset | PresenceDataset:
    """A labelled dataset; `root` is its folder, or the CSV of a table whose videos lie in `videos` or beside it.

    Raises:
        ValueError: no dataset has this name, or a file or column is missing or holds what it may not.
    """
    dataset = dataset_entry(name).read(root, videos, with_videos=with_videos)
    if isinstance(dataset, FileDataset):
        raise ValueError(f"{name}: labels whole files; expected a dataset of phases or presence in videos")
    return dataset


def read_parts(
    name: str, root: Path, videos: tuple[Path, ...], config: ZeroShotConfig
) -> Parts[PhaseDataset | PresenceDataset]:
    """The parts of a dataset that `config` names; videos of its other parts need not be there, nor those
    of the phases that are learned from: their labels are enough.

    Raises:
        ValueError: as `read_dataset`, or a split is not in the annotations, or a video is in both.
    """
    whole = read_dataset(name, root, videos, with_videos=not config.split)
    parts = parts_of(whole, config)
    if isinstance(parts.fit, PhaseDataset) and not config.smoothing.learns:
        raise ValueError(
            "zeroshot.fit_split: nothing is learned from it; set smoothing.causal=hmm or smoothing.offline=viterbi, "
            "without smoothing.transitions"
        )
    require_files(parts.scored)
    if isinstance(parts.fit, PresenceDataset):
        require_files(parts.fit)
    return parts


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
    bundle: Path | Loaded,
    name: str,
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
    parts, chosen = read_parts(name, root, videos, config), prompts_for(name, prompts)
    chosen.for_labels(parts.scored.classes, distinct=isinstance(parts.scored, PhaseDataset))
    if isinstance(parts.scored, PhaseDataset) and config.smoothing.transitions:
        read_transitions(Path(config.smoothing.transitions), parts.scored.classes)
    _look_at(bundle, out)
    from ophclip.evaluation.scoring import score_dataset
    from ophclip.evaluation.similarity import open_store

    store = open_store(_loaded(bundle), config, cache)
    return score_dataset(store, parts.scored, chosen, out, config=config, fit=parts.fit, progress=progress)


def zeroshot_video(
    bundle: Path | Loaded, video: Path, prompts: str, out: Path, *, config: ZeroShotConfig, cache: Path | None = None
) -> SimilarityCurve:
    """Compare one video with the sentences of a prompts file; writes the curve, its picture and a ribbon.

    Raises:
        ValueError: bundle or prompts are not what they should be, or the video cannot be decoded.
    """
    chosen = load_prompts(prompts)
    _look_at(bundle, out)
    probe(video)
    from ophclip.evaluation.scoring import compare_video

    return compare_video(_loaded(bundle), video, chosen, out, config=config, cache=cache)


def _look_at(bundle: Path | Loaded, out: Path) -> None:
    """See that a bundle lies there, and that `out` can be written."""
    if isinstance(bundle, Path):
        read_description(bundle)
    out.mkdir(parents=True, exist_ok=True)


def _loaded(bundle: Path | Loaded) -> Loaded:
    from ophclip.evaluation.embedding import default_device
    from ophclip.models.bundle import load_bundle

    return load_bundle(bundle, device=default_device()) if isinstance(bundle, Path) else bundle
