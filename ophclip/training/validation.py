"""Zero-shot recognition while training goes on: the figures of `ophclip zeroshot` every so many steps."""

# ruff: noqa: ARG002 -- Lightning names the arguments of its hooks
from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from ophclip.config import ModelConfig, ValidationConfig, ZeroShotConfig
from ophclip.data.tokenizer import build_tokenizer
from ophclip.evaluation.prompts import PromptSet
from ophclip.evaluation.records import PhaseDataset, PresenceDataset
from ophclip.evaluation.runs import DatasetKind, prompts_for, read_dataset
from ophclip.evaluation.similarity import open_store
from ophclip.evaluation.zeroshot import evaluate_phases, evaluate_presence
from ophclip.models.bundle import Loaded
from ophclip.models.preprocess import build_preprocess
from ophclip.training.callbacks import Recorder
from ophclip.training.module import TrainingModule

LEVEL = "validation"
_QUICK = ZeroShotConfig(bootstrap_samples=1, chance_samples=1)


def build_validation(config: ValidationConfig, model: ModelConfig, recorder: Recorder) -> Validation | None:
    """The callback that `config` asks for, None if it names no dataset. Reads labels and prompts, so that a mistake
    in them is told before the first step.

    Raises:
        ValueError: one line that names an unknown dataset, a missing file or a label without prompt.
    """
    if not config.dataset:
        return None
    known = [kind.value for kind in DatasetKind]
    if config.dataset not in known:
        raise ValueError(f"validation.dataset: {config.dataset!r} given, expected one of {', '.join(known)}")
    kind = DatasetKind(config.dataset)
    dataset = read_dataset(kind, Path(config.root))
    if isinstance(dataset, PhaseDataset) and config.split:
        dataset = dataset.only(config.split)
    return Validation(dataset, prompts_for(kind, config.prompts), config.every, model, recorder)


class Validation(Callback):
    """Scores the weights that would be exported, every `every` steps and after the last one."""

    def __init__(
        self,
        dataset: PhaseDataset | PresenceDataset,
        prompts: PromptSet,
        every: int,
        model: ModelConfig,
        recorder: Recorder,
    ) -> None:
        self._dataset = dataset
        self._prompts = prompts.for_labels(dataset.classes, distinct=isinstance(dataset, PhaseDataset))
        self._every = every
        self._model = model
        self._recorder = recorder

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score when it is time."""
        assert isinstance(pl_module, TrainingModule)
        done = pl_module.current + 1
        if done % self._every == 0 or done == pl_module.config.trainer.steps:
            self._recorder.write_row(trainer, {"step": done, "level": LEVEL, **self._figures(pl_module)})
            self._recorder.clock_on()

    def _figures(self, module: TrainingModule) -> dict[str, float]:
        model, training = module.exported, module.exported.training
        loaded = Loaded(
            model=model.eval(),
            preprocess=build_preprocess(self._model.visual),
            tokenizer=build_tokenizer(self._model.text),
            config=self._model,
            weights_sha256="",
        )
        try:
            store = open_store(loaded, _QUICK)
            if isinstance(self._dataset, PresenceDataset):
                presence = evaluate_presence(store, self._dataset, self._prompts, _QUICK)
                return {"mean_average_precision": presence.mean_average_precision.mean}
            phases = evaluate_phases(store, self._dataset, self._prompts, _QUICK)
            return {"accuracy": phases.summary["accuracy"].mean, "f1": phases.summary["f1"].mean}
        finally:
            model.train(training)
