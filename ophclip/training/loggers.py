"""Where the rows of `metrics.csv` go besides: Lightning's loggers, all into the run folder, none to a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from ophclip.config import MetricsLogger


def build_loggers(wanted: Sequence[MetricsLogger], out: Path) -> list[Logger]:
    """The loggers of a run in `out`.

    Raises:
        ValueError: one line that names a logger whose package is not installed.
    """
    return [_build(kind, out) for kind in wanted]


def _build(kind: MetricsLogger, out: Path) -> Logger:
    if kind is MetricsLogger.TENSORBOARD:
        return TensorBoardLogger(save_dir=out, name="tensorboard", version="")
    if find_spec(kind.value) is None:
        raise ValueError(f"trainer.loggers: {kind.value} is not installed; pip install {kind.value}, or leave it out")
    if kind is MetricsLogger.WANDB:
        return WandbLogger(project="ophclip", name=out.name, save_dir=out, offline=True)
    return MLFlowLogger(
        experiment_name="ophclip", run_name=out.name, tracking_uri=f"sqlite:///{out.absolute() / 'mlflow.db'}"
    )
