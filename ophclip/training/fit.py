"""The steps of a run: Lightning's Trainer drives the loop, the device and the precision.

Checkpoints are our own (see checkpoints.py).
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import distributed

from ingest import atomic
from ophclip.config import Precision, RankStrategy, TrainConfig, TrainerConfig
from ophclip.data.corpus import drawn_videos
from ophclip.data.files import named_files
from ophclip.data.hub import fetch_missing
from ophclip.data.module import CorpusDataModule
from ophclip.losses.gather import wait_for_all
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import DualEncoder
from ophclip.models.training_record import read_training_record
from ophclip.objectives import Contrastive
from ophclip.progress import Progress
from ophclip.training.alike import UnlikeRanksError
from ophclip.training.callbacks import Checkpointing, Ending, Recorder, Restoring
from ophclip.training.card import run_card, run_options
from ophclip.training.chance import derived_seed
from ophclip.training.checkpoints import Checkpoint, newest_checkpoint
from ophclip.training.export import new_model
from ophclip.training.loggers import build_loggers
from ophclip.training.module import NonFiniteLossError, TrainingModule
from ophclip.training.ranks import TERMINATED, Ranks, lost_ranks_told, together, wanted_ranks
from ophclip.training.run_folder import NOT_FINITE_NAME, RunFolder
from ophclip.training.validation import build_validation


def fit(config: TrainConfig, folder: RunFolder, progress: Progress | None, ranks: Ranks | None = None) -> None:
    """Train from the newest checkpoint, or from the beginning, to the bundle of the run that `folder` holds.

    `ranks` says which process this is, where others were started beside it.

    Raises:
        ValueError: one line that names the option: a missing device, too few samples.
    """
    accelerator = accelerator_of(config.trainer.device)
    if ranks is None or ranks.launched:
        ranks = wanted_ranks(config.trainer, _devices(config.trainer, accelerator), ranks)
    if config.model.download:
        fetch_missing(list(named_files(config.model).values()))
    with settings(config.trainer, accelerator, ranks):
        _run(config, folder, progress, ranks)


def _run(config: TrainConfig, folder: RunFolder, progress: Progress | None, ranks: Ranks) -> None:
    resumed = newest_checkpoint(folder.checkpoints)
    if resumed is None or resumed.step < config.trainer.steps:
        with lost_ranks_told(config.trainer, ranks), together(config, ranks):
            _train(config, folder, progress, ranks, resumed)
    elif ranks.is_first:
        _, module = _build(config, resumed)
        _finish(config, folder, module.exported, resumed.seconds)
    else:
        while folder.finished() is None:
            time.sleep(0.2)


def _train(
    config: TrainConfig, folder: RunFolder, progress: Progress | None, ranks: Ranks, resumed: Checkpoint | None
) -> None:
    corpus, module = _build(config, resumed)
    if ranks.is_first:
        texts = config.loss.contrastive is not Contrastive.NONE
        drawn = drawn_videos(corpus.reader, config.data.silent_share, texts=texts)
        folder.note_videos({**_seen_before(config), **drawn})
    recorder = Recorder(folder.metrics, resumed, progress) if ranks.is_first else None
    validation = build_validation(config.validation, config.data, config.model, recorder)
    callbacks = [Restoring(resumed), recorder, validation, Checkpointing(folder.checkpoints, recorder), Ending()]
    trainer = build_trainer(config, corpus.start_step, [one for one in callbacks if one is not None], ranks)
    try:
        trainer.fit(module, datamodule=corpus)
        exported = module.exported
        if recorder is not None:
            _finish(config, folder, exported, recorder.seconds)
        wait_for_all()
    except SIGTERMException as error:
        raise SystemExit(TERMINATED) from error
    except UnlikeRanksError as error:
        if not ranks.is_first:
            raise SystemExit(2) from error
        raise
    except NonFiniteLossError as error:
        if not ranks.is_first:
            raise SystemExit(2) from error
        atomic.write_json(folder.out / NOT_FINITE_NAME, error.record)
        raise ValueError(
            f"{error}: its sample keys stand in {folder.out / NOT_FINITE_NAME}, the last checkpoint is whole; "
            "look at these samples, or train with a lower optim.learning_rate"
        ) from error


def _seen_before(config: TrainConfig) -> dict[str, str]:
    """The videos that bundles were trained on with whose weights this training begins."""
    places = [Path(name) for name in named_files(config.model).values()]
    records = (read_training_record(place if place.is_dir() else place.parent) for place in places)
    return {video_id: sha256 for record in records if record is not None for video_id, sha256 in record.videos.items()}


def _finish(config: TrainConfig, folder: RunFolder, exported: DualEncoder, seconds: float) -> None:
    card = run_card(config, folder, config.trainer.steps)
    record = folder.training_record()
    save_bundle(folder.bundle, exported, config.model, card, run_options(config), training=record)
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


def build_trainer(config: TrainConfig, start_step: int, callbacks: list[Callback], ranks: Ranks) -> Trainer:
    return Trainer(
        accelerator=accelerator_of(config.trainer.device),
        devices=ranks.of_machine,
        num_nodes=ranks.machines,
        strategy=_strategy(config.trainer, ranks.total) if ranks.total > 1 else "auto",
        plugins=None if ranks.total == 1 or ranks.launched else LightningEnvironment(),
        precision="bf16-mixed" if config.trainer.precision is Precision.BF16 else "32-true",
        max_steps=config.trainer.steps - start_step,
        gradient_clip_val=config.optim.clip_gradient_norm or None,
        callbacks=callbacks,
        default_root_dir=config.out,
        logger=build_loggers(config.trainer.loggers, Path(config.out)) if ranks.is_first else False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _strategy(config: TrainerConfig, ranks: int) -> Strategy:
    timeout = timedelta(minutes=config.timeout_minutes)
    if config.strategy is RankStrategy.FSDP:
        return ModelParallelStrategy(data_parallel_size=ranks, tensor_parallel_size=1, timeout=timeout)
    # A step trains what its level uses: the head of the views rests at video level, the fusion at clip level.
    return DDPStrategy(find_unused_parameters=True, timeout=timeout)


def accelerator_of(device: str) -> str:
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("trainer.device: cuda asked for, but torch sees no GPU; use trainer.device=cpu or auto")
    return "gpu" if device != "cpu" and torch.cuda.is_available() else "cpu"


def _devices(config: TrainerConfig, accelerator: str) -> int:
    """Devices of this machine to train on."""
    there = torch.cuda.device_count() if accelerator == "gpu" else 1
    if accelerator == "gpu" and config.devices > there:
        raise ValueError(f"trainer.devices: {config.devices} given, but torch sees {there} GPUs; 0 takes all there are")
    return config.devices or there


@contextmanager
def settings(config: TrainerConfig, accelerator: str, ranks: Ranks) -> Iterator[None]:
    """Torch's process-wide settings for the time of the run; the caller's come back afterwards."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filling = memory.fill_uninitialized_memory
    # Lightning's log, and what the first rank has said already.
    quiet = {
        logging.getLogger("lightning.pytorch"): logging.WARNING,
        logging.getLogger("lightning.fabric"): logging.WARNING,
    }
    quiet |= {} if ranks.is_first else {logging.getLogger("ophclip"): logging.ERROR}
    levels = {logger: logger.level for logger in quiet}
    with torch.random.fork_rng(), warnings.catch_warnings():
        # Lightning advises more loader processes; how many there are is the user's `data.workers`.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # What is frozen is meant to be in evaluation (models/towers.py).
        warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")
        # Lightning 2.6 asks torch for tree leaves in a way that torch 2.13 finds old.
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
        for logger, level in quiet.items():
            logger.setLevel(level)
        # On a CPU the processes of a machine share its cores.
        torch.set_num_threads(config.threads or max(1, threads // (ranks.of_machine if accelerator == "cpu" else 1)))
        torch.use_deterministic_algorithms(accelerator == "cpu")
        # Nothing here reads memory before it is written; filling it costs a fifth of a step.
        memory.fill_uninitialized_memory = False
        try:
            yield
        finally:
            if distributed.is_initialized() and ranks.total > 1:
                distributed.destroy_process_group()
            for logger, level in levels.items():
                logger.setLevel(level)
            memory.fill_uninitialized_memory = filling
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
