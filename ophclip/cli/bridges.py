"""`ophclip export` and `ophclip labels`: to tools for looking and labelling, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ophclip.cli.arguments import Videos
from ophclip.search.bridges.kinds import LabelKind, Tool

app = typer.Typer(rich_markup_mode=None)


@app.command()
def export(
    index: Annotated[Path | None, typer.Argument(metavar="[INDEX]", help="Index folder, for --query.")] = None,
    to: Annotated[Tool, typer.Option(help="What to write for.")] = Tool.CSV,
    out: Annotated[Path, typer.Option(help="Folder to write; files there are replaced.")] = Path("export"),
    query: Annotated[list[str] | None, typer.Option(help="What to look for; may be given several times.")] = None,
    hits: Annotated[
        Path | None, typer.Option(help="File of hits as `ophclip search --json` prints them; - reads what is piped in.")
    ] = None,
    k: Annotated[int, typer.Option(help="How many moments for each query.")] = 20,
    bundle: Annotated[Path | None, typer.Option(help="The bundle that made the index, if it was moved.")] = None,
) -> None:
    """Write moments for FiftyOne, Label Studio or a spreadsheet: `ophclip export INDEX --query TEXT --to fiftyone`."""
    from ophclip.evaluation.tables import read_text
    from ophclip.search.bridges.records import read_moments
    from ophclip.search.bridges.run import export_moments, searched_moments

    if (hits is None) == (index is None):
        raise ValueError("export: give INDEX with --query, or --hits; one of them")
    if hits is not None:
        text = sys.stdin.read() if str(hits) == "-" else read_text(hits)
        moments = read_moments(text, str(hits))
    else:
        assert index is not None
        moments = searched_moments(index, query or [], k=k, bundle=bundle)
    for path in export_moments(moments, to, out):
        typer.echo(path)


@app.command()
def labels(
    source: Annotated[Path, typer.Argument(metavar="EXPORT", help="What the tool exported: a file, or a folder.")],
    out: Annotated[Path, typer.Option(help="Table to write, for `--dataset presence-table` or `phase-table`.")],
    kind: Annotated[LabelKind, typer.Option(help="Presence by the second, or segments.")] = LabelKind.PRESENCE,
    origin: Annotated[Tool | None, typer.Option("--from", help="The tool; by default as the file looks.")] = None,
    videos: Videos = None,
    index: Annotated[Path | None, typer.Option(help="Index that knows the videos by id.")] = None,
    whole_videos: Annotated[
        bool, typer.Option("--whole-videos", help="The videos were labelled from start to end: the rest is absence.")
    ] = False,
) -> None:
    """Read what people labelled back into a table that `ophclip probe` and `ophclip zeroshot` take."""
    from ingest import atomic
    from ophclip.search.bridges.run import known_files, label_table, read_judgements, tool_of

    files = known_files(index, videos or [])
    judgements = read_judgements(source, origin or tool_of(source), files)
    table = label_table(judgements, kind, files, whole=whole_videos)
    atomic.write_text(out, table.text)
    told = f"; {table.contradictions} cells where people disagree are empty" if table.contradictions else ""
    typer.echo(f"{out}: {table.rows} rows of {table.videos} videos{told}")
