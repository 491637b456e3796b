"""`ophclip trace`: from a figure or a search hit back to all that it rests on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def trace(
    place: Annotated[Path, typer.Argument(metavar="RESULT|INDEX", help="Folder of a result, or of a search index.")],
    video: Annotated[str, typer.Argument(help="Video id, or a hit as `ophclip search --json` prints it.")],
    second: Annotated[float | None, typer.Argument(help="Second of the video; of a hit its best moment.")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Corpus that holds the video, if it is not known.")] = None,
    bundle: Annotated[str | None, typer.Option(help="The bundle, or whatever was scored, if it was moved.")] = None,
    prompts: Annotated[str, typer.Option(help="The prompts, if they were moved.")] = "",
    around: Annotated[float, typer.Option(help="Seconds before and after of which words are shown.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="The chain as one JSON object.")] = False,
) -> None:
    """Walk from an answer back to source, words, consent, shard, model and sentences; status 1 if a link is broken."""
    from ophclip.tracing.run import trace as follow

    found = follow(place, video, second, corpus=corpus, bundle=bundle, prompts=prompts, around_seconds=around)
    typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False) if as_json else "\n".join(found.lines()))
    if found.broken:
        names = ", ".join(link.name for link in found.broken)
        typer.echo(f"ophclip: {len(found.broken)} broken link(s): {names}", err=True)
        raise typer.Exit(1)
