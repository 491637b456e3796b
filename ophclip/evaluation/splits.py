"""Parts of a dataset: the one that is scored, and another from which thresholds and transitions may be learned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.records import (
    Dataset,
    FileDataset,
    LabelledFile,
    PhaseVideo,
    PresenceVideo,
)

Item = PhaseVideo | PresenceVideo | LabelledFile
D = TypeVar("D", bound=Dataset)


@dataclass(frozen=True, slots=True)
class Parts(Generic[D]):
    """`scored`, and `fit` where something may be learned; no video is in both."""

    scored: D
    fit: D | None = None


def only(dataset: D, split: str) -> D:
    """The videos, or files, of one split.

    Raises:
        ValueError: there is none; names the splits that there are.
    """
    kept = tuple(item for item in items_of(dataset) if item.split == split)
    if not kept:
        known = ", ".join(sorted({item.split for item in items_of(dataset)} - {""})) or "none"
        word = "file" if isinstance(dataset, FileDataset) else "video"
        raise ValueError(f"{dataset.source.name}: no {word} of split {split!r}; splits in the annotations: {known}")
    changes: dict[str, Any] = {"files" if isinstance(dataset, FileDataset) else "videos": kept}
    return replace(dataset, **changes)


def parts_of(dataset: D, config: ZeroShotConfig) -> Parts[D]:
    """`split` and `fit_split` of a dataset.

    Raises:
        ValueError: a split is not there, or a video is in both.
    """
    scored = only(dataset, config.split) if config.split else dataset
    if not config.fit_split:
        return Parts(scored)
    fit = only(dataset, config.fit_split)
    shared = _names(items_of(scored)) & _names(items_of(fit))
    if shared:
        raise ValueError(
            f"{dataset.source.name}: {min(shared)} is in split {config.split!r}, which is scored, and in fit_split "
            f"{config.fit_split!r}; a video that is learned from must not be scored"
        )
    return Parts(scored, fit)


def require_files(dataset: Dataset) -> None:
    """See that every video or file lies there.

    Raises:
        ValueError: names the first that does not.
    """
    items = items_of(dataset)
    for found, item in enumerate(items):
        if not item.path.is_file():
            raise ValueError(
                f"{item.path}: expected this file ({found} of {len(items)} labelled files found before it); "
                "unpack the rest, or evaluate a split that is there"
            )


def items_of(dataset: Dataset) -> tuple[Item, ...]:
    """What is labelled: videos, or files."""
    return dataset.files if isinstance(dataset, FileDataset) else dataset.videos


def _names(items: Iterable[Item]) -> set[str]:
    """What tells videos apart: ids, and the places of their files."""
    return {name for item in items for name in (item.video_id, str(item.path.resolve()))}
