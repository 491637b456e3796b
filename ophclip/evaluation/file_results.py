"""From scored files to everything that a result of clips, pictures or procedures says: pure, to be done again.

Shapes: F files, C classes, V videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ophclip.evaluation.file_figures import (
    OfClasses,
    class_f1,
    class_precision,
    class_recall,
    file_macro_f1,
    file_map,
    file_topk,
    video_cells,
    video_map,
    video_precision,
)
from ophclip.evaluation.intervals import Estimate, Statistic, estimate_classes, estimate_statistic, presence_chance
from ophclip.evaluation.protocols import (
    CLIP_MACRO_F1,
    CLIP_TOPK,
    FILE_MAP,
    INSTRUMENT_VIDEO_MAP,
    PROTOCOLS,
    Figures,
)
from ophclip.evaluation.records import Task
from ophclip.evaluation.results import FileResult, GroupFigures, ProtocolFigures, Provenance, Throughput
from ophclip.evaluation.scored_files import FileTable, ScoredFile, file_table

HEADLINE = {Task.CLIP: CLIP_TOPK, Task.PICTURE: INSTRUMENT_VIDEO_MAP, Task.PROCEDURE: FILE_MAP}
"""The protocol of each task that its summary follows."""
BINARY = "task"


def file_result(
    provenance: Provenance,
    throughput: Throughput,
    *,
    task: Task,
    classes: Sequence[str],
    files: Sequence[ScoredFile],
    styles: Mapping[str, Mapping[str, Estimate]],
) -> FileResult:
    """Every figure of the ensemble's scores; `styles` are the summaries of single prompt styles.

    Raises:
        ValueError: there is no file, or the labels of one are not as the task has them.
    """
    table = file_table(files, classes, task)
    figures = {name: _estimates(given, provenance) for name, given in file_figures(table, task).items()}
    summary = _summary(figures, task)
    counts_c = table.present_fc.sum(axis=0).astype(int).tolist()
    return FileResult(
        provenance=provenance,
        throughput=throughput,
        task=task,
        classes=tuple(classes),
        summary=summary,
        chance=_chance(table, task, provenance),
        styles={"ensemble": summary, **styles},
        class_figures={
            name: _class_estimates(of, table, task, provenance) for name, of in _class_figures(table, task).items()
        },
        class_files=dict(zip(classes, counts_c, strict=True)),
        protocols={
            name: ProtocolFigures(rule=PROTOCOLS[name].rule, figures=given, videos={})
            for name, given in figures.items()
        },
        groups=_groups(files, classes, task, provenance),
        videos=_videos(table, task),
        nulls=int(np.isnan(video_cells(table)).sum()) if task is Task.PICTURE else 0,
        files=tuple(files),
    )


def file_summary(
    files: Sequence[ScoredFile], classes: Sequence[str], task: Task, provenance: Provenance
) -> dict[str, Estimate]:
    """The figures of the task's protocol; of clips those of `clip_macro_f1` too."""
    wanted = file_figures(file_table(files, classes, task), task)
    return _summary({name: _estimates(wanted[name], provenance) for name in _summed(task)}, task)


def _summary(figures: Mapping[str, Mapping[str, Estimate]], task: Task) -> dict[str, Estimate]:
    return {name: one for protocol in _summed(task) for name, one in figures[protocol].items()}


def _summed(task: Task) -> tuple[str, ...]:
    return (CLIP_TOPK, CLIP_MACRO_F1) if task is Task.CLIP else (HEADLINE[task],)


def file_figures(table: FileTable, task: Task) -> dict[str, Figures]:
    """The figures of every protocol of the task by its name, the headline first."""
    if task is Task.CLIP:
        return {CLIP_TOPK: file_topk(table), CLIP_MACRO_F1: file_macro_f1(table)}
    by_video: dict[str, Figures] = {INSTRUMENT_VIDEO_MAP: video_map(table)} if task is Task.PICTURE else {}
    return {**by_video, FILE_MAP: file_map(table)}


def _class_figures(table: FileTable, task: Task) -> dict[str, OfClasses]:
    if task is Task.CLIP:
        return {"class_f1": class_f1(table), "class_recall": class_recall(table)}
    return {"class_average_precision": (video_precision if task is Task.PICTURE else class_precision)(table)}


def _estimates(figures: Mapping[str, Statistic], provenance: Provenance) -> dict[str, Estimate]:
    drawn = {"samples": provenance.bootstrap_samples, "seed": provenance.seed}
    return {name: estimate_statistic(figure, **drawn) for name, figure in figures.items()}


def _class_estimates(of: OfClasses, table: FileTable, task: Task, provenance: Provenance) -> dict[str, Estimate]:
    figures = estimate_classes(
        of,
        len(table.videos),
        samples=provenance.bootstrap_samples,
        seed=provenance.seed,
        repeats_matter=task is Task.PROCEDURE,
    )
    return dict(zip(table.classes, figures, strict=True))


def _chance(table: FileTable, task: Task, provenance: Provenance) -> dict[str, float]:
    """What guessing would score: each class alike for a clip, uniformly random scores for presence."""
    samples, seed = provenance.chance_samples, provenance.seed
    if task is not Task.CLIP:
        videos = range(len(table.videos)) if task is Task.PICTURE else ()
        presents = [table.present_fc[table.owner_f == video] for video in videos] or [table.present_fc]
        return {"mean_average_precision": presence_chance(presents, samples=samples, seed=seed)}
    classes = len(table.classes)
    rng = np.random.default_rng(seed)
    guesses = (rng.random((len(table.owner_f), classes)) for _ in range(samples))
    whole = np.arange(len(table.videos))[None]
    drawn = [file_macro_f1(replace(table, scores_fc=guess_fc)) for guess_fc in guesses]
    means = {name: float(np.mean([figures[name].of(whole)[0] for figures in drawn])) for name in drawn[0]}
    return {"top1": 1 / classes, "top5": min(5, classes) / classes, **means}


def _groups(
    files: Sequence[ScoredFile], classes: Sequence[str], task: Task, provenance: Provenance
) -> dict[str, dict[str, GroupFigures]]:
    """Clips by the task that they belong to, each a choice among the classes that its own clips have.

    Where there is one group, or clips of one class only, there is nothing to tell apart.
    """
    names = sorted({file.group for file in files} - {""})
    if task is not Task.CLIP or len(names) < 2:
        return {}
    found = {}
    for name in names:
        own = [file for file in files if file.group == name]
        places = [place for place, label in enumerate(classes) if any(label in file.labels for file in own)]
        if len(places) > 1:
            cut = [replace(file, scores_c=file.scores_c[places]) for file in own]
            figures = file_summary(cut, [classes[place] for place in places], task, provenance)
            found[name] = GroupFigures(videos=len({file.video_id for file in own}), figures=figures)
    return {BINARY: found}


def _videos(table: FileTable, task: Task) -> dict[str, dict[str, Any]]:
    """How many files each video has, and its own figures where it has any."""
    files_v = np.bincount(table.owner_f)
    rows: dict[str, dict[str, Any]] = {
        name: {"files": int(count)} for name, count in zip(table.videos, files_v, strict=True)
    }
    if task is Task.CLIP:
        hits_v = np.bincount(table.owner_f, weights=table.ranks_f == 1)
        for row, share in zip(rows.values(), hits_v / files_v, strict=True):
            row["top1"] = float(share)
    if task is Task.PICTURE:
        for row, cells_c in zip(rows.values(), video_cells(table), strict=True):
            row["average_precision"] = dict(zip(table.classes, cells_c.tolist(), strict=True))
    return rows
