"""What a run tells the card of its bundle: the corpus and its licences, how far it was trained, with which options."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.config import TrainConfig
from ophclip.training.callbacks import read_losses
from ophclip.training.run_folder import RunFolder, plain

_NOT_OF_THE_MODEL = {"data": ("root", "workers"), "trainer": ("device", "threads", "log_every", "checkpoint_every")}
"""Options that say where and how the run was done."""


def corpus_contents(reader: ShardReader) -> dict[str, str]:
    """Rows on a corpus: its videos and clips, and how many videos came under which licence."""
    first_keys: dict[str, str] = {}
    narrated: dict[str, bool] = {}
    for level in (Level.VIDEO, *Level):
        for entry in reader.entries(level):
            first_keys.setdefault(entry.video_id, entry.key)
            narrated[entry.video_id] = entry.narrated
    licences = Counter(str(reader.facts(key)["license"]).strip() or "none given" for key in first_keys.values())
    counts = f"{sum(narrated.values())} narrated, {len(narrated) - sum(narrated.values())} silent"
    return {
        "videos": counts,
        "clips": str(len(reader.entries(Level.CLIP))),
        "licences of the videos": "; ".join(f"{name}: {count}" for name, count in licences.most_common()),
    }


def run_card(config: TrainConfig, folder: RunFolder, steps: int) -> dict[str, object]:
    """Rows on a run after `steps` of its steps."""
    losses = read_losses(folder.metrics, steps) if folder.metrics.is_file() else {}
    return {
        **folder.corpus(),
        "steps": f"{steps} of {config.trainer.steps}",
        "seed": config.seed,
        **{f"loss, {level} level": f"{loss:.4f}" for level, loss in losses.items()},
        "written": datetime.now(timezone.utc).date().isoformat(),
        "ophclip": version("ophclip"),
    }


def run_options(config: TrainConfig) -> dict[str, Any]:
    """The options that made the model, without any path of this machine; the model's own stand in its configuration."""
    options = {name: value for name, value in plain(config).items() if name not in ("out", "model")}
    for group, names in _NOT_OF_THE_MODEL.items():
        options[group] = {name: value for name, value in options[group].items() if name not in names}
    return options
