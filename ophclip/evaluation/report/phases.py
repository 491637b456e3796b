"""The sections of a page about phases. Shapes: T seconds, C classes, K points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ophclip.evaluation.metrics import PHASE_METRICS, Floats, Ints, confusion
from ophclip.evaluation.plots import class_bars, phase_ribbon, ribbon_rows, spans
from ophclip.evaluation.protocols import PROTOCOLS
from ophclip.evaluation.reading import Written
from ophclip.evaluation.records import UNLABELLED
from ophclip.evaluation.report.charts import CROWDED, confusion_matrix
from ophclip.evaluation.report.confidence import confidence_section
from ophclip.evaluation.report.curves import curve_picture
from ophclip.evaluation.report.figures import as_estimate, chosen_videos, estimate_card, figure_text, interval_cells
from ophclip.evaluation.report.head import protocol_rule, smoothed_groups, some
from ophclip.evaluation.report.page import Card, Picture, Section, Table, drawn
from ophclip.evaluation.timelines import Timeline

NAMES = {
    "accuracy": "accuracy",
    "precision": "macro precision",
    "recall": "macro recall",
    "f1": "macro F1",
    "jaccard": "macro Jaccard",
}
CONFIDENCE = {"ece": "expected calibration error", "aurc": "area under risk over coverage"}


def phase_cards(tree: Mapping[str, Any]) -> Iterator[Card]:
    """Headline figures: raw first, then what was smoothed, each apart."""
    chance = tree["chance"]
    for name in ("f1", "accuracy"):
        yield estimate_card(f"{NAMES[name]}, no smoothing", tree["summary"][name], f"chance {chance[name]:.3f}")
    for kind, group in smoothed_groups(tree).items():
        note = "needs the whole video: not for use in theatre" if kind == "offline" else "uses the past only"
        yield estimate_card(f"{NAMES['f1']}, {kind} smoothing", group["summary"]["f1"], note)


def phase_warnings(written: Written) -> Iterator[str]:
    """Cells that are not defined and classes that are missing."""
    tree, classes = written.tree, written.classes
    if undefined := tree["undefined"]:
        yield (
            f"{undefined} cell(s) of class and video have no precision: the video holds the class and it was never "
            "predicted there. They count as 0."
        )
    counts_cc = _counts(written.timelines, len(classes))
    if missing := [label for label, total in zip(classes, counts_cc.sum(axis=1), strict=True) if not total]:
        yield f"{len(missing)} class(es) are in no video, and nothing is known of them: {some(missing)}."
    never = [
        label
        for label, truth, given in zip(classes, counts_cc.sum(axis=1), counts_cc.sum(axis=0), strict=True)
        if truth and not given
    ]
    if never:
        yield f"{len(never)} class(es) are in the videos and never predicted: {some(never)}."
    alone = [
        label for label, figure in tree["class_f1"].items() if figure["mean"] is not None and figure["low"] is None
    ]
    if alone and len(tree["videos"]) > 1:
        yield f"{len(alone)} class(es) are in one video only and have no interval: {some(alone)}."


def phase_sections(written: Written) -> Iterator[Section]:
    """Everything that a result of phases has to show."""
    yield _figures(written.tree)
    yield _classes(written)
    yield _videos(written)
    if (confidence := confidence_section(written)) is not None:
        yield confidence
    if written.tree["groups"]:
        yield _groups(written.tree)


def paper_table(rows: Mapping[str, Mapping[str, Any]], chance: Mapping[str, float]) -> Table:
    """The rows of a paper: figures with intervals by name of what was predicted."""
    cells = [(name, *(figure_text(figures[metric]) for metric in PHASE_METRICS)) for name, figures in rows.items()]
    guess = ("chance", *(f"{chance[metric]:.3f}" for metric in PHASE_METRICS))
    return Table(
        caption="Mean over videos, 95 % interval over videos",
        headings=("", *(NAMES[name] for name in PHASE_METRICS)),
        rows=(guess, *cells),
    )


def summary_rows(tree: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Raw, smoothed and single styles by name."""
    rows = {"all prompts, no smoothing": tree["summary"]}
    rows.update({f"{kind} smoothing": group["summary"] for kind, group in smoothed_groups(tree).items()})
    return rows


