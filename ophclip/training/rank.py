"""`python -m ophclip.training.rank`: one of the ranks that the first rank of a run starts on its machine.

The first line of standard input is its job; when the rest of it ends, the first rank has ended, and so does this one.
What a user should know of an error is written to standard output, for the first rank to tell.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Thread

from omegaconf import OmegaConf

from ophclip.composing import typed
from ophclip.config import TrainConfig
from ophclip.training.ranks import Ranks
from ophclip.training.run_folder import RunFolder


def main() -> None:
    """Take part in the run that standard input describes."""
    job = json.loads(sys.stdin.readline())
    Thread(target=_end_with_the_first, daemon=True).start()
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    config = typed(OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.create(job["config"])), TrainConfig)
    from ophclip.training.fit import fit

    try:
        fit(config, RunFolder(Path(config.out)), None, Ranks(rank=job["rank"], of_machine=job["ranks"]))
    except (ValueError, OSError) as error:
        told.write(str(error))
        told.flush()
        sys.exit(2)


def _end_with_the_first() -> None:
    # Not through sys.stdin, whose lock a forked loader process would wait for.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
