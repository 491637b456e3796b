"""`ophclip datasets check`: what of a labelled dataset is there, what is missing and what is odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ingest.media import probe
from ophclip.evaluation.datasets import dataset_entry
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.records import (
    Dataset,
    Facts,
    FileDataset,
    PhaseDataset,
    PhaseVideo,
    PresenceDataset,
    Task,
    labelled_files,
    last_line,
    outlasting_seconds,
)
from ophclip.evaluation.tables import video_files

SHOWN = 3
"""So many names are given of those that are missing or odd."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Findings, one line each; a dataset with anything under `missing` or `wrong` cannot be used."""

    there: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether evaluation would run."""
        return not self.missing and not self.wrong

    @property
    def text(self) -> str:
        """The report as lines."""
        parts = {"there": self.there, "missing": self.missing, "wrong": self.wrong, "odd": self.odd}
        return "\n".join(f"{word:8} {line}" for word, lines in parts.items() for line in lines)


def check(name: str, root: Path, videos: Sequence[Path] = ()) -> Report:
    """Read a dataset's annotations, look for its files, and probe those that are there.

    Raises:
        ValueError: no dataset has this name.
    """
    entry = dataset_entry(name)
    try:
        dataset = entry.read(root, videos, with_videos=False)
    except ValueError as error:
        return Report(wrong=(str(error),))
    odd = [*_unprompted(entry.facts, dataset), *_unseen(dataset), *_strangers(dataset, root, videos)]
    if isinstance(dataset, PhaseDataset):
        odd += _overlaps_and_gaps(dataset)
    return Report(there=tuple(_there(dataset)), missing=tuple(_missing(dataset)), odd=(*odd, *_past_the_end(dataset)))


def _there(dataset: Dataset) -> Iterator[str]:
    items = dataset.files if isinstance(dataset, FileDataset) else dataset.videos
    word = "files" if isinstance(dataset, FileDataset) else "videos"
    found = sum(path.is_file() for path in labelled_files(dataset).values())
    yield f"{len(items)} labelled {word}, {found} of them found"
    splits = Counter(getattr(item, "split", "") for item in items)
    if set(splits) != {""}:
        yield "splits: " + ", ".join(f"{split or 'none'} {count}" for split, count in sorted(splits.items()))
    counts = label_counts(dataset)
    yield f"{sum(counts.values())} labels of {len(dataset.classes)} classes"
    yield from (f"  {label}: {count}" for label, count in counts.items())


def label_counts(dataset: Dataset) -> dict[str, int]:
    """Segments of phases, positive seconds of presence, or labelled files, by class."""
    if isinstance(dataset, PresenceDataset):
        return {
            label: sum(int((video.present_nc[:, column] == 1).sum()) for video in dataset.videos)
            for column, label in enumerate(dataset.classes)
        }
    if isinstance(dataset, PhaseDataset):
        counts = Counter(part.label for video in dataset.videos for part in video.segments)
    else:
        counts = Counter(label for file in dataset.files for label in file.labels)
    return {label: counts[label] for label in dataset.classes}


def _missing(dataset: Dataset) -> Iterator[str]:
    lost = [str(path) for path in labelled_files(dataset).values() if not path.is_file()]
    if lost:
        yield f"{len(lost)} of {len(labelled_files(dataset))} files that are labelled: {_some(lost)}"
    bare = [video.video_id for video in _videos(dataset) if not video.segments]
    if bare:
        yield f"labels of {len(bare)} videos: {_some(bare)}"


def _videos(dataset: Dataset) -> tuple[PhaseVideo, ...]:
    return dataset.videos if isinstance(dataset, PhaseDataset) else ()


def _unprompted(facts: Facts, dataset: Dataset) -> Iterator[str]:
    if not facts.prompts:
        yield "no prompts are shipped for it: give your own with --prompts"
        return
    try:
        builtin_prompts(facts.prompts).for_labels(dataset.classes, distinct=facts.task in (Task.PHASE, Task.CLIP))
    except ValueError as error:
        yield str(error)


def _unseen(dataset: Dataset) -> Iterator[str]:
    if unseen := [label for label, count in label_counts(dataset).items() if not count]:
        yield f"{len(unseen)} classes without a label: {_some(unseen)}"


def _strangers(dataset: Dataset, root: Path, videos: Sequence[Path]) -> Iterator[str]:
    labelled = {path.resolve() for path in labelled_files(dataset).values()}
    folders = [root if root.is_dir() else root.parent, *videos]
    others = sorted({str(path) for path in video_files(folders).values() if path.resolve() not in labelled})
    if others:
        yield f"{len(others)} videos without labels, which are not used: {_some(others)}"


def _overlaps_and_gaps(dataset: PhaseDataset) -> Iterator[str]:
    pairs = [pair for video in dataset.videos for pair in pairwise(video.segments)]
    overlaps = sum(after.start_seconds < before.end_seconds for before, after in pairs)
    gaps = sum(after.start_seconds > before.end_seconds for before, after in pairs)
    if overlaps:
        yield f"{overlaps} neighbouring segments overlap: {dataset.source.overlap_rule}"
    if gaps:
        yield f"{gaps} gaps between segments: {dataset.source.background_rule}"


def _past_the_end(dataset: Dataset) -> Iterator[str]:
    if isinstance(dataset, FileDataset):
        return
    for video in dataset.videos:
        if not video.path.is_file():
            continue
        try:
            seconds = probe(video.path).duration_seconds
        except ValueError as error:
            yield str(error)
            continue
        if over := outlasting_seconds(video, seconds):
            where = last_line(video) or video.video_id
            yield f"{where}: labelled until {seconds + over:.1f} s, but {video.path} ends at {seconds:.1f} s"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
