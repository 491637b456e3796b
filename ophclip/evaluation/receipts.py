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
from ophclip.models.description import OPEN_CLIP_PREFIX


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


def found_again(given: Given, folder: Path, asked: Given) -> tuple[Given, str]:
    """What a result in `folder` can be computed from again: what is asked for, else what it was given, as seen from
    here; and what of that is not known or gone, in one line, empty where nothing is."""
    known = Given(
        bundle=asked.bundle or _resolved(given.bundle, folder),
        dataset=asked.dataset or given.dataset,
        root=asked.root or _resolved(given.root, folder),
        videos=asked.videos or tuple(_resolved(place, folder) for place in given.videos),
        prompts=asked.prompts or _resolved(given.prompts, folder, beside=True),
    )
    for option in ("bundle", "root"):
        place = getattr(known, option)
        if not place:
            return known, f"the result does not say what --{option} was; give it"
        if "://" in place:
            return known, f"{place} is no folder here; give a copy of it as --{option}"
        if not place.startswith(OPEN_CLIP_PREFIX) and not Path(place).exists():
            return known, f"{place} is gone; say with --{option} where it lies now"
    if Path(known.prompts).suffix and not Path(known.prompts).is_file():
        return known, f"{known.prompts} is gone; say with --prompts where it lies now"
    return known, ""


def _resolved(place: str, folder: Path, *, beside: bool = False) -> str:
    """A path of the receipt as seen from here; a word, and with `beside` all that is no file there, as it is."""
    if not place or place.startswith(OPEN_CLIP_PREFIX) or "://" in place or (beside and not (folder / place).is_file()):
        return place
    return str((folder / place).resolve())


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
