"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Overrides: TypeAlias = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides of the configuration.")
]
Model: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Trained bundle, folder of open_clip's, open_clip:NAME,FILE, or folder of vectors."
    ),
]
Dataset: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="What lies under --root; `ophclip datasets` lists the names.")
]
Root: TypeAlias = Annotated[Path | None, typer.Option(help="Folder of the dataset, or the CSV of a table.")]
Videos: TypeAlias = Annotated[list[Path] | None, typer.Option(help="Where a table's videos lie, if not beside it.")]
Cache: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the vectors of frames are kept, by weights and file content, so that a run that was killed goes on "
        "and other prompts cost no encoding: about 7 MB per hour of video (512 numbers a second). Default: "
        "ophclip/embeddings in the user's cache directory, which all results share, and which is not handed on with "
        "them.",
    ),
]
Result: TypeAlias = Annotated[
    Path, typer.Argument(metavar="RESULT", help="Folder that zeroshot wrote, or its result.json.")
]
TrainedOn: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="CORPUS", help="Corpus of the training: look for copies of its videos by pictures, too."),
]


class Work(StrEnum):
    """Who works."""

    LOCAL = "local"
    RAY = "ray"
    SLURM = "slurm"


Engine: TypeAlias = Annotated[
    Work | None, typer.Option(help="Who works: processes here, a Ray cluster (ray.*) or SLURM jobs (slurm.*).")
]
Workers: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Worker processes, of a SLURM job each; what is made is the same.")
]


def work_overrides(engine: Work | None, workers: int | None) -> list[str]:
    """The two options as overrides."""
    chosen = {"engine": engine, "workers": workers}
    return [f"{name}={value}" for name, value in chosen.items() if value is not None]


def quoted(path: Path) -> str:
    """A path as a value of an override."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
