"""`train(config)`: one run, from a corpus to a bundle, continued where it stopped.

What was given is looked at before torch is loaded, so that a mistake is told at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ophclip.config import TrainConfig
from ophclip.data.files import open_corpus, require_files
from ophclip.progress import Progress
from ophclip.training.contents import corpus_contents
from ophclip.training.ranks import launched_ranks
from ophclip.training.run_folder import RunFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainResult:
    """Where a run left what it made."""

    out: Path
    bundle: Path
    metrics: Path
    steps: int
    seconds: float
    """Time of the steps, over all sittings of the run."""


def train(config: TrainConfig, progress: Progress | None = None) -> TrainResult:
    """Train as `config` says into `config.out`; a finished run is left as it is, an unfinished one goes on.

    Several devices train one model on the batches of one (`trainer.devices`); a run may go on with another number of
    them. On a CPU the same seed gives the same bits on the same machine with the same number of threads and processes,
    whatever the number of loader processes and however often the run was stopped. SIGTERM to any of its processes saves
    a checkpoint after the current step and ends all of them with status 143.

    Raises:
        ValueError: one line that names the option or file: no corpus, another run in `out`, a missing device.
    """
    folder, launched = RunFolder(Path(config.out)), launched_ranks()
    if launched is None or launched.is_first:
        corpus = open_corpus(config.data)
        if folder.finished() is None:
            require_files(config.model)
        folder.begin_or_continue(config, corpus.fingerprint, partial(corpus_contents, corpus))
    if folder.finished() is None:
        from ophclip.training.fit import fit

        fit(config, folder, progress, launched)
    facts = folder.finished()
    if facts is None:
        raise ValueError(f"{folder.out}: the bundle vanished while the run was ending; run the same command again")
    return TrainResult(
        out=folder.out,
        bundle=folder.bundle,
        metrics=folder.metrics,
        steps=int(facts["steps"]),
        seconds=float(facts["seconds"]),
    )