def _figures(tree: Mapping[str, Any]) -> Section:
    styles = {f"{style} prompts only": given for style, given in tree["styles"].items() if style != "ensemble"}
    tables = [paper_table({**summary_rows(tree), **styles}, tree["chance"])]
    if tree["calibration"]:
        rows = tuple((CONFIDENCE[name], figure_text(figure)) for name, figure in tree["calibration"].items())
        tables.append(Table(caption="Confidence", headings=("", "figure"), rows=rows))
    for kind, given in {"no smoothing": tree, **smoothed_groups(tree)}.items():
        tables += _protocol_tables(given.get("protocols", {}), kind)
    tables.append(_rules(tree["protocols"]))
    return Section(
        anchor="figures",
        title="Figures",
        lead="Raw predictions see one second at a time. Causal smoothing sees the past as well and could run in "
        "theatre; offline smoothing sees the whole video. They are never mixed.",
        tables=tuple(tables),
    )


def _protocol_tables(protocols: Mapping[str, Any], kind: str) -> Iterator[Table]:
    """Figures that most protocols have in columns, and below them those that only some have."""
    given = {name: protocols[name]["figures"] for name in PROTOCOLS if name in protocols}
    rows = {
        name: tuple(figure_text(figures[metric]) if metric in figures else "" for metric in PHASE_METRICS)
        for name, figures in given.items()
    }
    others = tuple(
        (name, metric, figure_text(figure))
        for name, figures in given.items()
        for metric, figure in figures.items()
        if metric not in PHASE_METRICS
    )
    if given:
        yield Table(
            caption=f"The same predictions by every protocol that applies ({kind})",
            headings=("protocol", *(NAMES[metric] for metric in PHASE_METRICS)),
            rows=tuple((name, *cells) for name, cells in rows.items() if any(cells)),
        )
    if others:
        yield Table(
            caption=f"Clips and runs ({kind})",
            headings=("protocol", "figure", "value"),
            rows=others,
            words=2,
            folded=True,
        )


def _rules(protocols: Mapping[str, Any]) -> Table:
    rows = tuple((name, protocol_rule(name)) for name in PROTOCOLS if name in protocols)
    return Table(caption="What the protocols say", headings=("protocol", "rule"), rows=rows, words=2)


def _classes(written: Written) -> Section:
    return Section(
        anchor="classes",
        title="Classes",
        lead="Which phases are recognised, and what the others are taken for.",
        pictures=(_bars(written), _confusion(written)),
    )


def _bars(written: Written) -> Picture:
    tree, classes = written.tree, written.classes
    counts_cc = _counts(written.timelines, len(classes))
    videos = {label: sum(row["f1_by_class"][label] is not None for row in tree["videos"]) for label in classes}
    rows = tuple(
        (label, *interval_cells(tree["class_f1"][label]), str(videos[label]), str(int(total)))
        for label, total in zip(classes, counts_cc.sum(axis=1), strict=True)
    )
    known = [row for row in rows if row[1]]
    best = max(known, key=lambda row: float(row[1]))[0] if known else "none"
    return drawn(
        class_bars(
            {label: as_estimate(figure) for label, figure in tree["class_f1"].items()},
            title="Phase F1",
            axis="F1, mean over the videos that have the phase, with 95 % interval",
            note=f"{len(tree['videos'])} videos",
        ),
        title="F1 by phase",
        text="Mean over the videos that have the phase; the line is the 95 % interval over those videos. Phases that "
        "no video has are left out.",
        alt=f"Bars of F1 for {len(known)} phases with intervals; the highest is {best}.",
        numbers=Table(
            caption="F1 by phase", headings=("phase", "F1", "low", "high", "videos", "seconds of truth"), rows=rows
        ),
        file="f1_by_phase",
    )


