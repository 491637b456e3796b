"""`ophclip probe`: a bundle and a labelled dataset in; what heads learn from its features, by how much is labelled.

OUT/probe_result.json   every figure, gain and test video, with what they depend on
OUT/cells.csv           the main figures of every training set, one a line
OUT/gain.png            figures and gains against the number of training videos
OUT/cells, truth.npz    predictions of every training set, from which `ophclip verify` computes all of the above again
OUT/embeddings, frames  what was decoded; may be deleted

What was given is looked at before torch is loaded. A run that was stopped goes on behind its last finished cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ophclip.evaluation.datasets import dataset_entry
from ophclip.evaluation.leakage import Leakage
from ophclip.evaluation.opening import holds_vectors, looked_at
from ophclip.evaluation.probes.names import named_models
from ophclip.evaluation.probes.parting import part
from ophclip.evaluation.receipts import given_to
from ophclip.evaluation.records import FileDataset
from ophclip.probe_options import ProbeConfig
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.evaluation.opening import AnyModel

RESULT_NAME = "probe_result.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What a probe found."""

    path: Path
    headline: str
    never_learned: Mapping[str, int]
    """Classes of the test videos that no training video shows, with their labelled seconds."""
    leakage: Leakage
    """Whether the bundle was trained on test videos."""
    tree: Mapping[str, Any]


def probe_dataset(
    bundle: AnyModel,
    name: str,
    root: Path,
    out: Path,
    *,
    config: ProbeConfig,
    against: Sequence[AnyModel] = (),
    videos: tuple[Path, ...] = (),
    progress: Progress | None = None,
) -> Probed:
    """Probe a model, its architecture with random weights, and the models `against`.

    Of folders of vectors the videos need not be there, if nothing else is probed.

    Raises:
        ValueError: model, dataset or split are not what they should be, or a video cannot be decoded.
    """
    only_vectors = all(holds_vectors(one) for one in (bundle, *against))
    dataset = dataset_entry(name).read(root, videos, with_videos=not only_vectors)
    if isinstance(dataset, FileDataset):
        raise ValueError(f"{name}: labels whole files; expected a dataset of phases or presence in videos")
    parted = part(dataset, config)
    seen, *others = (looked_at(one) for one in (bundle, *against))
    models = named_models(seen, others, config)
    out.mkdir(parents=True, exist_ok=True)
    given = given_to(out, bundle, name, root, videos=videos)
    from ophclip.evaluation.probes.working import probe_parts

    return probe_parts(models, parted, out, config=config, given=given, progress=progress)
