"""From results to a page with Markdown and LaTeX rows beside it: the same results, the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.atomic import write_text
from ophclip.evaluation.reading import PHASES, PRESENCE, Written, read_result
from ophclip.evaluation.report.comparison import (
    comparison_cards,
    comparison_sections,
    comparison_table,
    differences_of,
    headline,
    named,
)
from ophclip.evaluation.report.head import alarms_of, own_facts, shared_facts, warnings_of
from ophclip.evaluation.report.html import page_html
from ophclip.evaluation.report.page import Fact, Page
from ophclip.evaluation.report.phases import paper_table, phase_cards, phase_sections, phase_warnings, summary_rows
from ophclip.evaluation.report.plain import plain_page
from ophclip.evaluation.report.presence import (
    MAP,
    presence_cards,
    presence_sections,
    presence_table,
    presence_warnings,
)
from ophclip.evaluation.report.probes import PROBE, probe_page
from ophclip.evaluation.report.text import latex_table, page_markdown

_TITLES = {PHASES: "Phase recognition", PRESENCE: "Instrument presence"}


def write_page(results: Sequence[tuple[Path, Mapping[str, Any]]], out: Path) -> tuple[Path, ...]:
    """Write the page of results, given as paths and trees, and the `.md` and `.tex` beside it.

    Raises:
        ValueError: one is no result of this version, or two cannot be compared.
    """
    page = _page(results)
    paths = (out, out.with_suffix(".md"), out.with_suffix(".tex"))
    comments = (f"{page.title}: {page.subtitle}", *(f"DO NOT USE: {alarm}" for alarm in page.alarms), *page.receipt)
    texts = (page_html(page), page_markdown(page), latex_table(page.paper, comments))
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths


def _page(results: Sequence[tuple[Path, Mapping[str, Any]]]) -> Page:
    others = [(path, tree) for path, tree in results if tree.get("task") not in _TITLES]
    if not others:
        written = [read_result(path) for path, _ in results]
        return _single(written[0]) if len(written) == 1 else _comparison(named(written))
    path, tree = others[0]
    if len(results) > 1:
        raise ValueError(f"{path}: results of {tree.get('task')} are shown one by one; give it alone")
    return probe_page(tree, path) if tree.get("task") == PROBE else plain_page(tree, path)


def _single(written: Written) -> Page:
    tree, phases = written.tree, written.task == PHASES
    sections = phase_sections(written) if phases else presence_sections(written)
    chance = tree["chance"]
    rows = {f"{written.provenance.model_name}, {name}": given for name, given in summary_rows(tree).items()}
    precision = {written.provenance.model_name: tree["summary"].get(MAP, {})}
    return Page(
        title=f"{_TITLES[written.task]}: {written.provenance.model_name} on {written.provenance.dataset.name}",
        subtitle=_subtitle(written),
        alarms=alarms_of(tree),
        warnings=tuple(_warnings(written)),
        cards=tuple(phase_cards(tree) if phases else presence_cards(tree)),
        facts=(*shared_facts(tree), *own_facts(tree, written.path)),
        sections=tuple(sections),
        paper=paper_table(rows, chance) if phases else presence_table(precision, chance[MAP]),
        receipt=_receipt({"": written}),
    )


def _subtitle(written: Written) -> str:
    given = written.provenance
    return f"{len(written.tree['videos'])} videos, {len(written.classes)} classes, protocol {given.protocol}"


def _warnings(written: Written) -> Iterator[str]:
    name, figure, chance = headline(written)
    yield from warnings_of(written.tree, figure, chance, name)
    yield from phase_warnings(written) if written.task == PHASES else presence_warnings(written.tree)
    if not written.scores:
        yield "No scores lie beside this result: curves over time, and of precision and recall, are left out."


def _comparison(results: Mapping[str, Written]) -> Page:
    differences = differences_of(results)
    first, *others = results
    written = results[first]
    facts = list(shared_facts(written.tree))
    for name, one in results.items():
        own = own_facts(one.tree, one.path)
        facts += [Fact(term=f"{name}: {fact.term}", text=fact.text, code=fact.code) for fact in own]
    return Page(
        title=f"{_TITLES[written.task]} on {written.provenance.dataset.name}: {len(results)} models",
        subtitle=f"{first} against {', '.join(others)} · {_subtitle(written)}",
        alarms=tuple(f"{name}: {alarm}" for name, one in results.items() for alarm in alarms_of(one.tree)),
        warnings=tuple(_shared_warnings(results)),
        cards=tuple(comparison_cards(results)),
        facts=tuple(facts),
        sections=tuple(comparison_sections(results, differences)),
        paper=comparison_table(results),
        receipt=_receipt(results),
    )


def _shared_warnings(results: Mapping[str, Written]) -> Iterator[str]:
    """Warnings of every result; those that all share are told once."""
    told = {name: list(_warnings(written)) for name, written in results.items()}
    for warning in dict.fromkeys(one for given in told.values() for one in given):
        owners = [name for name, given in told.items() if warning in given]
        yield warning if len(owners) == len(results) else f"{', '.join(owners)}: {warning}"


def _receipt(results: Mapping[str, Written]) -> tuple[str, ...]:
    lines = []
    for name, written in results.items():
        given = written.provenance
        lines += [
            f"{name}{': ' if name else ''}weights {given.weights_sha256} · prompts {given.prompts_sha256}",
            f"split {given.split_sha256} · seed {given.seed} · ophclip {given.code_version}",
        ]
    return tuple(lines)
