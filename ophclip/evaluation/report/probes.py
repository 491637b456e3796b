"""A page about probes: figures and gains against the number of labelled training videos, from `probe_result.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ophclip.evaluation.report.charts import Curve, line_chart
from ophclip.evaluation.report.figures import as_estimate, estimate_card, figure_text, interval_cells
from ophclip.evaluation.report.head import FEW_VIDEOS, alarms_of, closing_facts, protocol_rule, some, unknown_training
from ophclip.evaluation.report.page import Card, Fact, Page, Picture, Section, Table, drawn

PROBE = "probe"
_HEADS = {"linear": "linear probe", "knn": "k-NN", "tcn": "causal TCN", "finetune": "fine-tuning"}
_FIGURES = {"f1": "macro F1", "mean_average_precision": "mean average precision"}


def probe_page(tree: Mapping[str, Any], path: Path) -> Page:
    """The page of one probe.

    Raises:
        ValueError: it is no result of this version.
    """
    try:
        return _page(tree, path)
    except (KeyError, TypeError, StopIteration) as error:
        raise ValueError(f"{path}: not a result of this version of ophclip ({error}); probe again") from error


def _page(tree: Mapping[str, Any], path: Path) -> Page:
    given, name = tree["provenance"], _main(tree)
    models = ", ".join(f"{key}: {one['name']}" for key, one in given["models"].items())
    return Page(
        title=f"Probes of {next(iter(given['models'].values()))['name']} on {given['dataset']['name']}",
        subtitle=f"What is learned from few labelled videos: {_FIGURES[name]} by {given['protocol']}; {models}",
        alarms=alarms_of(tree),
        warnings=tuple(_warnings(tree)),
        cards=tuple(_cards(tree, name)),
        facts=tuple(_facts(tree, path)),
        sections=tuple(_sections(tree, name)),
        paper=_table(tree, name),
        receipt=(f"{path.name} sha256 {_hash(path)}",),
    )


def _main(tree: Mapping[str, Any]) -> str:
    return next(name for name in _FIGURES if name in tree["chance"])


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _cards(tree: Mapping[str, Any], name: str) -> Iterator[Card]:
    """Of the first model, each head with all training videos."""
    first, most = tree["figures"][0]["model"], max(row["videos"] or 0 for row in tree["figures"])
    for row in tree["figures"]:
        if row["model"] == first and row["videos"] == most:
            note = f"{most} videos, chance {tree['chance'][name]:.3f}"
            yield estimate_card(f"{_FIGURES[name]}, {_head(row)}", row["figures"][name], note)


def _warnings(tree: Mapping[str, Any]) -> Iterator[str]:
    split = tree["provenance"]["split"]
    if len(split["test"]) < FEW_VIDEOS:
        few = f"Only {len(split['test'])} test videos"
        yield f"{few}: intervals are wide, and a bootstrap over so few is itself unsure."
    if never := tree["provenance"]["classes_never_in_training"]:
        yield f"{len(never)} class(es) of the test videos are in no training video: {some(list(never))}."
    if without := tree["provenance"].get("without_random"):
        yield f"{without[0].upper()}{without[1:]}."
    yield from unknown_training(tree)
    yield from dict.fromkeys(f"{row['note'][0].upper()}{row['note'][1:]}." for row in tree["figures"] if row["note"])


def _facts(tree: Mapping[str, Any], path: Path) -> Iterator[Fact]:
    given, options = tree["provenance"], tree["provenance"]["options"]
    source, split = given["dataset"], given["split"]
    yield Fact(term="Protocol", text=f"{given['protocol']}: {protocol_rule(given['protocol'])}")
    yield Fact(term="Dataset", text=f"{source['name']}; licence: {source['license'] or 'not stated'}")
    yield Fact(term="Cite", text=source["citation"] or "no citation stated")
    yield Fact(
        term="Split",
        text=f"{split['rule']}: {len(split['train'])} training and {len(split['test'])} test videos",
        code=split["sha256"],
    )
    for name, model in given["models"].items():
        yield Fact(term=f"Model, {name}", text=f"{model['name']}; weights", code=model["weights_sha256"])
    yield Fact(term="Code", text=f"ophclip {given['code_version']}, seed {options['seed']}, {options['draws']} draws")
    for word, meaning in tree["meanings"].items():
        yield Fact(term=word, text=meaning)
    yield from closing_facts(tree, path)


def _sections(tree: Mapping[str, Any], name: str) -> Iterator[Section]:
    chance = tree["chance"][name]
    yield Section(
        anchor="videos",
        title="Figures by the number of training videos",
        lead="The upright lines are 95 % intervals over test videos, of the mean over draws of the training videos. "
        f"Chance is {chance:.3f}.",
        tables=(replace(_table(tree, name), folded=True),),
        pictures=tuple(_pictures(tree["figures"], name, chance=chance)),
    )
    if tree["gains"]:
        yield Section(
            anchor="gains",
            title="Gains by the number of training videos",
            lead="The first model minus another on the same training sets and test videos; above zero it is better.",
            pictures=tuple(_pictures(tree["gains"], name)),
        )


def _pictures(rows: Sequence[Mapping[str, Any]], name: str, chance: float | None = None) -> Iterator[Picture]:
    """One picture a head, one curve a model; gains have no chance."""
    over = chance is None
    what = "gain in " if over else ""
    for head in dict.fromkeys(row["head"] for row in rows):
        own = sorted((row for row in rows if row["head"] == head and row["videos"]), key=lambda row: row["videos"])
        if not own:
            continue
        curves = [
            _curve(f"over {model}" if over else model, [row for row in own if _other(row, over=over) == model], name)
            for model in dict.fromkeys(_other(row, over=over) for row in own)
        ]
        if chance is not None:
            curves.append(Curve(label="chance", x_k=curves[0].x_k, y_k=np.full(len(curves[0].x_k), chance)))
        title = f"{_HEADS.get(head, head)}: {what}{_FIGURES[name]} by training videos"
        yield drawn(
            line_chart(curves, x="labelled training videos", y=f"{what}{_FIGURES[name]}", logarithmic=True),
            title=title,
            text="The axis of videos is logarithmic; curves stand a little aside so that their intervals can be seen.",
            alt=f"{title}: {len(curves)} curves.",
            numbers=Table(
                caption=title,
                headings=("model", "videos", "mean", "low", "high"),
                rows=tuple(
                    (_other(row, over=over), str(row["videos"]), *interval_cells(row["figures"][name])) for row in own
                ),
            ),
            file=f"{'gain' if over else 'figure'}_{head}",
            width_px=420,
        )


def _other(row: Mapping[str, Any], *, over: bool) -> str:
    return str(row["over" if over else "model"])


def _curve(label: str, rows: Sequence[Mapping[str, Any]], name: str) -> Curve:
    found = [as_estimate(row["figures"][name]) for row in rows]
    return Curve(
        label=label,
        x_k=np.array([row["videos"] for row in rows], dtype=np.float64),
        y_k=np.array([one.mean for one in found]),
        low_k=np.array([one.low for one in found]),
        high_k=np.array([one.high for one in found]),
    )


def _table(tree: Mapping[str, Any], name: str) -> Table:
    return Table(
        caption=f"{_FIGURES[name]}, mean over draws and test videos, 95 % interval over test videos",
        headings=("model", "head", "labelled", "draws", _FIGURES[name], "sd over draws"),
        rows=tuple(
            (
                row["model"],
                _head(row),
                f"{row['videos']} videos" if row["videos"] else f"{row['shots']} seconds a class",
                str(row["draws"]),
                figure_text(row["figures"][name]),
                "" if row["figures"][name]["sd_over_draws"] is None else f"{row['figures'][name]['sd_over_draws']:.3f}",
            )
            for row in tree["figures"]
        ),
        words=3,
    )


def _head(row: Mapping[str, Any]) -> str:
    return _HEADS.get(row["head"], str(row["head"]))
