"""The folder of one run: what it was begun with, whether it is finished, and where its parts lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ingest import atomic
from ingest.ledger import read_ledger
from ingest.parsing import parse_json
from ophclip.config import TrainConfig
from ophclip.models.training_record import RECORD_NAME, TrainingRecord, read_training_record

FORMAT_VERSION = 1
NOT_FINITE_NAME = "nonfinite.json"
"""What is noted of a step whose loss was not a number."""
MAY_CHANGE = frozenset(
    {
        "out",
        "data.root",
        "data.cache",
        "data.cache_gb",
        "data.workers",
        "model.download",
        "trainer.device",
        "trainer.devices",
        "trainer.nodes",
        "trainer.strategy",
        "trainer.timeout_minutes",
        "trainer.threads",
        "trainer.log_every",
        "trainer.checkpoint_every",
        "trainer.loggers",
        "validation",
    }
)
"""Options that say where and how a run is done, not what is trained: a run may be continued with other ones."""


class RunFolder:
    """`OUT`: config.yaml, run.json, training.json, metrics.csv, checkpoints/, bundle/."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.bundle = out / "bundle"
        self.metrics = out / "metrics.csv"
        self.checkpoints = out / "checkpoints"
        self._record = out / "run.json"

    def begin_or_continue(
        self, config: TrainConfig, fingerprint: str, contents: Callable[[], Mapping[str, str]]
    ) -> None:
        """Note what the run is begun with, or see that a run that stands here was begun with the same.

        Args:
            config: its options.
            fingerprint: of its corpus.
            contents: says what the corpus holds, for the card of the bundle; asked only if the run begins.

        Raises:
            ValueError: another option or corpus than the run's, names it; or a folder that cannot be written.
        """
        if self._record.is_file():
            self._refuse_changes(self._read(), config, fingerprint)
            return
        content = {
            "version": FORMAT_VERSION,
            "config": plain(config),
            "corpus": fingerprint,
            "corpus_contents": dict(contents()),
            "finished": None,
        }
        try:
            atomic.write_text(self.out / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain(config))))
            atomic.write_json(self._record, content)
        except OSError as error:
            raise ValueError(f"out: {self.out} cannot be written ({error.strerror}); give another folder") from error

    def begun(self) -> Mapping[str, Any]:
        """What the run was begun with: `config` and, under `corpus`, the fingerprint of its corpus."""
        return self._read()

    def corpus(self) -> dict[str, str]:
        """Fingerprint and contents of the corpus that the run was begun with."""
        content = self._read()
        return {"corpus": content["corpus"], **content.get("corpus_contents", {})}

    def note_videos(self, videos: Mapping[str, str]) -> None:
        """Note which videos the run may draw, id -> SHA-256, unless that is known."""
        if not (self.out / RECORD_NAME).is_file():
            record = TrainingRecord(corpus=self._read()["corpus"], videos=videos)
            atomic.write_json(self.out / RECORD_NAME, record.to_json())

    def training_record(self) -> TrainingRecord | None:
        """Which videos the run may draw; None for one that another version began."""
        return read_training_record(self.out)

    def finished(self) -> Mapping[str, Any] | None:
        """Steps and seconds of a run that is done and whose bundle is there, else None."""
        facts: Mapping[str, Any] | None = self._read()["finished"] if self._record.is_file() else None
        return facts if self.bundle.is_dir() else None

    def finish(self, steps: int, seconds: float) -> None:
        """Note that the run is done."""
        atomic.write_json(self._record, {**self._read(), "finished": {"steps": steps, "seconds": seconds}})

    def _read(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = parse_json(self._record.read_text(encoding="utf-8"))
            if content["version"] == FORMAT_VERSION and isinstance(content["config"], dict) and "finished" in content:
                return content
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._record}: not readable ({error}); give another out=FOLDER") from error
        raise ValueError(f"{self._record}: written by another version of ophclip; give another out=FOLDER")

    def _refuse_changes(self, begun: Mapping[str, Any], config: TrainConfig, fingerprint: str) -> None:
        remedy = f"give another out=FOLDER, or delete {self.out} to begin anew"
        before, now = dict(_flat(begun["config"])), dict(_flat(plain(config)))
        for option in sorted(before.keys() | now.keys()):
            if option in MAY_CHANGE or option.partition(".")[0] in MAY_CHANGE:
                continue
            if before.get(option) != now.get(option):
                words = f"{now.get(option)} given, but the run in {self.out} was begun with {before.get(option)}"
                raise ValueError(f"{option}: {words}; {remedy}")
        if begun["corpus"] != fingerprint:
            purged = _purged_since(begun["corpus"], config.data.root)
            words = f"not the corpus that the run in {self.out} was begun with{purged}"
            raise ValueError(f"data.root: {words}; {remedy}")


def _purged_since(fingerprint: str, root: str) -> str:
    """What was purged from a corpus since it had this fingerprint, in words; nothing where that is not known."""
    lines = read_ledger(Path(root))
    first = next((number for number, line in enumerate(lines) if line["corpus_before"] == fingerprint), len(lines))
    dates = sorted({line["when"][:10] for line in lines[first:]})
    return f": {len(lines) - first} video(s) were purged from it since ({', '.join(dates)})" if dates else ""


def plain(config: TrainConfig) -> dict[str, Any]:
    """The options as plain values, words for enums."""
    values: dict[str, Any] = _plain(dataclasses.asdict(config))
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
