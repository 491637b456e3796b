"""What a run tells the card of its bundle: the corpus and its licences, how far it was trained, with which options."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from ophclip.config import TrainConfig
from ophclip.training.callbacks import read_losses
from ophclip.training.run_folder import RunFolder, plain

_NOT_OF_THE_MODEL = {
    "data": ("root", "workers"),
    "trainer": ("device", "devices", "nodes", "threads", "log_every", "checkpoint_every"),
}
"""Options that say where and how the run was done."""


def run_card(config: TrainConfig, folder: RunFolder, steps: int) -> dict[str, object]:
    """Rows on a run after `steps` of its steps."""
    losses = read_losses(folder.metrics, steps) if folder.metrics.is_file() else {}
    return {
        **folder.corpus(),
        "steps": f"{steps} of {config.trainer.steps}",
        "seed": config.seed,
        **{f"loss, {level} level": f"{loss:.4f}" for level, loss in losses.items()},
        "written": datetime.now(UTC).date().isoformat(),
        "ophclip": version("ophclip"),
    }


def run_options(config: TrainConfig) -> dict[str, Any]:
    """The options that made the model, without any path of this machine; the model's own stand in its configuration."""
    options = {name: value for name, value in plain(config).items() if name not in ("out", "model")}
    for group, names in _NOT_OF_THE_MODEL.items():
        options[group] = {name: value for name, value in options[group].items() if name not in names}
    return options
