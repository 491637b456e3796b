"""A page about a result of any other task: clips, pictures, procedures, retrieval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ophclip.evaluation.plots import class_bars
from ophclip.evaluation.report.figures import (
    Figure,
    as_estimate,
    estimate_card,
    figure_text,
    interval_cells,
    value_text,
)
from ophclip.evaluation.report.head import (
    FEW_VIDEOS,
    alarms_of,
    closing_facts,
    own_facts,
    shared_facts,
    some,
    unknown_training,
)
from ophclip.evaluation.report.page import Card, Fact, Page, Picture, Section, Table, drawn

_CARDS = 4
_FIRST = ("protocol", "model_name", "weights_sha256", "corpus_sha256", "split_sha256")
_NAMES = {
    "top1": "first of the classes",
    "top5": "among the first five classes",
    "f1": "macro F1",
    "recall": "macro recall",
    "mean_average_precision": "mean average precision",
    "class_f1": "F1",
    "class_recall": "recall",
    "class_average_precision": "average precision",
}


def plain_page(tree: Mapping[str, Any], path: Path) -> Page:
    """The page of one result, from its tree alone.

    Raises:
        ValueError: it is no result of this version.
    """
    try:
        return _page(tree, path)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a result of this version of ophclip ({error}); evaluate again") from error


def _page(tree: Mapping[str, Any], path: Path) -> Page:
    given = tree["provenance"]
    data = given["dataset"]["name"] if "dataset" in given else path.parent.name
    protocol = given["protocol"].partition(" ")[0]
    chance = tree.get("chance") or tree["protocols"][protocol].get("chance", {})
    return Page(
        title=f"{tree['task'].capitalize()}: {given['model_name']} on {data}",
        subtitle=f"protocol {given['protocol']}",
        alarms=alarms_of(tree),
        warnings=tuple(_warnings(tree)),
        cards=tuple(_cards(tree["summary"], chance)),
        facts=tuple(_facts(tree, path)),
        sections=tuple(_sections(tree, chance)),
        paper=_figures("Figures", tree["summary"], chance),
        receipt=(
            f"weights {given['weights_sha256']}",
            f"split {given['split_sha256']} · ophclip {given['code_version']}",
        ),
    )


def _warnings(tree: Mapping[str, Any]) -> Iterator[str]:
    videos = _videos(tree)
    if len(videos) < FEW_VIDEOS:
        yield f"Only {len(videos)} video(s): intervals are wide or missing, and unsure themselves."
    if unseen := tree.get("unseen"):
        yield f"{len(unseen)} class(es) are nowhere in the truth, and nothing is known of them: {some(unseen)}."
    if nulls := tree.get("nulls"):
        yield f"{nulls} cell(s) of class and video hold no positive. They are left out of every mean."
    for name, reason in tree.get("left_out", {}).items():
        yield f"{name} is left out: {reason}."
    yield from unknown_training(tree)


def _videos(tree: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Rows by video, which stand in the tree or in the protocol of the headline."""
    if "videos" in tree:
        return {row["video_id"]: {key: one for key, one in row.items() if key != "video_id"} for row in tree["videos"]}
    found: Mapping[str, Mapping[str, Any]] = tree["protocols"][tree["provenance"]["protocol"]]["videos"]
    return found


def _cards(summary: Mapping[str, Figure], chance: Mapping[str, float]) -> Iterator[Card]:
    for name, figure in _ordered(summary)[:_CARDS]:
        guess = f"chance {chance[name]:.3f}" if name in chance else "chance is not known"
        yield estimate_card(_named(name), figure, guess)


def _ordered(figures: Mapping[str, Figure]) -> list[tuple[str, Figure]]:
    """Figures that are known first, then by name, with 5 before 10 and ranks behind shares."""
    known = list(_NAMES)

    def place(item: tuple[str, Figure]) -> tuple[int, str, int]:
        name = item[0]
        kind, _, number = name.replace("median_rank", "~rank_0").rpartition("_")
        return (known.index(name) if name in known else len(known), kind, int(number) if number.isdigit() else 0)

    return sorted(figures.items(), key=place)


