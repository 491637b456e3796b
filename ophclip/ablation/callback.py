"""What Hydra calls when a sweep is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class Summary(Callback):
    """Puts the runs of the sweep side by side."""

    def on_multirun_end(self, config: DictConfig, **_kwargs: Any) -> None:
        """Write table and plot into the folder of the sweep."""
        from ophclip.ablation.summary import summarise

        print(summarise(Path(config.hydra.sweep.dir)))  # noqa: T201
