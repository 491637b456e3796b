"""Bundles of a run at other moments than its end: before the first step, or from the newest checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ingest.parsing import parse_yaml
from ophclip.composing import typed
from ophclip.config import TrainConfig
from ophclip.models.description import refuse_other_content
from ophclip.objectives import Contrastive
from ophclip.training.checkpoints import newest_checkpoint
from ophclip.training.run_folder import RunFolder

if TYPE_CHECKING:
    from ophclip.models.dual_encoder import DualEncoder

AVERAGE_PREFIX = "_average.module."


def initial_model(config: TrainConfig) -> DualEncoder:
    """The dual encoder as training begins with it: loaded towers, new projections drawn from the seed."""
    import torch

    from ophclip.training.chance import derived_seed

    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(config.seed, 0, "initial weights"))
        return new_model(config)


def new_model(config: TrainConfig, *, pretrained: bool = True) -> DualEncoder:
    """The dual encoder that `config` trains, from loaded weights and torch's own chance."""
    from ophclip.models.dual_encoder import build_model

    return build_model(config.model, pretrained=pretrained, sigmoid=config.loss.contrastive is Contrastive.SIGLIP)


def export_bundle(run: Path, out: Path) -> Path:
    """Write the weights of a run's newest checkpoint as a bundle to `out`; the run may still be going on.

    Raises:
        ValueError: `run` is no run folder or has no checkpoint yet, or `out` is something other than a bundle.
    """
    folder = RunFolder(run)
    config = _config(run)
    refuse_other_content(out)
    checkpoint = newest_checkpoint(folder.checkpoints)
    if checkpoint is None:
        raise ValueError(f"{folder.checkpoints}: no checkpoint yet; wait for trainer.checkpoint_every steps")
    from ophclip.models.bundle import save_bundle
    from ophclip.training.card import run_card, run_options

    model = new_model(config, pretrained=False)
    # The running average, where one is kept, is what a finished run exports too.
    averaged = any(name.startswith(AVERAGE_PREFIX) for name in checkpoint.module)
    prefix = AVERAGE_PREFIX if averaged else "model."
    tensors = {name.removeprefix(prefix): value for name, value in checkpoint.module.items() if name.startswith(prefix)}
    model.load_state_dict(tensors, strict=True)
    card, record = run_card(config, folder, checkpoint.step), folder.training_record()
    save_bundle(out, model, config.model, card, run_options(config), training=record)
    return out


def _config(run: Path) -> TrainConfig:
    path = run / "config.yaml"
    if not path.is_file():
        raise ValueError(f"{run}: no config.yaml here, so this is no run; name the folder given to training as out=")
    try:
        described = OmegaConf.create(parse_yaml(path.read_text(encoding="utf-8")))
        return typed(OmegaConf.merge(OmegaConf.structured(TrainConfig), described), TrainConfig)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({' '.join(str(error).split())}); copy the run anew") from error
    except OmegaConfBaseException as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}; another version of ophclip wrote it") from error
