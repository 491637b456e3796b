"""`ophclip zeroshot`, `compare`, `verify`: figures of a model on labelled videos, side by side, and computed again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ophclip.cli.arguments import Cache, Dataset, Model, Overrides, Result, Root, TrainedOn, Videos

if TYPE_CHECKING:
    from ophclip.evaluation.leakage import Leakage

app = typer.Typer(rich_markup_mode=None)

WIDE = 120
"""Columns of a table of figures: a narrow terminal breaks its lines, and loses no digit."""


@app.command()
def zeroshot(
    bundle: Model,
    dataset: Dataset = None,
    root: Root = None,
    video: Annotated[Path | None, typer.Option(help="One video instead of a dataset.")] = None,
    prompts: Annotated[str, typer.Option(help="YAML or text file of sentences, or the name of a shipped set.")] = "",
    videos: Videos = None,
    trained_on: TrainedOn = None,
    out: Annotated[Path, typer.Option(help="Folder of figures, predictions and pictures.")] = Path("zeroshot"),
    cache: Cache = None,
    overrides: Overrides = None,
) -> None:
    """Recognise phases, instruments or procedures without training on them: a dataset with truth, or one video."""
    from ophclip.composing import compose
    from ophclip.config import ZeroShotConfig
    from ophclip.evaluation.runs import default_cache, zeroshot_dataset, zeroshot_video
    from ophclip.progress import shown

    config, cache = compose("zeroshot", overrides or [], ZeroShotConfig), cache or default_cache()
    if (video is None) == (dataset is None):
        raise ValueError("zeroshot: give either --dataset NAME with --root DIR, or --video FILE with --prompts FILE")
    if dataset is not None and root is None:
        raise ValueError(f"zeroshot --dataset {dataset}: give --root, the dataset's folder")
    if video is not None:
        zeroshot_video(bundle, video, prompts or "cataract101", out, config=config, cache=cache)
        typer.echo(out / "ribbon.png")
        return
    assert dataset is not None
    assert root is not None
    with shown("zero-shot") as progress:
        result = zeroshot_dataset(
            bundle,
            dataset,
            root,
            out,
            config=config,
            prompts=prompts,
            videos=tuple(videos or ()),
            cache=cache,
            trained_on=trained_on,
            progress=progress,
        )
    show_headline(result.headline, result.receipt.leakage, out / "result.json")


def show_headline(headline: str, leakage: Leakage, file: Path) -> None:
    """Print the headline, red where training saw the videos, and what is known of that."""
    from rich.console import Console
    from rich.markup import escape

    from ophclip.evaluation.leakage import Finding

    console = Console(soft_wrap=True, highlight=False)
    styles = {Finding.SEEN: "bold red", Finding.NAMESAKES: "yellow"}
    console.print(escape(f"{headline}; {file}"), style=styles.get(leakage.finding, ""))
    if leakage.finding is not Finding.SEEN:
        console.print(escape(leakage.told), style=styles.get(leakage.finding, "dim"))


def _repeat_alarm(place: Path) -> None:
    """Say again in red what a result says of videos that training saw."""
    from rich.console import Console
    from rich.markup import escape

    from ophclip.evaluation.reading import read_tree
    from ophclip.evaluation.receipts import read_receipt

    leakage = read_receipt(read_tree(place)[1]).leakage
    if leakage.alarm:
        Console(soft_wrap=True, highlight=False).print(escape(f"{place}: {leakage.told}"), style="bold red")


@app.command()
def retrieval(
    bundle: Annotated[Path, typer.Argument(help="Trained bundle.")],
    corpus: Annotated[str, typer.Argument(help="Corpus, of held-out videos, or the address of a copy.")],
    trained_on: TrainedOn = None,
    out: Annotated[Path, typer.Option(help="Folder of figures and ranks.")] = Path("retrieval"),
    overrides: Overrides = None,
) -> None:
    """Let narrations and clips, titles and videos of a corpus find each other: recall at 1, 5, 10 and median rank."""
    from ophclip.composing import compose
    from ophclip.config import MatchingConfig
    from ophclip.evaluation.matching.run import match_corpus
    from ophclip.progress import shown

    config = compose("retrieval", overrides or [], MatchingConfig)
    with shown("retrieval") as progress:
        result = match_corpus(bundle, corpus, out, config=config, trained_on=trained_on, progress=progress)
    show_headline(result.headline, result.receipt.leakage, out / "result.json")


@app.command()
def embed(
    bundle: Model,
    dataset: Dataset = None,
    root: Root = None,
    prompts: Annotated[str, typer.Option(help="The prompts, if others are wanted than are shipped.")] = "",
    videos: Videos = None,
    out: Annotated[Path, typer.Option(help="Folder of vectors to write, or to add to.")] = Path("embeddings"),
    overrides: Overrides = None,
) -> None:
    """Write the vectors of a dataset's files and prompts into a folder, which zeroshot takes in place of a bundle."""
    from ophclip.composing import compose
    from ophclip.config import ZeroShotConfig
    from ophclip.evaluation.embedding_writer import embed_dataset
    from ophclip.progress import shown

    config = compose("zeroshot", overrides or [], ZeroShotConfig)
    if dataset is None or root is None:
        raise ValueError("embed: give --dataset NAME and --root, the dataset's folder")
    with shown("embed") as progress:
        new = embed_dataset(
            bundle, dataset, root, out, config=config, prompts=prompts, videos=tuple(videos or ()), progress=progress
        )
    typer.echo(f"{out}: {new} new files")


