"""The same page for those who do not open a browser: Markdown, and LaTeX rows in the style of booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ophclip.evaluation.report.page import Fact, Page, Section, Table

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~$])")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''",
}  # fmt: skip
COLUMNS, ROWS = 7, 60
"""Numbers behind pictures are left out of Markdown if they are more: confusions, ribbons and curves."""


def page_markdown(page: Page) -> str:
    """The page without its pictures; whatever could be read as markup is escaped."""
    blocks = [
        f"# {markdown_text(page.title)}",
        markdown_text(page.subtitle),
        *(f"> **DO NOT USE: {markdown_text(alarm)}**" for alarm in page.alarms),
        *(f"**{markdown_text(card.label)}: {card.value}** ({markdown_text(card.note)})" for card in page.cards),
        "\n".join(f"- Note: {markdown_text(warning)}" for warning in page.warnings),
        "## What was measured",
        "\n".join(map(_fact, page.facts)),
        *(block for section in page.sections for block in _section(section)),
        "\n".join(map(markdown_text, page.receipt)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _fact(fact: Fact) -> str:
    code = f" `{fact.code.replace('`', '')}`" if fact.code else ""
    return f"- {markdown_text(fact.term)}: {markdown_text(fact.text)}{code}"


def _section(section: Section) -> Iterator[str]:
    yield f"## {markdown_text(section.title)}"
    yield markdown_text(section.lead)
    yield from map(markdown_table, section.tables)
    yield from (markdown_table(one.numbers) for one in section.pictures if _brief(one.numbers))


def _brief(table: Table) -> bool:
    return len(table.headings) <= COLUMNS and len(table.rows) <= ROWS


def markdown_table(table: Table) -> str:
    """A table with its caption above."""
    marks = ["---" if place < table.words else "---:" for place in range(len(table.headings))]
    lines = [_markdown_row(map(markdown_text, row)) for row in (table.headings, *table.rows)]
    return "\n".join([f"**{markdown_text(table.caption)}**", "", lines[0], _markdown_row(marks), *lines[1:]])


def _markdown_row(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Text in one line that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def latex_table(table: Table, comments: Sequence[str]) -> str:
    """A `tabular` of booktabs, under comments that say where its figures come from."""
    columns = "".join("l" if place < table.words else "r" for place in range(len(table.headings)))
    lines = [
        *(f"% {' '.join(comment.split())}" for comment in comments),
        r"% \usepackage{booktabs}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_row(table.headings),
        r"\midrule",
        *map(_latex_row, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    # A row that starts with a bracket would be read as the optional argument of the line break before it.
    text = " & ".join(map(latex_text, cells))
    return rf"{'{}' if text.startswith(('[', '*')) else ''}{text} \\"


def latex_text(text: str) -> str:
    """Text in one line with LaTeX's special characters escaped."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
