"""`ophclip ingest`: the run itself, and what looks at a corpus afterwards."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ophclip.cli.arguments import Engine, Workers, work_overrides


class _RunByDefault(TyperGroup):
    """`ingest SOURCE --out CORPUS` is `ingest run SOURCE --out CORPUS`; a folder called `status` is `./status`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Turn videos into transcripts, clips, titles and training shards: `ophclip ingest SOURCE --out CORPUS`. "
    "A second run does only what is new; a run that was interrupted goes on.",
)

Corpus = Annotated[Path, typer.Argument(metavar="CORPUS", help="Folder that ingest wrote.")]


class Again(StrEnum):
    """Which videos are tried again."""

    FAILED = "failed"


@app.command()
def run(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder, CSV or Parquet list, or address (s3://, gs://).")
    ],
    out: Annotated[Path, typer.Option(help="Corpus folder to write or continue.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides of conf/ingest.yaml.")
    ] = None,
    transcripts: Annotated[
        Path | None, typer.Option(help="Folder of transcripts: NAME.csv, NAME.srt, NAME.vtt.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Evaluation videos: what shows the same recording is refused.")
    ] = None,
    retry: Annotated[Again | None, typer.Option(help="Try again the videos that failed.")] = None,
    engine: Engine = None,
    workers: Workers = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="SOURCE lists http(s) addresses: download them; see fetch.hosts.")
    ] = False,
) -> None:
    """Bring a corpus up to date with a source (the default: `run` may be left out)."""
    from ingest.config import IngestConfig
    from ingest.run import ingest
    from ophclip.composing import compose
    from ophclip.progress import shown

    if re.match(r"\w+:/", str(out)):  # which would become a folder of that name
        raise ValueError(
            "--out: a corpus is written to a folder: then put it on a bucket with `ophclip ingest publish`"
        )
    given = [
        *work_overrides(engine, workers),
        *([f"retry={retry.value}"] if retry else []),
        *(["fetch.enabled=true"] if fetch else []),
    ]
    config = compose("ingest", [*given, *(overrides or [])], IngestConfig)
    if transcripts is not None:
        config.transcripts = str(transcripts)
    config.against = [str(path) for path in against or []] or config.against
    with shown("ingest") as progress:
        summary = ingest(source, out, config, progress)
    if config.slurm.dry_run:
        typer.echo(f"written and not submitted: {out / 'slurm' / 'submission.sh'}")
        return
    typer.echo(summary)
    if not summary.done:
        raise ValueError(f"{source}: none of its videos could be used; the lines above say why")


@app.command()
def status(corpus: Corpus) -> None:
    """Say how many videos are done, pending, rejected and failed, why, and how long the rest will take."""
    from rich.console import Console
    from rich.table import Table

    from ingest.status import read_status

    found = read_status(corpus)
    table = Table(title=str(corpus), title_justify="left")
    for heading in ("videos", "count", "minutes", "minutes of speech", "clips"):
        table.add_column(heading, justify="left" if heading == "videos" else "right")
    for one in found.counts:
        minutes = (f"{one.video_seconds / 60:.1f}", f"{one.speech_seconds / 60:.1f}")
        table.add_row(one.name, str(one.videos), *minutes, str(one.clips))
    Console().print(table)
    for state, reason, count in found.reasons:
        typer.echo(f"{count} {state.value}: {reason}")
    typer.echo(f"{found.rejected_texts} sentences and clips refused, {found.corrected_texts} corrections")
    if str(found.rewriting):
        typer.echo(found.rewriting)
    if found.real_time_factor:
        workers = os.cpu_count() or 1
        left = found.seconds_left(workers) or 0.0
        typer.echo(
            f"{found.real_time_factor:.1f} x real time and {found.busy_seconds_per_video:.1f} s a video in one worker; "
            f"pending: {found.pending}, about {left / 60:.0f} min with {workers} workers"
        )


@app.command()
def export(
    corpus: Corpus,
    out: Annotated[Path, typer.Option(help="Folder to write; a file there is replaced.")],
) -> None:
    """Write the manifest as Parquet: videos, clips, chapters, refusals, corrections, evidence, transcripts."""
    from ingest.export import export_parquet

    for path in export_parquet(corpus, out):
        typer.echo(path)


@app.command()
def publish(
    corpus: Corpus,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Of the corpus there: s3://BUCKET/CORPUS, gs://.")],
    keep_days: Annotated[
        float, typer.Option(help="How long shards that a later corpus replaced are kept for readers; 0: not at all.")
    ] = 7.0,
) -> None:
    """Put the shards of a corpus on a bucket: what is new is sent, then readers find the new corpus, at once and whole.

    Credentials come from the environment (S3: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; MinIO and
    the like: AWS_ENDPOINT_URL as well). Killed or failed, the same command goes on. Training reads it with
    data.root=ADDRESS. Of the corpus nothing but its shards is sent.
    """
    from ingest.publish import publish as run_publishing
    from ophclip.progress import shown

    with shown("publish") as progress:
        published = run_publishing(corpus, address, keep_days, progress)
    typer.echo(published)


@app.command()
def card(corpus: Corpus) -> None:
    """Write the data card anew: CORPUS/card.md and card.html, with pictures. A run does so by itself."""
    from ingest.card import write_card

    for path in write_card(corpus):
        typer.echo(path)


@app.command()
def calibrate(
    corpus: Corpus,
    labels: Annotated[Path, typer.Option(help="CSV with the columns video and narrated (yes or no), by hand.")],
) -> None:
    """Fit the thresholds between narrated and silent videos to your own labels, and say how often they are wrong."""
    from ingest.calibrate import calibrate as run_calibration
    from ingest.config import IngestConfig
    from ophclip.composing import compose

    found = run_calibration(corpus, labels, compose("ingest", [], IngestConfig))
    typer.echo("video\tby hand\tspeech share\twords per minute\tword probability")
    for one in found.measured:
        hand = "narrated" if one.narrated else "silent"
        speech = one.speech
        figures = f"{speech.share:.3f}\t{speech.words_per_minute:.1f}\t{speech.word_probability:.2f}"
        typer.echo(f"{one.video_id}\t{hand}\t{figures}")
    typer.echo(
        f"gates.min_speech_share={found.min_speech_share} gates.min_words_per_minute={found.min_words_per_minute} "
        f"gates.min_word_probability={found.min_word_probability}"
    )
    total = len(found.measured)
    typer.echo(f"wrong: {len(found.wrong)} of {total} {list(found.wrong)}; today {len(found.wrong_today)} of {total}")
