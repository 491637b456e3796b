"""The `ophclip` command: each subcommand is a thin adapter over a function that can be imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import ophclip

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of surgical videos to a video-language model that can be searched and asked.",
    epilog="Every command takes KEY=VALUE overrides of its file in conf/ after its own options.",
)

Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides of the configuration.")]


def main() -> None:
    """Run the command; a user's error is one line on standard error and exit status 2."""
    try:
        app()
    except (ValueError, OSError) as error:
        if os.environ.get("OPHCLIP_DEBUG"):
            raise
        typer.echo(f"ophclip: {error}", err=True)
        sys.exit(2)


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
    from ophclip.config import DemoConfig, compose
    from ophclip.demo import run_demo

    given = [] if videos is None else [f"videos={_quoted(videos)}"]
    config = compose("demo", [f"out={_quoted(out)}", *given, *(overrides or [])], DemoConfig)
    typer.echo(run_demo(config))


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    narrated: Annotated[int, typer.Option(help="Narrated videos.")] = 4,
    silent: Annotated[int, typer.Option(help="Silent videos.")] = 4,
    held_out: Annotated[int, typer.Option(help="Held-out videos, with truth in the layouts of public datasets.")] = 2,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    site: Annotated[str, typer.Option(help="A or B: light, zoom, colour and instruments differ.")] = "A",
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Make surgical videos with exact truth: pictures, spoken narration, titles and labels from one symbolic world."""
    from ophclip.progress import shown
    from ophclip.simulate import SimulateConfig
    from ophclip.simulate import simulate as run

    config = SimulateConfig(
        out=out, narrated=narrated, silent=silent, held_out=held_out, seed=seed, site=site, workers=workers
    )
    with shown("simulate") as progress:
        world = run(config, progress)
    typer.echo(world)


@app.command()
def ingest(
    source: Annotated[Path, typer.Argument(help="Folder of videos, searched through and through.")],
    out: Annotated[Path, typer.Option(help="Corpus folder to write or continue.")],
    overrides: Overrides = None,
) -> None:
    """Turn a folder of videos into transcripts, clips, titles and training shards."""
    from ingest.config import IngestConfig
    from ingest.run import ingest as run
    from ophclip.config import compose
    from ophclip.progress import shown

    config = compose("ingest", overrides or [], IngestConfig)
    with shown("ingest") as progress:
        summary = run(source, out, config, progress)
    typer.echo(summary)


@app.command(context_settings={"ignore_unknown_options": True})
def train(overrides: Overrides = None) -> None:
    """Train the dual encoder: `ophclip train +exp=ophvl data.root=CORPUS` (as `python -m ophclip.train`)."""
    from ophclip.config import TrainConfig, compose
    from ophclip.progress import shown
    from ophclip.training.fit import train as run

    config = compose("train", overrides or [], TrainConfig)
    with shown("train") as progress:
        result = run(config, progress)
    typer.echo(result)


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


if __name__ == "__main__":
    main()
