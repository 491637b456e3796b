"""`ophclip probe`: heads that are trained on a model's features, by how much is labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ophclip.cli.arguments import Model, Overrides, Videos

app = typer.Typer(rich_markup_mode=None)


@app.command()
def probe(
    bundle: Model,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="What lies under --root; `ophclip datasets` lists the names.")
    ],
    root: Annotated[Path, typer.Option(help="Folder of the dataset, or the CSV of a table.")],
    against: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Another model, such as the weights it began with.")
    ] = None,
    videos: Videos = None,
    out: Annotated[Path, typer.Option(help="Folder of the result; an unfinished one is gone on with.")] = Path("probe"),
    overrides: Overrides = None,
) -> None:
    """Learn labels from a model's features: linear, k-NN, temporal, fine-tuned; gains by the number of videos."""
    from ophclip.cli.evaluation import show_headline
    from ophclip.composing import compose
    from ophclip.evaluation.probes.run import probe_dataset
    from ophclip.probe_options import ProbeConfig
    from ophclip.progress import shown

    config = compose("probe", overrides or [], ProbeConfig)
    with shown("probe") as progress:
        probed = probe_dataset(
            bundle,
            dataset,
            root,
            out,
            config=config,
            against=tuple(against or ()),
            videos=tuple(videos or ()),
            progress=progress,
        )
    if probed.never_learned:
        named = ", ".join(f"{label} ({seconds} s)" for label, seconds in probed.never_learned.items())
        typer.echo(f"in test videos and in no training video, so never predicted: {named}", err=True)
    show_headline(probed.headline, probed.leakage, probed.path)
