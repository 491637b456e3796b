"""The steps of a run: Lightning's Trainer drives the loop, the device and the precision.

Checkpoints are our own (see checkpoints.py).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ingest import atomic
from ophclip.config import Precision, TrainConfig, TrainerConfig
from ophclip.data.files import named_files
from ophclip.data.hub import fetch_missing
from ophclip.data.module import CorpusDataModule
from ophclip.models.bundle import save_bundle
from ophclip.objectives import Contrastive
from ophclip.progress import Progress
from ophclip.training.callbacks import Checkpointing, Recorder
from ophclip.training.card import run_card, run_options
from ophclip.training.chance import derived_seed
from ophclip.training.checkpoints import Checkpoint, newest_checkpoint
from ophclip.training.export import new_model
from ophclip.training.loggers import build_loggers
from ophclip.training.module import NonFiniteLossError, TrainingModule
from ophclip.training.run_folder import RunFolder
from ophclip.training.validation import build_validation

TERMINATED = 128 + 15
NOT_FINITE_NAME = "nonfinite.json"


def fit(config: TrainConfig, folder: RunFolder, progress: Progress | None) -> None:
    """Train from the newest checkpoint, or from the beginning, to the bundle of the run that `folder` holds.

    Raises:
        ValueError: one line that names the option: a missing device, too few samples.
    """
    accelerator = _accelerator(config.trainer.device)
    if config.model.download:
        fetch_missing(list(named_files(config.model).values()))
    with _settings(config.trainer, accelerator):
        _run(config, folder, accelerator, progress)


def _run(config: TrainConfig, folder: RunFolder, accelerator: str, progress: Progress | None) -> None:
    resumed = newest_checkpoint(folder.checkpoints)
    corpus, module = _build(config, resumed)
    recorder = Recorder(folder.metrics, resumed, progress)
    validation = build_validation(config.validation, config.data, config.model, recorder)
    if corpus.start_step < config.trainer.steps:
        checkpointing = Checkpointing(folder.checkpoints, resumed, recorder)
        callbacks: list[Callback] = [recorder, *([validation] if validation else []), checkpointing]
        trainer = _trainer(config, accelerator, corpus.start_step, callbacks)
        try:
            trainer.fit(module, datamodule=corpus)
        except SIGTERMException as error:
            raise SystemExit(TERMINATED) from error
        except NonFiniteLossError as error:
            atomic.write_json(folder.out / NOT_FINITE_NAME, error.record)
            raise ValueError(
                f"{error}: its sample keys stand in {folder.out / NOT_FINITE_NAME}, the last checkpoint is whole; "
                "look at these samples, or train with a lower optim.learning_rate"
            ) from error
    seconds = recorder.seconds if resumed is None or corpus.start_step < config.trainer.steps else resumed.seconds
    card = run_card(config, folder, config.trainer.steps)
    save_bundle(folder.bundle, module.exported, config.model, card, run_options(config))
    folder.finish(config.trainer.steps, round(seconds, 3))


def _build(config: TrainConfig, resumed: Checkpoint | None) -> tuple[CorpusDataModule, TrainingModule]:
    torch.manual_seed(derived_seed(config.seed, 0, "initial weights"))
    texts = config.loss.contrastive is not Contrastive.NONE
    corpus = CorpusDataModule(config.data, config.model, config.seed, resumed.step if resumed else 0, texts=texts)
    module = TrainingModule(new_model(config), corpus, config)
    if resumed is not None:
        module.load_state_dict(dict(resumed.module))
        module.silent.bank.load_state_dict(resumed.bank)
    if config.trainer.compile:
        module.model.visual.compile()
        module.model.text.compile()
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
        logger=build_loggers(config.trainer.loggers, Path(config.out)),
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