def _confusion(written: Written) -> Picture:
    classes = written.classes
    counts_cc = _counts(written.timelines, len(classes))
    kept = (
        np.flatnonzero(counts_cc.sum(axis=0) + counts_cc.sum(axis=1))
        if len(classes) > CROWDED
        else np.arange(len(classes))
    )
    names = [classes[place] for place in kept]
    crowded = " (those in the CSV; shares below 5 % are not written)" if len(kept) > CROWDED else ""
    left_out = len(classes) - len(kept)
    gone = f" {left_out} classes that are neither are left out." if left_out else ""
    rows = tuple((label, *map(str, counts_cc[place].tolist())) for place, label in enumerate(classes))
    return drawn(
        confusion_matrix(counts_cc[np.ix_(kept, kept)], names, title="Confusion, all videos pooled"),
        title="What is taken for what",
        text="Rows are the truth, columns the prediction. A cell says which share of the row's seconds it holds, "
        f"darker where more, and how many seconds{crowded}. The right edge counts seconds of truth.{gone}",
        alt=f"Confusion matrix of {len(names)} phases; {_diagonal(counts_cc):.0%} of all seconds are on the diagonal.",
        numbers=Table(
            caption="Seconds by truth (row) and prediction (column)", headings=("truth", *classes), rows=rows
        ),
        file="confusion_seconds",
        width_px=1500 if len(kept) > CROWDED else 640,
    )


def _diagonal(counts_cc: Ints) -> float:
    return float(np.trace(counts_cc) / max(int(counts_cc.sum()), 1))


def _counts(lines: Sequence[Timeline], classes: int) -> Ints:
    return np.asarray(np.sum([confusion(line.truth_t, line.predicted_t, classes) for line in lines], axis=0))


def _videos(written: Written) -> Section:
    rows = written.tree["videos"]
    chosen = chosen_videos({row["video_id"]: row["f1"] for row in rows})
    lines = {line.video_id: line for line in written.timelines}
    scores = {row["video_id"]: row for row in rows}
    pictures: list[Picture] = []
    for video_id, words in chosen.items():
        pictures.append(_ribbon(lines[video_id], written.classes, scores[video_id], words))
        kept = next((video for video in written.scores if video.video_id == video_id), None)
        if kept is not None:
            truth_tc = lines[video_id].truth_t[:, None] == np.arange(len(written.classes))
            pictures.append(curve_picture(kept, written.classes, truth_tc, words))
    return Section(
        anchor="videos",
        title="Videos",
        lead="All of them; then the first, the best, the middle and the worst by macro F1, second by second.",
        tables=(
            Table(
                caption="Every video",
                headings=("video", "seconds", *(NAMES[name] for name in PHASE_METRICS), "undefined cells"),
                rows=tuple(
                    (
                        row["video_id"],
                        str(row["seconds"]),
                        *(f"{row[name]:.3f}" for name in PHASE_METRICS),
                        str(row["undefined"]),
                    )
                    for row in rows
                ),
            ),
        ),
        pictures=tuple(pictures),
    )


def _ribbon(line: Timeline, classes: Sequence[str], score: Mapping[str, Any], words: str) -> Picture:
    rows = ribbon_rows(line)
    note = f"accuracy {score['accuracy']:.2f} · macro F1 {score['f1']:.2f}"
    return drawn(
        phase_ribbon(line, classes, note=note),
        title=f"{line.video_id}: truth and prediction ({words})",
        text="Time in minutes. A dark edge under a row marks seconds that are not what the truth says; pale seconds "
        "have no label and are not scored.",
        alt=f"Phase ribbon of {line.video_id}: {note}.",
        numbers=span_table(rows, line.seconds_t, classes, f"Stretches of {line.video_id}"),
        file=f"ribbon_{words.replace(' ', '_')}",
    )


def span_table(rows: Mapping[str, Ints], seconds_t: Floats, classes: Sequence[str], caption: str) -> Table:
    """Stretches of equal class by row."""
    return Table(
        caption=caption,
        headings=("row", "phase", "from (s)", "to (s)"),
        rows=tuple(
            (row, "unlabelled" if number == UNLABELLED else classes[number], f"{left:g}", f"{left + width:g}")
            for row, ids_t in rows.items()
            for left, width, number in spans(seconds_t, ids_t)
        ),
        words=2,
    )


def _groups(tree: Mapping[str, Any]) -> Section:
    return Section(
        anchor="groups",
        title="Subgroups",
        lead="The same figures for videos that share an attribute. Groups are small and were not chosen beforehand: a "
        "difference here is a question, not an answer.",
        tables=tuple(
            Table(
                caption=f"By {attribute}",
                headings=(attribute, "videos", *(NAMES[name] for name in PHASE_METRICS)),
                rows=tuple(
                    (value, str(group["videos"]), *(figure_text(group["figures"][name]) for name in PHASE_METRICS))
                    for value, group in values.items()
                ),
            )
            for attribute, values in tree["groups"].items()
        ),
    )
