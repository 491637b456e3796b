"""A page about several results on the same videos: figures side by side, paired differences, ribbons under one truth.

Shapes: T seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ophclip.evaluation.comparing import Row, compare_results
from ophclip.evaluation.intervals import Difference
from ophclip.evaluation.metrics import Ints
from ophclip.evaluation.plots import TRUTH, ribbon
from ophclip.evaluation.reading import PHASES, Written
from ophclip.evaluation.report.charts import side_by_side
from ophclip.evaluation.report.figures import as_estimate, estimate_card, interval_cells, mean_of, value_text
from ophclip.evaluation.report.head import smoothed_groups
from ophclip.evaluation.report.page import Card, Picture, Section, Table, drawn
from ophclip.evaluation.report.phases import NAMES, paper_table, span_table
from ophclip.evaluation.report.presence import MAP, MAP_NAME, presence_table

Results = Mapping[str, Written]
"""By the name that the page gives them; the first is what the others are compared with."""
_DIFFERENCE = ("first", "this one", "difference", "95 % interval", "p")


def named(results: Sequence[Written]) -> dict[str, Written]:
    """Results by their model's name; where two models have one name, by their folder's too, or by their place."""
    names = [str(written.provenance.model_name) for written in results]
    if len(set(names)) < len(names):
        names = [f"{name} ({given.path.parent.name})" for name, given in zip(names, results, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{place}. {name}" for place, name in enumerate(names, 1)]
    return dict(zip(names, results, strict=True))


def differences_of(results: Results) -> dict[str, tuple[Row, ...]]:
    """Every result but the first, compared with the first.

    Raises:
        ValueError: two cannot be compared.
    """
    (_, first), *others = results.items()
    return {name: compare_results(first.path, written.path) for name, written in others}


def comparison_cards(results: Results) -> Iterator[Card]:
    """The headline figure of each."""
    for name, written in results.items():
        label, figure, chance = headline(written)
        yield estimate_card(f"{name}: {label}", figure, f"chance {chance:.3f}")


def headline(written: Written) -> tuple[str, Mapping[str, Any], float]:
    """Name, figure and chance of what a result is judged by."""
    key, name = ("f1", NAMES["f1"]) if written.task == PHASES else (MAP, MAP_NAME)
    return name, written.tree["summary"][key], written.tree["chance"][key]


def comparison_sections(results: Results, differences: Mapping[str, Sequence[Row]]) -> Iterator[Section]:
    """Figures, differences, classes and videos side by side."""
    first = next(iter(results))
    yield Section(
        anchor="figures",
        title="Figures",
        lead=f"Differences are each model minus {first}, on the same videos and without smoothing. Intervals draw "
        "videos for both models at once; p exchanges the two video by video, and is not corrected for how many models "
        "and figures are looked at: a small p among many is expected by chance.",
        tables=(
            comparison_table(results),
            _headline_differences(results[first], differences),
            *_all_differences(first, differences),
        ),
        pictures=tuple(_overview(results)),
    )
    yield Section(
        anchor="classes",
        title="Classes",
        lead="Figures of the classes, side by side, without smoothing.",
        pictures=(_class_bars(results),),
    )
    yield _videos(results)


def comparison_table(results: Results) -> Table:
    """The rows of a paper."""
    tree = next(iter(results.values())).tree
    if tree["task"] != PHASES:
        return presence_table({name: one.tree["summary"][MAP] for name, one in results.items()}, tree["chance"][MAP])
    rows: dict[str, Mapping[str, Any]] = {}
    for name, written in results.items():
        rows[name] = written.tree["summary"]
        groups = smoothed_groups(written.tree).items()
        rows.update({f"{name}, {kind} smoothing": group["summary"] for kind, group in groups})
    return paper_table(rows, tree["chance"])


def _headline_differences(first: Written, differences: Mapping[str, Sequence[Row]]) -> Table:
    headline_protocol = first.provenance.protocol.partition(" ")[0]
    return Table(
        caption=f"Paired differences by {headline_protocol}",
        headings=("model", "figure", *_DIFFERENCE),
        rows=tuple(
            (name, NAMES.get(row.figure, row.figure), *_difference_cells(row.difference))
            for name, rows in differences.items()
            for row in rows
            if row.protocol == headline_protocol
        ),
        words=2,
    )


def _all_differences(first: str, differences: Mapping[str, Sequence[Row]]) -> Iterator[Table]:
    for name, rows in differences.items():
        yield Table(
            caption=f"{name} minus {first}, by every protocol",
            headings=("protocol", "figure", *_DIFFERENCE),
            rows=tuple((row.protocol, row.figure, *_difference_cells(row.difference)) for row in rows),
            words=2,
            folded=True,
        )


def _difference_cells(one: Difference) -> tuple[str, ...]:
    interval = f"[{one.low:+.3f}, {one.high:+.3f}]" if np.isfinite(one.low) else "one video"
    return (f"{one.first:.3f}", f"{one.second:.3f}", f"{one.difference:+.3f}", interval, f"{one.p:.3f}")


def _overview(results: Results) -> Iterator[Picture]:
    if next(iter(results.values())).task != PHASES:
        return
    figures = {name: {NAMES[key]: written.tree["summary"][key] for key in NAMES} for name, written in results.items()}
    axis = "mean over videos, with 95 % interval"
    yield _bars(figures, title="Models side by side", key="figure", file="models", axis=axis)


def _class_bars(results: Results) -> Picture:
    phases = next(iter(results.values())).task == PHASES
    field, name = ("class_f1", "F1") if phases else ("class_average_precision", "average precision")
    figures = {
        model: {label: written.tree[field][label] for label in written.classes} for model, written in results.items()
    }
    known = {
        model: {label: one for label, one in given.items() if one["mean"] is not None}
        for model, given in figures.items()
    }
    return _bars(
        known, title=f"{name} by class", key="class", file="classes",
        axis=f"{name}, mean over the videos that have the class, with 95 % interval",
    )  # fmt: skip


def _bars(figures: Mapping[str, Mapping[str, Any]], *, title: str, key: str, file: str, axis: str) -> Picture:
    estimates = {model: {label: as_estimate(one) for label, one in given.items()} for model, given in figures.items()}
    rows = tuple(
        (label, model, *interval_cells(one)) for model, given in figures.items() for label, one in given.items()
    )
    return drawn(
        side_by_side(estimates, axis=axis),
        title=title,
        text="The line is the 95 % interval over videos. Whether two models differ is told by the paired differences, "
        "not by whether these intervals overlap.",
        alt=f"Bars with intervals of {len(figures)} models: {', '.join(figures)}.",
        numbers=Table(caption=title, headings=(key, "model", "mean", "low", "high"), rows=rows, words=2),
        file=file,
    )


def _videos(results: Results) -> Section:
    values = {name: _by_video(written) for name, written in results.items()}
    first, *others = values
    ids = list(values[first])
    rows = tuple((video_id, *(value_text(given[video_id]) for given in values.values())) for video_id in ids)
    label = NAMES["f1"] if results[first].task == PHASES else "mean over classes of average precision"
    pictures = []
    if results[first].task == PHASES:
        gains = {one: sum((values[name][one] or 0) - (values[first][one] or 0) for name in others) for one in ids}
        pictures = [_ribbon(results, video_id, words) for video_id, words in _telling(gains).items()]
    return Section(
        anchor="videos",
        title="Videos",
        lead=f"{label[0].upper()}{label[1:]} of every video; a video is one observation. Ribbons, of phases: where the "
        f"others gain most over {first}, and where least.",
        tables=(Table(caption=f"Every video: {label}", headings=("video", *values), rows=rows),),
        pictures=tuple(pictures),
    )


def _telling(gains: Mapping[str, float]) -> dict[str, str]:
    most, least = max(gains, key=lambda name: (gains[name], name)), min(gains, key=lambda name: (gains[name], name))
    return {most: "largest gain", least: "smallest gain"} if most != least else {most: "the only one"}


def _by_video(written: Written) -> dict[str, float | None]:
    rows = written.tree["videos"]
    if written.task == PHASES:
        return {row["video_id"]: row["f1"] for row in rows}
    return {row["video_id"]: mean_of(row["average_precision"]) for row in rows}


def _ribbon(results: Results, video_id: str, words: str) -> Picture:
    lines = {
        name: next(line for line in written.timelines if line.video_id == video_id) for name, written in results.items()
    }
    one = next(iter(lines.values()))
    classes = next(iter(results.values())).classes
    rows: dict[str, Ints] = {TRUTH: one.truth_t, **{name: line.predicted_t for name, line in lines.items()}}
    return drawn(
        ribbon(rows, one.seconds_t, classes, title=video_id),
        title=f"{video_id}: the models under one truth ({words})",
        text="Time in minutes, no smoothing. A dark edge under a row marks seconds that are not what the truth says.",
        alt=f"Phase ribbons of {', '.join(lines)} under the truth of {video_id}.",
        numbers=span_table(rows, one.seconds_t, classes, f"Stretches of {video_id}"),
        file=f"ribbons_{words.replace(' ', '_')}",
    )
