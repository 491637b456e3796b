"""What a result was made from, so that a row of it can be followed back, and whether training saw it.

Paths are relative to the result's folder: both can be moved together.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ophclip.evaluation.leakage import Leakage, read_leakage


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What the command was given; empty where it was given something that lies in no file."""

    bundle: str = ""
    dataset: str = ""
    """Its name."""
    root: str = ""
    """Folder or table of the dataset, or the corpus."""
    videos: tuple[str, ...] = ()
    """Folders of a table's videos."""
    prompts: str = ""
    """File or name of a shipped set; empty: those shipped for the dataset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """The file of one evaluated video as it was."""

    path: str
    """Empty for a video of a corpus: its manifest knows."""
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """Stands in `result.json` under `given`, `files` and `leakage`."""

    given: Given = field(default_factory=Given)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    """By video id."""
    leakage: Leakage = field(default_factory=Leakage)

    def to_json(self) -> dict[str, Any]:
        """Plain tree."""
        return {
            "given": {**asdict(self.given), "videos": list(self.given.videos)},
            "files": {name: asdict(file) for name, file in self.files.items()},
            "leakage": self.leakage.to_json(),
        }


def given_to(
    out: Path, bundle: object, dataset: str, root: Path, *, videos: tuple[Path, ...] = (), prompts: str = ""
) -> Given:
    """What a command was given that writes into `out`; a bundle that is loaded already has no place."""
    return Given(
        bundle=_place(bundle, out),
        dataset=dataset,
        root=relative(root, out),
        videos=tuple(relative(folder, out) for folder in videos),
        prompts=relative(Path(prompts), out) if Path(prompts).is_file() else prompts,
    )


def _place(bundle: object, out: Path) -> str:
    """A folder as seen from `out`, a word such as `open_clip:NAME,FILE` as it is, nothing of what is loaded."""
    if isinstance(bundle, Path) or (isinstance(bundle, str) and Path(bundle).is_dir()):
        return relative(Path(bundle), out)
    return bundle if isinstance(bundle, str) else ""


def read_receipt(tree: Mapping[str, Any]) -> Receipt:
    """The receipt of a result's tree; one that was written without has an empty one."""
    given = dict(tree.get("given", {}))
    given["videos"] = tuple(given.get("videos", ()))
    return Receipt(
        given=Given(**given),
        files={name: SourceFile(**file) for name, file in tree.get("files", {}).items()},
        leakage=read_leakage(tree.get("leakage")),
    )


def relative(path: Path, folder: Path) -> str:
    """`path` as seen from `folder`, so that both can be moved together; absolute where there is no such way."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
