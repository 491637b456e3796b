"""What a bundle says of its training: of which corpus, and which videos may have been drawn, by id and content.

BUNDLE/training.json holds ids and checksums, no titles and no paths; evaluation looks there for videos that were seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest.parsing import parse_json

RECORD_NAME = "training.json"
_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingRecord:
    """The videos of one training."""

    corpus: str
    """Fingerprint of the corpus."""
    videos: Mapping[str, str]
    """Id -> SHA-256 of the file, empty where the corpus does not say."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Those of the training, without any path."""

    def to_json(self) -> dict[str, Any]:
        """Plain tree."""
        return {"version": _VERSION, **asdict(self)}


def read_training_record(folder: Path) -> TrainingRecord | None:
    """What stands in a bundle or run folder; None where nothing does.

    Raises:
        ValueError: a record that cannot be read.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        tree = parse_json(path.read_text(encoding="utf-8"))
        if tree["version"] != _VERSION:
            raise ValueError(f"version {tree['version']} found, {_VERSION} expected")
        videos = {str(name): str(sha256) for name, sha256 in tree["videos"].items()}
        return TrainingRecord(corpus=str(tree["corpus"]), videos=videos, options=tree["options"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no record of a training ({error}); copy the bundle anew") from error
