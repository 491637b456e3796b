"""`python -m ophclip.train +exp=demo data.root=CORPUS`: from Hydra's options to a typed record to a run."""

from __future__ import annotations

import os
import sys

import hydra
from omegaconf import DictConfig

from ophclip.complaints import one_line
from ophclip.composing import config_folder, register, typed
from ophclip.config import TrainConfig
from ophclip.progress import shown
from ophclip.training.ranks import launched_ranks
from ophclip.training.run import train

register()


@hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")
def main(composed: DictConfig) -> None:
    """Train; a user's error is one line on standard error and exit status 2."""
    ranks = launched_ranks()
    # Torch would say of every rank that a clip step left no parameter out.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        config = typed(composed, TrainConfig)
        if ranks is not None and not ranks.is_first:
            train(config)
            return
        with shown("train") as progress:
            result = train(config, progress)
    except (ValueError, OSError) as error:
        if os.environ.get("OPHCLIP_DEBUG"):
            raise
        print(f"ophclip: {one_line(error)}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    print(result.bundle)  # noqa: T201


if __name__ == "__main__":
    main()
