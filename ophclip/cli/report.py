"""`ophclip report`: a page about one result, or about several on the same videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT...", help="Folders of results; several are compared with the first.")
    ],
    out: Annotated[Path, typer.Option(help="The page; Markdown and LaTeX rows go beside it.")] = Path("report.html"),
) -> None:
    """Show a result, or compare several, in one page with pictures and the numbers behind them."""
    from ophclip.evaluation.report.run import write_report

    for path in write_report(results, out):
        typer.echo(path)
