"""`python -m ophclip.train +exp=demo data.root=CORPUS`: from Hydra's options to a typed record to a run."""

from __future__ import annotations

import os
import sys

import hydra
from omegaconf import DictConfig

from ophclip.composing import config_folder, register, typed
from ophclip.config import TrainConfig
from ophclip.progress import shown
from ophclip.training.run import train

register()


@hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="train")
def main(composed: DictConfig) -> None:
    """Train; a user's error is one line on standard error and exit status 2."""
    try:
        config = typed(composed, TrainConfig)
        with shown("train") as progress:
            result = train(config, progress)
    except (ValueError, OSError) as error:
        if os.environ.get("OPHCLIP_DEBUG"):
            raise
        print(f"ophclip: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    print(result.bundle)  # noqa: T201


if __name__ == "__main__":
    main()
