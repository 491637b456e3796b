"""The `ophclip` command: each subcommand is a thin adapter over a function that can be imported."""

from __future__ import annotations

import os
import sqlite3
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import ophclip
from ophclip.cli import bridges, datasets, evaluation, ingest, probe, purge, report, search, trace
from ophclip.cli.arguments import Overrides

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of surgical videos to a video-language model that can be searched and asked.",
    epilog="demo, ingest, train, index, zeroshot, embed, probe and retrieval take KEY=VALUE overrides of conf/.",
)

app.add_typer(ingest.app, name="ingest")
app.add_typer(datasets.app, name="datasets")
app.add_typer(evaluation.app)
app.add_typer(probe.app)
app.add_typer(report.app)
app.add_typer(search.app)
app.add_typer(trace.app)
app.add_typer(purge.app)
app.add_typer(bridges.app)


def main() -> None:
    """Run the command; a user's error is one line on standard error and exit status 2."""
    try:
        app()
    except (ValueError, OSError, sqlite3.DatabaseError) as error:
        if os.environ.get("OPHCLIP_DEBUG"):
            raise
        typer.echo(f"ophclip: {_told(error)}", err=True)
        sys.exit(2)


def _told(error: Exception) -> str:
    """One line; what the system and SQLite say gets its remedy here."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; give another path, or make this one readable and writable"
    if isinstance(error, sqlite3.DatabaseError):
        return f"a database is damaged ({text}); make the index or corpus anew, or restore it"
    return text


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(f"ophclip {ophclip.__version__}")
        raise typer.Exit


@app.command()
def demo(
    overrides: Overrides = None,
    videos: Annotated[Path | None, typer.Option(help="Your own folder of videos instead of a simulated world.")] = None,
    out: Annotated[Path, typer.Option(help="Where everything goes; a second run redoes nothing.")] = Path("demo"),
) -> None:
    """Run the whole pipeline, ending in OUT/report.html."""
    from ophclip.composing import compose
    from ophclip.config import DemoConfig
    from ophclip.demo import run_demo

    given = [] if videos is None else [f"videos={_quoted(videos)}"]
    config = compose("demo", [f"out={_quoted(out)}", *given, *(overrides or [])], DemoConfig)
    typer.echo(run_demo(config))


class SiteName(StrEnum):
    """The two simulated hospitals."""

    A = "A"
    B = "B"


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    narrated: Annotated[int, typer.Option(help="Narrated videos.")] = 4,
    silent: Annotated[int, typer.Option(help="Silent videos.")] = 4,
    held_out: Annotated[int, typer.Option(help="Held-out videos, with truth in the layouts of public datasets.")] = 2,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    site: Annotated[SiteName, typer.Option(help="Hospitals whose light, zoom and instruments differ.")] = SiteName.A,
    vague_titles: Annotated[float, typer.Option(help="Share of silent videos whose title says little.")] = 0.3,
    height_px: Annotated[int, typer.Option(help="Picture height; 0 takes the site's own.")] = 0,
    max_fps: Annotated[float, typer.Option(help="Highest frame rate.")] = 25.0,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Make surgical videos with exact truth: pictures, spoken narration, titles and labels from one symbolic world."""
    from ophclip.progress import shown
    from ophclip.simulate import SimulateConfig, Site
    from ophclip.simulate import simulate as run

    config = SimulateConfig(
        out=str(out),
        narrated=narrated,
        silent=silent,
        held_out=held_out,
        seed=seed,
        site=Site(site.value),
        vague_titles=vague_titles,
        height_px=height_px,
        max_fps=max_fps,
        workers=workers,
    )
    with shown("simulate") as progress:
        world = run(config, progress)
    typer.echo(f"{world.out}: {world.narrated} narrated, {world.silent} silent, {world.held_out} held-out videos")


@app.command()
def train(overrides: Overrides = None) -> None:
    """Train the dual encoder: `ophclip train +exp=ophvl data.root=CORPUS` (as `python -m ophclip.train`)."""
    from ophclip.composing import compose
    from ophclip.config import TrainConfig
    from ophclip.progress import shown
    from ophclip.training.run import train as run

    config = compose("train", overrides or [], TrainConfig)
    with shown("train") as progress:
        result = run(config, progress)
    typer.echo(f"{result.steps} steps in {result.seconds:.0f} s; bundle: {result.bundle}; losses: {result.metrics}")


@app.command()
def bundle(
    run: Annotated[Path, typer.Argument(help="Run folder that training wrote.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
) -> None:
    """Pack a run's newest weights, config, tokenizer, preprocessing and card into one folder that loads anywhere."""
    from ophclip.training.export import export_bundle

    typer.echo(export_bundle(run, out))


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle folder.")],
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Name on the Hugging Face hub.")],
    public: Annotated[bool, typer.Option("--public", help="Let everybody read it, if the name is new.")] = False,
) -> None:
    """Send a bundle to the Hugging Face hub: `ophclip.load("OWNER/NAME", download=True)` takes it from there."""
    from ophclip.data.hub import push as send
    from ophclip.models.description import read_description

    read_description(folder)
    typer.echo(send(folder, name, public=public))


@app.command()
def ablation(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep, or of several.")],
    reference: Annotated[str, typer.Option(help="Variant that the others are compared with.")] = "video",
) -> None:
    """Put the runs of `python -m ophclip.train +exp=ablation` side by side: table, plot, all figures."""
    from ophclip.ablation.summary import summarise

    typer.echo(summarise(folder, reference))


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@app.command()
def doctor() -> None:
    """Say what this machine has and lacks, and for each fault the command that mends it."""
    from rich.console import Console
    from rich.table import Table

    from ophclip.doctor import State, examine

    findings = examine(Path.cwd())
    table = Table(title=f"ophclip {ophclip.__version__}", title_justify="left")
    for heading in ("what", "state", "found", "to mend it"):
        table.add_column(heading, overflow="fold")
    colours = {State.GOOD: "green", State.ABSENT: "dim", State.FAULT: "bold red"}
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state.value}[/]"
        table.add_row(finding.subject, state, finding.detail, finding.remedy)
    Console().print(table)
    faults = sum(finding.state is State.FAULT for finding in findings)
    if faults:
        typer.echo(f"ophclip: {faults} fault(s) found; the last column says how to mend each", err=True)
        raise typer.Exit(1)
