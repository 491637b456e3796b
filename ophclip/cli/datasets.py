"""`ophclip datasets`: which labelled datasets can be read, and whether a folder holds one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    help="List the labelled datasets that can be read, or check a folder that should hold one.",
)


@app.callback()
def table(context: typer.Context) -> None:
    """List the labelled datasets that can be read, or check a folder that should hold one."""
    if context.invoked_subcommand is not None:
        return
    from ophclip.evaluation.datasets import DATASETS

    rows = [("name", "task", "classes", "protocol", "licence", "how to obtain")]
    for name, entry in DATASETS.items():
        facts = entry.facts
        classes = str(facts.classes or "yours")
        rows.append((name, facts.task.value, classes, facts.protocol, facts.source.license, facts.source.obtain))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name in the list.")],
    root: Annotated[Path, typer.Option(help="Folder of the dataset, or the CSV of a table.")],
    videos: Annotated[list[Path] | None, typer.Option(help="Where its videos lie, if not in it.")] = None,
) -> None:
    """Say what is there, what is missing and what is odd; exit status 1 if it cannot be used."""
    from ophclip.evaluation.checking import check as look

    report = look(name, root, tuple(videos or ()))
    typer.echo(report.text)
    if not report.usable:
        raise typer.Exit(1)
