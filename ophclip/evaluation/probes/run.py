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
from typing import Any

from ophclip.evaluation.probes.parting import part
from ophclip.evaluation.runs import read_dataset
from ophclip.models.description import read_description
from ophclip.probe_options import ProbeConfig
from ophclip.progress import Progress

RESULT_NAME = "probe_result.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What a probe found."""

    path: Path
    headline: str
    never_learned: Mapping[str, int]
    """Classes of the test videos that no training video shows, with their labelled seconds."""
    tree: Mapping[str, Any]


def probe_dataset(
    bundle: Path,
    name: str,
    root: Path,
    out: Path,
    *,
    config: ProbeConfig,
    against: Sequence[Path] = (),
    videos: tuple[Path, ...] = (),
    progress: Progress | None = None,
) -> Probed:
    """Probe a bundle, its architecture with random weights, and the models `against`.

    Raises:
        ValueError: bundle, dataset or split are not what they should be, or a video cannot be decoded.
    """
    parted = part(read_dataset(name, root, videos), config)
    for folder in (bundle, *against):
        read_description(folder)
    out.mkdir(parents=True, exist_ok=True)
    from ophclip.evaluation.probes.working import probe_parts

    return probe_parts(bundle, parted, out, config=config, against=against, progress=progress)
