"""`ophclip zeroshot`, `compare`, `verify`: figures of a model on labelled videos, side by side, and computed again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ophclip.cli.arguments import Cache, Dataset, Overrides, Result, Root, Videos

app = typer.Typer(rich_markup_mode=None)


@app.command()
def zeroshot(
    bundle: Annotated[Path, typer.Argument(help="Trained bundle.")],
    dataset: Dataset = None,
    root: Root = None,
    video: Annotated[Path | None, typer.Option(help="One video instead of a dataset.")] = None,
    prompts: Annotated[str, typer.Option(help="YAML or text file of sentences, or the name of a shipped set.")] = "",
    videos: Videos = None,
    out: Annotated[Path, typer.Option(help="Folder of figures, predictions and pictures.")] = Path("zeroshot"),
    cache: Cache = None,
    overrides: Overrides = None,
) -> None:
    """Recognise phases or instruments without training on them: a dataset with truth, or one video."""
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
            progress=progress,
        )
    typer.echo(f"{result.headline}; {out / 'result.json'}")


@app.command()
def compare(first: Result, second: Result) -> None:
    """Compare two results on the same videos: second minus first, paired 95 % interval, p by exchanging videos."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ophclip.evaluation.comparing import compare_results

    rows = compare_results(first, second)
    table = Table(box=None)
    for heading in ("protocol", "figure", "first", "second", "change", "95 % interval", "p"):
        table.add_column(heading, justify="left" if heading in ("protocol", "figure") else "right", no_wrap=True)
    for row in rows:
        one = row.difference
        figures = f"{one.first:.3f}", f"{one.second:.3f}", f"{one.difference:+.3f}"
        table.add_row(row.protocol, row.figure, *figures, escape(f"[{one.low:+.3f}, {one.high:+.3f}]"), f"{one.p:.3f}")
    typer.echo(f"first: {first}, second: {second}; change is second minus first")
    Console().print(table)


@app.command()
def verify(
    result: Result,
    bundle: Annotated[Path | None, typer.Option(help="The bundle: compute from the videos again, too.")] = None,
    dataset: Dataset = None,
    root: Root = None,
    prompts: Annotated[str, typer.Option(help="The prompts, if others were taken than are shipped.")] = "",
    videos: Videos = None,
) -> None:
    """Compute a result again, from its predictions and with a bundle from the videos; status 1 if it differs."""
    from ophclip.evaluation.verifying import verify_from_videos, verify_result

    if len({bundle is None, dataset is None, root is None}) > 1:
        raise ValueError("verify: give --bundle, --dataset and --root together, or none of them")
    found = list(verify_result(result))
    if bundle is not None and dataset is not None and root is not None:
        found += verify_from_videos(result, bundle, dataset, root, prompts=prompts, videos=tuple(videos or ()))
    for one in found:
        typer.echo(str(one))
    if found:
        typer.echo(f"ophclip: {result} differs in {len(found)} place(s) from what was computed again", err=True)
        raise typer.Exit(1)
    typer.echo(f"{result}: equal, from {'predictions and videos' if bundle else 'predictions'}")
