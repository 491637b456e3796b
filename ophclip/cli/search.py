"""`ophclip index`, `ophclip search` and `ophclip calibrate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ophclip.cli.arguments import Engine, Videos, Workers, work_overrides

if TYPE_CHECKING:
    from ophclip.search.hits import Hit

app = typer.Typer(rich_markup_mode=None)
Index = Annotated[Path, typer.Argument(metavar="INDEX", help="Index folder.")]
Bundle = Annotated[Path | None, typer.Option(help="The bundle that made the index, if it was moved.")]


@app.command()
def index(
    bundle: Annotated[Path, typer.Argument(help="Trained bundle.")],
    rest: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CORPUS] [KEY=VALUE]...", help="Corpus whose videos are indexed, then overrides."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Index folder to write, or to add new videos to.")] = Path("index"),
    videos: Annotated[Path | None, typer.Option(help="Folder of further videos, without a corpus.")] = None,
    engine: Engine = None,
    workers: Workers = None,
) -> None:
    """Index every window, clip and video, so that they can be searched; run again, it adds what is new."""
    from ophclip.composing import compose
    from ophclip.config import IndexConfig
    from ophclip.progress import shown
    from ophclip.search.build import build_index

    overrides = [
        word for word in rest or [] if "=" in word and "/" not in word.split("=")[0] and not Path(word).exists()
    ]
    folders = [Path(word) for word in rest or [] if word not in overrides]
    if len(folders) > 1:
        raise ValueError(f"index: one CORPUS expected, {len(folders)} given: {', '.join(map(str, folders))}")
    corpus = folders[0] if folders else None
    config = compose("index", [*work_overrides(engine, workers), *overrides], IndexConfig)
    with shown("index") as progress:
        summary = build_index(bundle, out, corpus=corpus, videos=videos, config=config, progress=progress)
    if config.slurm.dry_run:
        typer.echo(f"written and not submitted: {out / 'staging' / 'slurm' / 'submission.sh'}")
        return
    for path, reason in summary.failed:
        typer.echo(f"not indexed: {path}: {reason}", err=True)
    typer.echo(
        f"{summary.folder}: {summary.windows} windows and {summary.clips} clips of {summary.videos} videos "
        f"({summary.added} added, {summary.unchanged} there before, {len(summary.failed)} failed)"
    )
    if not summary.added + summary.unchanged:
        raise ValueError(f"{summary.folder}: none of the videos given could be indexed; the lines above say why")


@app.command()
def search(
    folder: Index,
    query: Annotated[str | None, typer.Argument(help="What to look for, in words.")] = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="Search by a picture instead.")] = None,
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="Search by a clip instead.")] = None,
    like: Annotated[str | None, typer.Option(metavar="HIT_ID", help="More like a hit, as --json prints it.")] = None,
    k: Annotated[int, typer.Option(help="How many moments.")] = 5,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="KEY=VALUE",
            help="Only videos with this license, procedure, split, language, uploader, ..., narrated=true or false, "
            "video=ID. Of one key any value given, of several keys all.",
        ),
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="Leave out moments with a lower cosine.")] = None,
    level: Annotated[str, typer.Option(help="window, clip (narrated clips) or video.")] = "window",
    by_video: Annotated[bool, typer.Option(help="At most one moment of each video.")] = False,
    bundle: Bundle = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Find the moments that words, a picture or a clip describe: video, start, end, score."""
    from ophclip.search.filters import parse_filters
    from ophclip.search.index import open_index

    asked = {"QUERY": query, "--image": image, "--video": video, "--like": like}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"search: give one of {', '.join(asked)}; found {' and '.join(given) or 'none'}")
    options: dict[str, Any] = {
        "k": k,
        "filters": parse_filters(filters or ()),
        "min_score": min_score,
        "group_by_video": by_video,
        "level": level,
    }
    with open_index(folder, bundle) as opened:
        if like is not None:
            hits = opened.neighbours(like, **options)
        else:
            hits = opened.search(text=query, image=image, video=video, **options)
    for hit in hits:
        typer.echo(_json(hit, query) if as_json else _line(hit))
    if not hits:
        typer.echo("no moment found: nothing passes the filters, the level or --min-score", err=True)


def _json(hit: Hit, query: str | None) -> str:
    fields = {
        "hit_id": hit.hit_id,
        "video_id": hit.video_id,
        "path": str(hit.path),
        "score": hit.score,
        "probability": hit.probability,
        "level": hit.level.value,
        "start_seconds": hit.start_seconds,
        "end_seconds": hit.end_seconds,
        "peak_seconds": hit.peak_seconds,
        "narration": hit.narration,
        "title": hit.title,
        "license": hit.license,
        "query": query or "",
    }
    return json.dumps(fields)


def _line(hit: Hit) -> str:
    probability = "" if hit.probability is None else f"  {hit.probability:4.0%}"
    span = f"{hit.start_seconds:8.1f} s {hit.end_seconds:8.1f} s"
    said = f"  “{hit.narration}”" if hit.narration else ""
    return f"{hit.score:6.3f}{probability}  {span}  {hit.path}{said}"


@app.command()
def calibrate(
    folder: Index,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="A dataset of presence; `ophclip datasets` lists the names.")
    ],
    root: Annotated[Path, typer.Option(help="Folder of the dataset, or the CSV of a table.")],
    videos: Videos = None,
    bundle: Bundle = None,
) -> None:
    """Learn probabilities of instruments from labelled videos that are indexed; search shows them from then on."""
    from ophclip.search.calibrate import calibrate as run
    from ophclip.search.calibration import CALIBRATION_NAME
    from ophclip.search.index import open_index

    with open_index(folder, bundle) as opened:
        found = run(opened, dataset, root, tuple(videos or ()))
    own = sum(not one.pooled for one in found.instruments.values())
    typer.echo(f"{folder / CALIBRATION_NAME}: {len(found.instruments)} instruments, {own} by labels of their own")
    typer.echo(f"on videos left out ({found.folds} folds of {found.videos}), ECE and Brier score:")
    told = {"cosine as it is": "before", "share of windows": "base_rate", "calibrated": "after"}
    for words, name in told.items():
        judged = getattr(found.held_out, name)
        typer.echo(f"  {words:18} {judged.ece:.3f}  {judged.brier:.3f}")
    if found.left_out:
        typer.echo(f"left out, unknown names or always or never there: {', '.join(found.left_out)}", err=True)
