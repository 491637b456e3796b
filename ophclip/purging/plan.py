"""What a purge sets out to do, counted before anything is removed: a run that was killed knows it all again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest import atomic
from ingest.ledger import INTENT_NAME
from ingest.removal import Held


@dataclass(frozen=True, kw_only=True, slots=True)
class Folders:
    """Where to look, as the command was told; absolute."""

    corpus: str = ""
    """Empty without one."""
    indices: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    """Run folders and bundles."""
    caches: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    """They are named, and but for cached pictures left as they are."""

    @property
    def home(self) -> Path:
        """Where the record is kept: the corpus, else the first index."""
        return Path(self.corpus or self.indices[0])

    @property
    def cleaned(self) -> tuple[str, ...]:
        """Those in which nothing of the video may be left."""
        return (*([self.corpus] if self.corpus else ()), *self.indices, *self.runs, *self.caches)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """Who answers for it."""

    by: str
    reason: str
    at: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A training that may have drawn the video; its weights cannot be made to forget it."""

    folder: str
    corpus_fingerprint: str
    weights_sha256: str = ""
    """Of the bundle in it; empty where there is none."""
    checkpoints: tuple[str, ...] = ()
    """Names of the files in `checkpoints/`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BankRows:
    """The rows of the video in the knowledge bank of one checkpoint."""

    checkpoint: str
    rows: int
    """Of the whole bank, as it was."""
    places: tuple[int, ...]
    """Empty: it is not known which, and the whole bank is emptied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that will be removed, what stays, and how it will be known that nothing was left."""

    purge: str
    """Drawn at random for this purge."""
    video_id: str
    signed: Signed
    folders: Folders
    video_ids: tuple[str, ...]
    """The video and its copies, under all their names."""
    contents: tuple[str, ...]
    """SHA-256 of their files."""
    held: Held | None = None
    """In the corpus."""
    windows: Mapping[str, int] = field(default_factory=dict)
    """Windows by index folder."""
    cached: tuple[str, ...] = ()
    """Files of caches."""
    records: tuple[str, ...] = ()
    """Folders whose training.json names the video; the name is replaced by the hash."""
    seen: tuple[Seen, ...] = ()
    silent: tuple[str, ...] = ()
    """Folders that do not say what their weights were trained on."""
    bank_rows: tuple[BankRows, ...] = ()
    results: tuple[str, ...] = ()
    """Folders of results that were made on the video."""
    texts: tuple[str, ...] = ()
    """What nobody else's records say, by which the scan looks for leftovers."""
    pictures: tuple[str, ...] = ()
    """Pieces of thumbnails for the same, in hexadecimal."""

    def write(self) -> None:
        """Note the intent, readable for its owner only."""
        path = self.folders.home / INTENT_NAME
        for draft in path.parent.glob(f".{INTENT_NAME}.*.part"):  # of a run that was killed while it wrote this
            draft.unlink()
        atomic.write_json(path, asdict(self))
        path.chmod(0o600)

    @property
    def removed(self) -> dict[str, int]:
        """Counts of what is removed, by what and where, without content."""
        held = self.held
        counts = {f"manifest: {table}": count for table, count in (held.rows if held else {}).items()}
        counts |= {
            f"shards: samples of level {level}": count for level, count in (held.samples if held else {}).items()
        }
        counts |= {"shards: tars written anew or dropped": len(held.shards), "files": len(held.files)} if held else {}
        counts |= {f"index {Path(folder).name}: windows": count for folder, count in self.windows.items()}
        counts |= {"cached files": len(self.cached), "names in training records": len(self.records)}
        counts["bank rows"] = sum(len(one.places) or one.rows for one in self.bank_rows)
        return {name: count for name, count in counts.items() if count}

    def lines(self) -> Iterator[str]:
        """For people: what is removed, what is left, which weights saw it."""
        copies = [one for one in self.video_ids if one != self.video_id]
        yield f"{self.video_id}" + (f", and its copies {', '.join(copies)}" if copies else "")
        yield from (f"  removed  {count} {what}" for what, count in self.removed.items())
        for one in self.seen:
            weights = f" (weights {one.weights_sha256[:12]})" if one.weights_sha256 else ""
            yield f"  saw it   {one.folder}{weights} {' '.join(one.checkpoints)}".rstrip()
        yield from (f"  may have seen it: {folder} does not say what it was trained on" for folder in self.silent)
        yield from (f"  contains it, left as it is: results in {folder}" for folder in self.results)
        if self.held is not None:
            yield from (f"  left to its owner: {path}" for path in self.held.left)
            if self.held.repeat_of:
                yield f"  kept: {self.held.repeat_of}, of which it was refused as a repeat, shows the same recording"


def read_plan(home: Path) -> Plan | None:
    """The plan of a purge that has not ended, None without one.

    Raises:
        ValueError: it cannot be read.
    """
    path = home / INTENT_NAME
    if not path.is_file():
        return None
    try:
        return _plan(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); remove it and run the same command again") from error


def _plan(tree: dict[str, Any]) -> Plan:
    kinds: dict[str, type[Any]] = {"seen": Seen, "bank_rows": BankRows}
    values = {key: _tuples(value) for key, value in tree.items()}
    for key, kind in kinds.items():
        values[key] = tuple(kind(**_inner(one)) for one in tree[key])
    values["signed"], values["folders"] = Signed(**tree["signed"]), Folders(**_inner(tree["folders"]))
    values["held"] = None if tree["held"] is None else Held(**_inner(tree["held"]))
    return Plan(**values)


def _inner(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _tuples(value) for key, value in tree.items()}


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