def _named(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


def _facts(tree: Mapping[str, Any], path: Path) -> Iterator[Fact]:
    if "prompts_sha256" in tree["provenance"]:
        yield from (*shared_facts(tree), *own_facts(tree, path))
        return
    given = tree["provenance"]
    for name in sorted(given, key=lambda name: (name not in _FIRST, name)):
        code = str(given[name]) if name.endswith("sha256") else ""
        yield Fact(term=_named(name.replace("sha256", "hash")), text="" if code else str(given[name]), code=code)
    yield from closing_facts(tree, path)


def _sections(tree: Mapping[str, Any], chance: Mapping[str, float]) -> Iterator[Section]:
    first = tree["provenance"]["protocol"].partition(" ")[0]
    protocols = dict(sorted(tree["protocols"].items(), key=lambda item: (item[0] != first, item[0])))
    rules = tuple((name, given["rule"]) for name, given in protocols.items())
    styles = {name: given for name, given in tree.get("styles", {}).items() if name != "ensemble"}
    yield Section(
        anchor="figures",
        title="Figures",
        lead="Brackets hold 95 % intervals over videos.",
        tables=(
            *(_figures(name, given["figures"], given.get("chance") or chance) for name, given in protocols.items()),
            *(_figures(f"{style} prompts only", given, chance) for style, given in styles.items()),
            Table(caption="What the protocols say", headings=("protocol", "rule"), rows=rules, words=2),
        ),
    )
    pictures = tuple(_bars(name, tree[name]) for name in _NAMES if name.startswith("class_") and tree.get(name))
    if pictures:
        yield Section(anchor="classes", title="Classes", lead="Which classes are recognised.", pictures=pictures)
    for attribute, values in tree.get("groups", {}).items():
        tables = (_figures(value, group["figures"], {}) for value, group in values.items())
        yield Section(anchor=f"group-{_anchor(attribute)}", title=f"By {attribute}", lead="", tables=tuple(tables))
    if videos := _videos(tree):
        yield Section(anchor="videos", title="Videos", lead="", tables=(_video_table(videos),))


def _anchor(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)


def _figures(caption: str, figures: Mapping[str, Figure], chance: Mapping[str, float]) -> Table:
    return Table(
        caption=caption,
        headings=("figure", "value", "chance"),
        rows=tuple(
            (_named(name), figure_text(figure), f"{chance[name]:.3f}" if name in chance else "")
            for name, figure in _ordered(figures)
        ),
    )


def _bars(name: str, figures: Mapping[str, Figure]) -> Picture:
    title = f"{_named(name)} by class"
    known = sum(figure["mean"] is not None for figure in figures.values())
    return drawn(
        class_bars(
            {label: as_estimate(figure) for label, figure in figures.items()},
            title=_named(name),
            axis=f"{_named(name)}, with 95 % interval over videos",
        ),
        title=title,
        text="The line is the 95 % interval over videos; classes without a figure are left out.",
        alt=f"Bars of {_named(name)} for {known} classes with intervals.",
        numbers=Table(
            caption=title,
            headings=("class", "mean", "low", "high"),
            rows=tuple((label, *interval_cells(figure)) for label, figure in figures.items()),
        ),
        file=name,
    )


def _video_table(videos: Mapping[str, Mapping[str, Any]]) -> Table:
    """Single values of every video; values by class stand in the result only."""
    columns = [key for key, one in next(iter(videos.values())).items() if not isinstance(one, Mapping)]
    return Table(
        caption="Every video",
        headings=("video", *map(_named, columns)),
        rows=tuple((name, *(_cell(row.get(key)) for key in columns)) for name, row in videos.items()),
    )


def _cell(value: Any) -> str:
    return value_text(value) if isinstance(value, float) or value is None else str(value)
