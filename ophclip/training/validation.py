"""Recognition and retrieval on held-out videos while training goes on, by the protocols of the evaluation."""

# ruff: noqa: ARG002 -- Lightning names the arguments of its hooks
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.config import DataConfig, ZeroShotConfig
from ophclip.data.files import open_corpus
from ophclip.data.tokenizer import build_tokenizer
from ophclip.evaluation.crossmodal import evaluate_pairs
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.prompts import PromptSet
from ophclip.evaluation.records import PhaseDataset, PresenceDataset
from ophclip.evaluation.runs import prompts_for, read_dataset
from ophclip.evaluation.similarity import open_store
from ophclip.evaluation.splits import only
from ophclip.evaluation.zeroshot import evaluate_phases
from ophclip.evaluation.zeroshot_presence import evaluate_presence
from ophclip.model_options import ModelConfig
from ophclip.models.bundle import Loaded
from ophclip.models.dual_encoder import DualEncoder
from ophclip.models.preprocess import build_preprocess
from ophclip.monitoring import NARRATIONS, TITLES, ValidationConfig, ValidationSet
from ophclip.training.callbacks import Recorder
from ophclip.training.module import TrainingModule

_QUICK = ZeroShotConfig(bootstrap_samples=1, chance_samples=1)
_LEVELS = {TITLES: Level.VIDEO, NARRATIONS: Level.CLIP}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recognition:
    """Labelled videos and what is said about their classes."""

    dataset: PhaseDataset | PresenceDataset
    prompts: PromptSet

    def figures(self, store: EmbeddingStore) -> dict[str, float]:
        if isinstance(self.dataset, PresenceDataset):
            presence = evaluate_presence(store, self.dataset, self.prompts, _QUICK)
            return {"mean_average_precision": presence.mean_average_precision.mean}
        phases = evaluate_phases(store, self.dataset, self.prompts, _QUICK)
        return {"accuracy": phases.summary["accuracy"].mean, "f1": phases.summary["f1"].mean}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Retrieval:
    """Texts of a held-out corpus that look for their pictures."""

    reader: ShardReader
    level: Level
    frames: int

    def figures(self, store: EmbeddingStore) -> dict[str, float]:
        assert isinstance(store.model, Loaded)
        found = evaluate_pairs(store.model, self.reader, self.level, self.frames).text_to_visual
        return {**{f"recall_at_{k}": share for k, share in found.at.items()}, "median_rank": found.median_rank}


_Task: TypeAlias = _Recognition | _Retrieval


def build_validation(
    config: ValidationConfig, data: DataConfig, model: ModelConfig, recorder: Recorder | None
) -> Validation | None:
    """The callback that `config` asks for, None if it names no set. Reads labels and prompts, so that a mistake in them
    is told before the first step. Without a recorder it scores nothing and takes part where weights are put together.

    Raises:
        ValueError: one line that names the set, and a missing file or a label without prompt.
    """
    if not config.sets:
        return None
    tasks = {} if recorder is None else {one.name: _task(one, data) for one in config.sets}
    return Validation(tasks, config.every, model, recorder)


def _task(one: ValidationSet, data: DataConfig) -> _Task:
    try:
        return _recognition(one) if one.dataset not in _LEVELS else _retrieval(one, data)
    except ValueError as error:
        raise ValueError(f"validation.sets: {one.name}: {error}") from error


def _retrieval(one: ValidationSet, data: DataConfig) -> _Retrieval:
    level = _LEVELS[one.dataset]
    reader = open_corpus(DataConfig(root=one.root, cache=data.cache, cache_gb=data.cache_gb))
    frames = data.video_frames if level is Level.VIDEO else data.clip_frames
    return _Retrieval(reader=reader, level=level, frames=frames)


def _recognition(one: ValidationSet) -> _Recognition:
    dataset = read_dataset(one.dataset, Path(one.root), tuple(Path(folder) for folder in one.videos))
    if one.split:
        dataset = only(dataset, one.split)
    prompts = prompts_for(one.dataset, one.prompts).for_labels(
        dataset.classes, distinct=isinstance(dataset, PhaseDataset)
    )
    return _Recognition(dataset=dataset, prompts=prompts)


class Validation(Callback):
    """Scores the weights that would be exported, every `every` steps and after the last one."""

    def __init__(self, tasks: Mapping[str, _Task], every: int, model: ModelConfig, recorder: Recorder | None) -> None:
        self._tasks = tasks
        self._every = every
        self._model = model
        self._recorder = recorder

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score when it is time."""
        assert isinstance(pl_module, TrainingModule)
        done = pl_module.current + 1
        if done % self._every and done != pl_module.config.trainer.steps:
            return
        exported = pl_module.exported
        if self._recorder is None:
            return
        training = exported.training
        store = open_store(self._loaded(exported), _QUICK)
        try:
            for name, task in self._tasks.items():
                self._recorder.write_row(trainer, {"step": done, "level": name, **task.figures(store)})
        finally:
            exported.train(training)
        self._recorder.clock_on()

    def _loaded(self, exported: DualEncoder) -> Loaded:
        return Loaded(
            model=exported.eval(),
            preprocess=build_preprocess(self._model.visual),
            tokenizer=build_tokenizer(self._model.text),
            config=self._model,
            weights_sha256="",
        )
