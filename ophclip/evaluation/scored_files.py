"""Files (or labelled segments) with the score of every class, and their CSV, from which all figures follow.

Shapes: F files, C classes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.atomic import write_text
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.records import Task
from ophclip.evaluation.tables import guarded, read_text, unguarded

SCORE_DIGITS = 8
"""Decimals that are written; scores are rounded to them before anything is computed."""
_COLUMNS = ("file", "video", "group", "truth")
_BETWEEN_LABELS = "|"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredFile:
    """One file: what it is labelled with, and its cosine with what is said of each class."""

    file_id: str
    video_id: str
    labels: tuple[str, ...]
    scores_c: Floats
    group: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileTable:
    """Files as arrays; `owner_f` says which of `videos` each was taken from: videos are what is drawn."""

    classes: tuple[str, ...]
    videos: tuple[str, ...]
    owner_f: Ints
    present_fc: Floats
    scores_fc: Floats

    @property
    def truth_f(self) -> Ints:
        """Class id of each file that has one label."""
        return np.asarray(self.present_fc.argmax(axis=1))

    @property
    def predicted_f(self) -> Ints:
        """Class id with the highest score."""
        return np.asarray(self.scores_fc.argmax(axis=1))

    @property
    def ranks_f(self) -> Ints:
        """Place of the truth among the classes; 1 is first, equals rank behind those they equal."""
        own_f1 = np.take_along_axis(self.scores_fc, self.truth_f[:, None], axis=1)
        return np.asarray((self.scores_fc >= own_f1).sum(axis=1))


def file_table(files: Sequence[ScoredFile], classes: Sequence[str], task: Task) -> FileTable:
    """The arrays of files.

    Raises:
        ValueError: there is no file, one has a label that is no class, or a clip has another number of labels than one.
    """
    if not files:
        raise ValueError("no file to score; is the split the right one?")
    numbers = {label: place for place, label in enumerate(classes)}
    videos = {name: place for place, name in enumerate(sorted({file.video_id for file in files}))}
    present_fc = np.zeros((len(files), len(numbers)))
    for row, file in enumerate(files):
        if odd := [label for label in file.labels if label not in numbers]:
            raise ValueError(f"{file.file_id}: label {odd[0]!r} is none of the classes {', '.join(classes)}")
        if task is Task.CLIP and len(file.labels) != 1:
            raise ValueError(f"{file.file_id}: {len(file.labels)} labels; expected one of each clip")
        present_fc[row, [numbers[label] for label in file.labels]] = 1
    return FileTable(
        classes=tuple(classes),
        videos=tuple(videos),
        owner_f=np.array([videos[file.video_id] for file in files], dtype=np.int64),
        present_fc=present_fc,
        scores_fc=np.stack([file.scores_c for file in files]),
    )


def write_scored_files(path: Path, files: Sequence[ScoredFile], classes: Sequence[str]) -> None:
    """CSV of `file,video,group,truth` and a score for each class; labels of a file have a bar between them.

    Raises:
        ValueError: the name of a class has a bar in it.
    """
    if barred := [label for label in classes if _BETWEEN_LABELS in label]:
        raise ValueError(f"class {barred[0]!r}: a name with {_BETWEEN_LABELS} cannot be written; rename it")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*_COLUMNS, *map(guarded, classes)))
    for file in files:
        scores = (f"{score:.{SCORE_DIGITS}f}" for score in file.scores_c)
        names = (file.file_id, file.video_id, file.group, _BETWEEN_LABELS.join(file.labels))
        writer.writerow((*map(guarded, names), *scores))
    write_text(path, buffer.getvalue())


def read_scored_files(path: Path, classes: Sequence[str]) -> tuple[ScoredFile, ...]:
    """Read what `write_scored_files` wrote.

    Raises:
        ValueError: the file is missing, belongs to other classes, a row is not whole, or a score is no number.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    if tuple(next(reader, ())) not in ((*_COLUMNS, *map(guarded, classes)), (*_COLUMNS, *classes)):
        raise ValueError(
            f"{path}, line 1: expected {','.join(_COLUMNS)} and the classes of result.json; evaluate again"
        )
    files: dict[str, ScoredFile] = {}
    for cells in reader:
        where = f"{path}, line {reader.line_num}"
        if len(cells) != len(_COLUMNS) + len(classes):
            raise ValueError(f"{where}: {len(cells)} cells; expected {len(_COLUMNS) + len(classes)}")
        file_id, video_id, group, truth = map(unguarded, cells[: len(_COLUMNS)])
        scores = cells[len(_COLUMNS) :]
        try:
            scores_c = np.array([float(score) for score in scores])
        except ValueError as error:
            raise ValueError(f"{where}: a score is no number ({error})") from error
        if not np.isfinite(scores_c).all():
            raise ValueError(f"{where}: a score is not finite")
        if file_id in files:
            raise ValueError(f"{where}: {file_id} stands there twice")
        labels = tuple(truth.split(_BETWEEN_LABELS)) if truth else ()
        files[file_id] = ScoredFile(file_id=file_id, video_id=video_id, labels=labels, scores_c=scores_c, group=group)
    if not files:
        raise ValueError(f"{path}: no row below the header; evaluate again")
    return tuple(files.values())
