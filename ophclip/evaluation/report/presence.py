"""The sections of a page about presence. Shapes: N labelled seconds, C classes, K points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.metrics import Floats, precision_recall
from ophclip.evaluation.plots import class_bars
from ophclip.evaluation.reading import Written
from ophclip.evaluation.report.charts import Curve, precision_recall_grid
from ophclip.evaluation.report.curves import curve_picture
from ophclip.evaluation.report.figures import (
    as_estimate,
    chosen_videos,
    estimate_card,
    figure_text,
    interval_cells,
    mean_of,
    value_text,
)
from ophclip.evaluation.report.head import some
from ophclip.evaluation.report.page import Card, Picture, Section, Table, drawn
from ophclip.evaluation.scores import VideoScores

MAP = "mean_average_precision"
MAP_NAME = "mean average precision"
POINTS = 60
"""Points of a precision-recall curve that are drawn and written, evenly over recall."""


def presence_cards(tree: Mapping[str, Any]) -> Iterator[Card]:
    """Headline figures."""
    yield estimate_card(MAP_NAME, tree["summary"][MAP], f"chance {tree['chance'][MAP]:.3f}")
    yield estimate_card("false positive rate", tree["false_positive_rate"], f"threshold {tree['threshold']}")


def presence_warnings(tree: Mapping[str, Any]) -> Iterator[str]:
    """Cells that are left out and classes that are missing."""
    if nulls := tree["nulls"]:
        total = len(tree["videos"]) * len(tree["classes"])
        yield f"{nulls} of {total} cells of class and video hold no positive second. They are left out of every mean."
    if unseen := tree["unseen"]:
        yield f"{len(unseen)} class(es) are seen in no video, and nothing is known of them: {some(unseen)}."
    figures = tree["class_average_precision"]
    alone = [label for label, figure in figures.items() if figure["mean"] is not None and figure["low"] is None]
    if alone and len(tree["videos"]) > 1:
        yield f"{len(alone)} class(es) are seen in one video only and have no interval: {some(alone)}."


def presence_sections(written: Written) -> Iterator[Section]:
    """Everything that a result of presence has to show."""
    tree = written.tree
    yield _figures(tree)
    if tree.get("operating_point"):
        yield _operating_point(tree["operating_point"])
    pictures = [_bars(tree)]
    if written.scores:
        pictures.append(_precision_recall(written))
    yield Section(
        anchor="classes",
        title="Instruments",
        lead="Which instruments are found.",
        pictures=tuple(pictures),
    )
    yield _videos(written)


def presence_table(rows: Mapping[str, Mapping[str, Any]], chance: float) -> Table:
    """The rows of a paper: mean average precision by name of what was predicted."""
    return Table(
        caption="Mean over videos, then classes; 95 % interval over videos",
        headings=("", MAP_NAME),
        rows=(("chance", f"{chance:.3f}"), *((name, figure_text(figure)) for name, figure in rows.items())),
    )


def _figures(tree: Mapping[str, Any]) -> Section:
    rows = {"all prompts": tree["summary"][MAP]}
    rows.update({f"{style} prompts only": figure for style, figure in tree["styles"].items() if style != "ensemble"})
    rate = Table(
        caption=f"False positive rate at the threshold {tree['threshold']}, mean over videos, then classes",
        headings=("", "figure"),
        rows=(("all prompts", figure_text(tree["false_positive_rate"])),),
    )
    return Section(
        anchor="figures",
        title="Figures",
        lead="A class is scored by how well the picture fits what is said of it; average precision needs no threshold.",
        tables=(presence_table(rows, tree["chance"][MAP]), rate),
    )


def _operating_point(point: Mapping[str, Any]) -> Section:
    names = tuple(point["figures"])
    return Section(
        anchor="bars",
        title="As yes or no",
        lead=f"For each instrument {point['rule']}, learned on split {point['split']} and applied here: the seconds of "
        "all videos pooled, mean over classes.",
        tables=(
            Table(
                caption="Mean over classes",
                headings=tuple(map(_spoken, names)),
                rows=(tuple(figure_text(point["figures"][name]) for name in names),),
                words=0,
            ),
            Table(
                caption="By instrument",
                headings=("instrument", "bar", *map(_spoken, names)),
                rows=tuple(
                    (label, value_text(point["bars"][label]), *(figure_text(figures[name]) for name in names))
                    for label, figures in point["class_figures"].items()
                ),
            ),
        ),
    )


def _spoken(name: str) -> str:
    return "F1" if name == "f1" else name.replace("_", " ")


def _bars(tree: Mapping[str, Any]) -> Picture:
    figures, classes = tree["class_average_precision"], tree["classes"]
    videos = {label: sum(row["average_precision"][label] is not None for row in tree["videos"]) for label in classes}
    chance = tree["chance"][MAP]
    known = [label for label in classes if figures[label]["mean"] is not None]
    return drawn(
        class_bars(
            {label: as_estimate(figures[label]) for label in classes},
            title="Average precision",
            axis="average precision, mean over the videos that have the class, with 95 % interval",
            chance=chance,
            note=f"{len(tree['videos'])} videos",
        ),
        title="Average precision by instrument",
        text="The line is the 95 % interval over the videos that have the instrument. Chance is the mean over classes: "
        "a rare instrument's own chance is lower, as the dashed lines of the next picture show.",
        alt=f"Bars of average precision for {len(known)} instruments with intervals; chance is {chance:.2f}.",
        numbers=Table(
            caption="Average precision by instrument",
            headings=("instrument", "average precision", "low", "high", "videos"),
            rows=tuple((label, *interval_cells(figures[label]), str(videos[label])) for label in classes),
        ),
        file="average_precision",
    )


def _precision_recall(written: Written) -> Picture:
    figures = written.tree["class_average_precision"]
    shown = [place for place, label in enumerate(written.classes) if figures[label]["mean"] is not None]
    labels_nc, scores_nc = _pooled(written.scores)
    pooled, single, prevalence = [], [], []
    for place in shown:
        label = written.classes[place]
        name = f"{shorten(label, 24, placeholder='...')} · AP {figures[label]['mean']:.2f}"
        pooled.append(_curve(labels_nc[:, place], scores_nc[:, place], name))
        single.append([_video_curve(video, place) for video in written.scores])
        prevalence.append(float(np.nanmean(labels_nc[:, place])))
    rows = tuple(
        (written.classes[place], f"{share:.4f}", f"{recall:.4f}", f"{precision:.4f}")
        for place, curve, share in zip(shown, pooled, prevalence, strict=True)
        for recall, precision in zip(curve.x_k.tolist(), curve.y_k.tolist(), strict=True)
    )
    return drawn(
        precision_recall_grid(pooled, single, np.array(prevalence)),
        title="Precision and recall by instrument",
        text="Thick: the seconds of all videos pooled; thin: each video; dashed: how often the instrument is seen, "
        "which is what chance gives. AP is the mean over videos, as above, and not the area under the thick curve.",
        alt=f"Precision-recall curves of {len(shown)} instruments.",
        numbers=Table(
            caption="Precision and recall, all videos pooled",
            headings=("instrument", "prevalence", "recall", "precision"),
            rows=rows,
        ),
        file="precision_recall",
    )


def _pooled(videos: Sequence[VideoScores]) -> tuple[Floats, Floats]:
    labels = [video.present_tc for video in videos if video.present_tc is not None]
    return np.concatenate(labels), np.concatenate([video.scores_tc for video in videos]).astype(np.float64)


def _video_curve(video: VideoScores, place: int) -> Curve:
    assert video.present_tc is not None
    return _curve(video.present_tc[:, place], video.scores_tc[:, place].astype(np.float64), video.video_id)


def _curve(present_n: Floats, scores_n: Floats, label: str) -> Curve:
    precision_k, recall_k = precision_recall(present_n, scores_n)
    kept = np.unique(np.searchsorted(recall_k, np.linspace(0, 1, POINTS))) if recall_k.size else np.arange(0)
    return Curve(label=label, x_k=recall_k[kept], y_k=precision_k[kept])


def _videos(written: Written) -> Section:
    rows = written.tree["videos"]
    means = {row["video_id"]: mean_of(row["average_precision"]) for row in rows}
    scores = {video.video_id: video for video in written.scores}
    pictures = [
        curve_picture(scores[name], written.classes, _said(scores[name]), words)
        for name, words in chosen_videos(means).items()
        if name in scores
    ]
    return Section(
        anchor="videos",
        title="Videos",
        lead="All of them; then the first, the best, the middle and the worst by mean over classes, second by second.",
        tables=(
            Table(
                caption="Every video: mean over the classes that it has",
                headings=("video", "labelled seconds", "average precision", "false positive rate"),
                rows=tuple(
                    (
                        row["video_id"],
                        str(row["seconds"]),
                        value_text(means[row["video_id"]]),
                        value_text(mean_of(row["false_positive_rate"])),
                    )
                    for row in rows
                ),
            ),
        ),
        pictures=tuple(pictures),
    )


def _said(video: VideoScores) -> NDArray[np.bool_]:
    assert video.present_tc is not None
    return np.asarray(video.present_tc == 1)
