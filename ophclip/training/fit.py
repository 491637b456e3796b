"""`train(config)`: one run, from a corpus to a bundle, continued where it stopped.

Lightning's Trainer drives the loop, the device and the precision. Checkpoints are our own (see checkpoints.py).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ophclip.config import Precision, TrainConfig, TrainerConfig
from ophclip.data.corpus import open_corpus
from ophclip.data.module import CorpusDataModule
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.progress import Progress
from ophclip.training.callbacks import Checkpointing, Recorder, read_losses
from ophclip.training.chance import derived_seed
from ophclip.training.checkpoints import Checkpoint, newest_checkpoint
from ophclip.training.module import TrainingModule
from ophclip.training.run_folder import RunFolder

TERMINATED = 128 + 15


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

    On a CPU the same seed gives the same bits on the same machine with the same number of threads, whatever the number
    of loader processes and however often the run was stopped. SIGTERM saves a checkpoint after the current step and
    ends the process with status 143.

    Raises:
        ValueError: one line that names the option or file: no corpus, another run in `out`, a missing device.
    """
    folder = RunFolder(Path(config.out))
    accelerator = _accelerator(config.trainer.device)
    fingerprint = open_corpus(config.data).fingerprint
    folder.begin_or_continue(config, fingerprint)
    if folder.finished() is None:
        with _settings(config.trainer, accelerator):
            _run(config, folder, fingerprint, accelerator, progress)
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


def _run(config: TrainConfig, folder: RunFolder, fingerprint: str, accelerator: str, progress: Progress | None) -> None:
    resumed = newest_checkpoint(folder.checkpoints)
    corpus, module = _build(config, resumed)
    recorder = Recorder(folder.metrics, resumed, progress)
    if corpus.start_step < config.trainer.steps:
        callbacks: list[Callback] = [recorder, Checkpointing(folder.checkpoints, resumed, recorder)]
        trainer = _trainer(config, accelerator, corpus.start_step, callbacks)
        try:
            trainer.fit(module, datamodule=corpus)
        except SIGTERMException as error:
            raise SystemExit(TERMINATED) from error
    seconds = recorder.seconds if resumed is None or corpus.start_step < config.trainer.steps else resumed.seconds
    losses = {f"loss, {level} level": f"{loss:.4f}" for level, loss in read_losses(folder.metrics).items()}
    card = {"corpus": fingerprint, "steps": config.trainer.steps, "seed": config.seed, **losses}
    save_bundle(folder.bundle, module.model, config.model, {**card, "ophclip": version("ophclip")})
    folder.finish(config.trainer.steps, round(seconds, 3))


def _build(config: TrainConfig, resumed: Checkpoint | None) -> tuple[CorpusDataModule, TrainingModule]:
    torch.manual_seed(derived_seed(config.seed, 0, "initial weights"))
    corpus = CorpusDataModule(config.data, config.model, config.seed, resumed.step if resumed else 0)
    module = TrainingModule(build_model(config.model), corpus, config)
    if resumed is not None:
        module.load_state_dict(dict(resumed.module))
        module.silent.bank.load_state_dict(resumed.bank)
    return corpus, module


def _trainer(config: TrainConfig, accelerator: str, start_step: int, callbacks: list[Callback]) -> Trainer:
    return Trainer(
        accelerator=accelerator,
        devices=1,
        precision="bf16-mixed" if config.trainer.precision is Precision.BF16 else "32-true",
        max_steps=config.trainer.steps - start_step,
        gradient_clip_val=config.optim.clip_gradient_norm or None,
        callbacks=callbacks,
        default_root_dir=config.out,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _accelerator(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.device: cuda asked for, but torch sees no GPU; use trainer.device=cpu or auto")
    return "gpu" if device != "cpu" and torch.cuda.is_available() else "cpu"


@contextmanager
def _settings(config: TrainerConfig, accelerator: str) -> Iterator[None]:
    """Torch's process-wide settings for the time of the run; the caller's come back afterwards."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    quiet = logging.getLogger("lightning.pytorch")
    level = quiet.level
    with torch.random.fork_rng(), warnings.catch_warnings():
        # Lightning advises more loader processes; how many there are is the user's `data.workers`.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Lightning 2.6 asks torch for tree leaves in a way that torch 2.13 finds old.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        quiet.setLevel(logging.WARNING)
        torch.set_num_threads(config.threads or threads)
        torch.use_deterministic_algorithms(accelerator == "cpu")
        # Nothing here reads memory before it is written; filling it costs a fifth of a step.
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            quiet.setLevel(level)
            memory.fill_uninitialized_memory = filling
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
