"""`ophclip verify`: a result is computed again, from its predictions and from the videos, and what differs is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophclip.config import PresenceThreshold, ZeroShotConfig
from ophclip.evaluation.intervals import Estimate, estimate, estimate_cells
from ophclip.evaluation.phases import phase_result
from ophclip.evaluation.probes.reading import probe_file, written_and_found
from ophclip.evaluation.reading import PHASES, PRESENCE, Written, read_result
from ophclip.evaluation.results import PhaseResult, nulled
from ophclip.evaluation.runs import prompts_for, read_dataset
from ophclip.models.description import read_description

if TYPE_CHECKING:
    from ophclip.evaluation.results import PresenceResult

SAME = 1e-9
"""Numbers made from the same predictions differ by rounding at most."""
SAME_FROM_VIDEOS = 1e-4
"""Numbers made by encoding the videos again: other processors add in another order."""
_UNREPEATABLE = ("throughput", "provenance.code_version")
_ABSENT = "absent"
_LONGEST = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A place where what was written is not what was computed."""

    file: Path
    field: str
    written: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.file}: {self.field} is {_short(self.written)}, computed {_short(self.found)}"


def verify_result(place: Path) -> tuple[Mismatch, ...]:
    """Compute every figure again from `predictions.csv` and `clips.csv`, or from the cells of a result of presence.

    What cannot follow from those (provenance, throughput, summaries of single prompt styles; of presence the rates and
    chance) is taken as it is. A probe is computed again from the predictions of every training set.

    Raises:
        ValueError: a file is missing, or is no result of this version.
    """
    if probe := probe_file(place):
        tree, found = written_and_found(probe)
        return tuple(_mismatches(probe, found, tree, SAME))
    written = read_result(place)
    if written.task == PRESENCE:
        return tuple(_mismatches(written.path, _presence_tree(written), written.tree, SAME))
    again = phase_result(
        written.provenance,
        written.throughput,
        written.classes,
        written.timelines,
        clips=written.clips,
        styles=written.styles(),
        attributes=written.attributes(),
    )
    return tuple(_mismatches(written.path, again.to_json(), written.tree, SAME))


def verify_from_videos(
    place: Path, bundle: Path, name: str, root: Path, *, prompts: str = "", videos: tuple[Path, ...] = ()
) -> tuple[Mismatch, ...]:
    """Decode, encode and score the videos again with the settings that the result names.

    Raises:
        ValueError: result, bundle, dataset or prompts are not what they should be, or a video cannot be decoded.
    """
    written = read_result(place)
    dataset, chosen = read_dataset(name, root, videos), prompts_for(name, prompts)
    read_description(bundle)
    from ophclip.evaluation.embedding import default_device
    from ophclip.evaluation.records import PhaseDataset
    from ophclip.evaluation.similarity import open_store
    from ophclip.evaluation.zeroshot import evaluate_phases, evaluate_presence
    from ophclip.models.bundle import load_bundle

    if isinstance(dataset, PhaseDataset) != (written.task == PHASES):
        raise ValueError(f"{written.path}: a result of {written.task}, but --dataset {name} holds other labels")
    config = _config(written)
    store = open_store(load_bundle(bundle, device=default_device()), config)
    again: PhaseResult | PresenceResult
    if isinstance(dataset, PhaseDataset):
        again = evaluate_phases(store, dataset, chosen, config)
    else:
        again = evaluate_presence(store, dataset, chosen, config)
    found = _mismatches(written.path, again.to_json(), written.tree, SAME_FROM_VIDEOS)
    lines = _line_mismatches(written, again) if isinstance(again, PhaseResult) else ()
    return (*found, *lines)


def _config(written: Written) -> ZeroShotConfig:
    names = ("fps", "window_seconds", "smoothing_seconds", "bootstrap_samples", "chance_samples", "seed")
    config = ZeroShotConfig(**{name: getattr(written.provenance, name) for name in names})
    if written.task == PRESENCE:
        config.threshold = PresenceThreshold(written.tree["threshold"])
    return config


def _presence_tree(written: Written) -> dict[str, Any]:
    """The part of a result of presence that follows from its cells; the rest as it was written."""
    _, cells_vc = written.average_precisions()
    drawn = {"samples": written.provenance.bootstrap_samples, "seed": written.provenance.seed}
    return {
        **written.tree,
        "summary": {"mean_average_precision": _plain(estimate_cells(cells_vc, **drawn))},
        "class_average_precision": {
            label: _plain(estimate(cells_vc[:, place], **drawn)) for place, label in enumerate(written.classes)
        },
        "nulls": int(np.isnan(cells_vc).sum()),
        "unseen": [label for label, column in zip(written.classes, cells_vc.T, strict=True) if np.isnan(column).all()],
    }


def _plain(figure: Estimate) -> Any:
    return nulled(asdict(figure))


def _mismatches(file: Path, found: Any, written: Any, tolerance: float, field: str = "") -> Iterator[Mismatch]:
    """Where two trees differ, by path; a row of a list is called by its video."""
    if field in _UNREPEATABLE:
        return
    if isinstance(found, Mapping) and isinstance(written, Mapping):
        for key in sorted(found.keys() | written.keys()):
            inner = f"{field}.{key}" if field else str(key)
            yield from _mismatches(file, found.get(key, _ABSENT), written.get(key, _ABSENT), tolerance, inner)
    elif isinstance(found, list) and isinstance(written, list):
        for place, (one, other) in enumerate(zip_longest(found, written, fillvalue=_ABSENT)):
            name = one.get("video_id", place) if isinstance(one, Mapping) else place
            yield from _mismatches(file, one, other, tolerance, f"{field}[{name}]")
    elif not _equal(found, written, tolerance):
        yield Mismatch(file=file, field=field, written=written, found=found)


def _equal(found: Any, written: Any, tolerance: float) -> bool:
    if isinstance(found, int | float) and isinstance(written, int | float):
        return abs(found - written) <= tolerance
    return bool(found == written)


def _line_mismatches(written: Written, again: PhaseResult) -> tuple[Mismatch, ...]:
    """The first second of each video whose truth, prediction or smoothed prediction is another."""
    file = written.path.with_name("predictions.csv")
    kept = {line.video_id: line for line in written.timelines}
    found = []
    for line in again.timelines:
        other = kept.get(line.video_id)
        if other is None or not np.array_equal(line.seconds_t, other.seconds_t):
            seconds = _ABSENT if other is None else len(other.seconds_t)
            found.append(
                Mismatch(file=file, field=f"seconds of {line.video_id}", written=seconds, found=len(line.seconds_t))
            )
            continue
        for name in ("truth", "predicted", "smoothed"):
            mine, theirs = getattr(line, f"{name}_t"), getattr(other, f"{name}_t")
            if mine is None or theirs is None:
                continue
            for place in np.flatnonzero(mine != theirs)[:1]:
                field = f"{name} of {line.video_id} at {line.seconds_t[place]:g} s"
                labels = ("unlabelled", *written.classes)
                found.append(
                    Mismatch(file=file, field=field, written=labels[theirs[place] + 1], found=labels[mine[place] + 1])
                )
    return tuple(found)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
