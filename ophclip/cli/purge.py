"""`ophclip purge`: a video out of everything that was made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def purge(
    video: Annotated[str, typer.Option(metavar="ID", help="The video's id in corpus or index.")],
    signed_off_by: Annotated[str, typer.Option(metavar="NAME", help="Who answers for it; stands in the record.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, without naming video or patient.")],
    corpus: Annotated[Path | None, typer.Option(help="Corpus that holds it.")] = None,
    index: Annotated[list[Path] | None, typer.Option(help="Search index; may be given several times.")] = None,
    run: Annotated[list[Path] | None, typer.Option(help="Run folder or bundle; may be given several times.")] = None,
    cache: Annotated[
        list[Path] | None, typer.Option(help="Cache of vectors, of shards, or a folder of vectors; several times.")
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Folder of results: those made on it are named.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Take a video out of corpus, indices, caches and records of trainings; say which weights saw it."""
    from ophclip.progress import shown
    from ophclip.purging.plan import Folders
    from ophclip.purging.run import plan_purge
    from ophclip.purging.run import purge as run_purge

    def places(given: list[Path] | None) -> tuple[str, ...]:
        return tuple(str(path.resolve()) for path in given or ())

    folders = Folders(
        corpus=str(corpus.resolve()) if corpus else "",
        indices=places(index),
        runs=places(run),
        caches=places(cache),
        results=places(results),
    )
    plan = plan_purge(video, folders, by=signed_off_by, reason=reason)
    for line in plan.lines():
        typer.echo(line)
    if dry_run:
        typer.echo("nothing was changed (--dry-run)")
        return
    with shown("purge") as progress:
        purged = run_purge(plan, progress)
    typer.echo(f"gone; record: {purged.record}, its hash {purged.sha256}")