@app.command()
def compare(first: Result, second: Result) -> None:
    """Compare two results on the same videos: second minus first, paired 95 % interval, p by exchanging videos."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ophclip.evaluation.comparing import compare_results
    from ophclip.evaluation.probes.reading import probe_file

    rows = compare_results(first, second)
    table = Table(box=None)
    for heading in ("protocol", "figure", "first", "second", "change", "95 % interval", "p"):
        table.add_column(heading, justify="left" if heading in ("protocol", "figure") else "right", no_wrap=True)
    for row in rows:
        one = row.difference
        figures = f"{one.first:.3f}", f"{one.second:.3f}", f"{one.difference:+.3f}"
        table.add_row(row.protocol, row.figure, *figures, escape(f"[{one.low:+.3f}, {one.high:+.3f}]"), f"{one.p:.3f}")
    typer.echo(f"first: {first}, second: {second}; change is second minus first")
    Console(width=max(Console().width, WIDE)).print(table)
    for place in (first, second):
        _repeat_alarm(probe_file(place) or place)


@app.command()
def verify(
    result: Result,
    bundle: Annotated[
        str | None, typer.Option(help="The bundle, or whatever was scored, if it was moved; so of the other options.")
    ] = None,
    dataset: Dataset = None,
    root: Root = None,
    prompts: Annotated[str, typer.Option(help="The prompts, if others were taken than are shipped.")] = "",
    videos: Videos = None,
) -> None:
    """Compute a result again: from its predictions, and from the videos where what it was made from is still there;
    status 1 if it differs."""
    from ophclip.evaluation.probes.reading import probe_file
    from ophclip.evaluation.receipts import Given
    from ophclip.evaluation.verifying import verify_from_videos, verify_result, what_is_left

    asked = Given(
        bundle=bundle or "",
        dataset=dataset or "",
        root=str(root or ""),
        videos=tuple(map(str, videos or ())),
        prompts=prompts,
    )
    found, (given, lacking) = list(verify_result(result)), what_is_left(result, asked)
    if lacking and asked != Given():
        raise ValueError(f"verify: {lacking}")
    if not lacking:
        folders = tuple(map(Path, given.videos))
        place = Path(given.bundle) if Path(given.bundle).exists() else given.bundle
        found += verify_from_videos(
            result, place, given.dataset, Path(given.root), prompts=given.prompts, videos=folders
        )
    for one in found:
        typer.echo(str(one))
    if found:
        typer.echo(f"ophclip: {result} differs in {len(found)} place(s) from what was computed again", err=True)
        raise typer.Exit(1)
    told = f" (weights, prompts and labels as it names them: {lacking})" if lacking else " and videos"
    typer.echo(f"{result}: equal, from predictions{told}")
    _repeat_alarm(probe_file(result) or result)
