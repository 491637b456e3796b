"""The work of a probe: every model, head, training set and draw in turn, then the result of them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.atomic import write_json
from ophclip.evaluation.leakage import Leakage, look_for_leakage
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.plots import save_figure
from ophclip.evaluation.probes.budgets import Budget, drawn_picks, share_budgets
from ophclip.evaluation.probes.cells import (
    Cell,
    Finished,
    Predicted,
    Truth,
    digest,
    read_cell,
    truth_of,
    write_cell,
    write_truth,
)
from ophclip.evaluation.probes.contenders import Contender, contenders
from ophclip.evaluation.probes.figures import Header, lines_of, result_tree
from ophclip.evaluation.probes.heads import OF_SHOTS, WITHOUT_CHANCE, Task, answer_of, head_options, tuned_answer
from ophclip.evaluation.probes.names import why_not_random
from ophclip.evaluation.probes.parting import Parted
from ophclip.evaluation.probes.picture import gain_picture
from ophclip.evaluation.probes.run import RESULT_NAME, Probed
from ophclip.evaluation.probes.samples import ProbeVideo, probe_videos
from ophclip.evaluation.probes.table import headline, write_cells_table
from ophclip.evaluation.protocols import INSTRUMENT_VIDEO_MAP, VIDEO_MACRO_V1
from ophclip.evaluation.receipts import Given, Receipt, SourceFile, relative
from ophclip.evaluation.records import PhaseDataset, labelled_files
from ophclip.evaluation.results import code_version
from ophclip.probe_options import ProbeConfig, ProbeHead
from ophclip.progress import Progress

if TYPE_CHECKING:
    from ophclip.evaluation.opening import AnyModel

_LIBRARIES = ("numpy", "scikit-learn", "torch")


def probe_parts(
    models: Sequence[tuple[str, AnyModel]],
    parted: Parted,
    out: Path,
    *,
    config: ProbeConfig,
    given: Given,
    progress: Progress | None = None,
) -> Probed:
    """Probe each model on a dataset in two parts and write what is found into `out`.

    Raises:
        ValueError: a video cannot be decoded or has no labels, or two models see its seconds differently.
    """
    began = time.perf_counter()
    work = _Work(parted, out, config, models=len(models), progress=progress)
    for model in contenders(models, config, out / "embeddings"):
        work.probe(model)
    assert work.truth is not None
    receipt = Receipt(given=given, files=work.files, leakage=work.leakage)
    provenance = {**_provenance(parted, config, work), "without_random": why_not_random(models[0][1], config)}
    header = Header(provenance=provenance, classes=parted.train.classes, receipt=receipt.to_json())
    lines = lines_of(work.finished, work.truth, len(header.classes))
    tree = result_tree(header, work.truth, lines)
    write_json(out / RESULT_NAME, tree)
    write_cells_table(out / "cells.csv", lines)
    save_figure(gain_picture(header, lines, tree["chance"]), out / "gain.png")
    spent = {"frames_encoded": work.frames, "cells_made": work.made, "wall_seconds": time.perf_counter() - began}
    write_json(out / "throughput.json", spent)
    return Probed(
        path=out / RESULT_NAME,
        headline=headline(header, lines) + work.leakage.alarm,
        never_learned=work.never,
        leakage=work.leakage,
        tree=tree,
    )


class _Work:
    """What goes on from one model to the next."""

    def __init__(
        self, parted: Parted, out: Path, config: ProbeConfig, *, models: int, progress: Progress | None
    ) -> None:
        self.parted, self.out, self.config = parted, out, config
        self.exclusive = isinstance(parted.train, PhaseDataset)
        self.truth: Truth | None = None
        self.finished: list[Finished] = []
        self.never: dict[str, int] = {}
        self.weights: dict[str, dict[str, str]] = {}
        self.files: dict[str, SourceFile] = {}
        self.leakage = Leakage()
        self.frames = self.made = 0
        self._progress = progress
        self._done = 0
        videos = len(parted.train.videos) + len(parted.test.videos)
        self._total = models * (videos + len(planned("", config, len(parted.train.videos))))

    def probe(self, model: Contender) -> None:
        """Every head, training set and draw of one model."""
        train, test = (
            probe_videos(model.store, dataset, lambda _done, _total, name: self._advance(name))
            for dataset in (self.parted.train, self.parted.test)
        )
        self._see(model, train, test)
        for cell in planned(model.name, self.config, len(train)):
            self._advance(cell.place)
            self.finished.append(self._cell(model, cell, train, test))
        self.weights[model.name] = {"name": model.model.name, "weights_sha256": model.model.weights_sha256}
        self.frames += model.store.frames_encoded

    def _advance(self, message: str) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total, message)
        self._done += 1

    def _see(self, model: Contender, train: Sequence[ProbeVideo], test: Sequence[ProbeVideo]) -> None:
        """The truth is taken from the first model's frames, and must be the same with every other's."""
        truth = truth_of(test, exclusive=self.exclusive)
        if self.truth is None:
            self.truth, self.never = truth, never_learned(train, test, self.parted.train.classes)
            write_truth(self.out, truth)
            self._keep_receipt(model)
        elif not (
            np.array_equal(truth.seconds_n, self.truth.seconds_n)
            and np.array_equal(truth.labels, self.truth.labels, equal_nan=not self.exclusive)
        ):
            raise ValueError(
                f"{model.name}: its frames are of other seconds than those of the bundle; use one fps for all"
            )

    def _keep_receipt(self, model: Contender) -> None:
        """Which files are scored, and whether the training of the first model saw one of them."""
        paths = labelled_files(self.parted.test)
        hashes = {name: model.store.video(path).sha256 for name, path in paths.items()}
        self.files = {
            name: SourceFile(path=relative(path, self.out), sha256=hashes[name]) for name, path in paths.items()
        }
        self.leakage = look_for_leakage(model.model.training, hashes)

    def _cell(self, model: Contender, cell: Cell, train: Sequence[ProbeVideo], test: Sequence[ProbeVideo]) -> Finished:
        inputs = self._inputs(model, cell)
        picks = drawn_picks(train, cell.budget, draw=cell.draw, seed=self.config.seed, exclusive=self.exclusive)
        seed = int(np.random.SeedSequence([self.config.seed, cell.draw]).generate_state(1)[0])
        task = Task(train=train, picks=picks, test=test, exclusive=self.exclusive, seed=seed)
        unfinished = self.out / "cells" / f"{cell.place}-{inputs[:12]}.pt"
        done = read_cell(self.out, cell, inputs)
        if done is None:
            done = self._made(model, cell, task, inputs, unfinished)
            write_cell(self.out, done)
            self.made += 1
        for kept in unfinished.parent.glob(f"{cell.budget.name}-{cell.draw}-*.pt"):
            kept.unlink()
        return done

    def _inputs(self, model: Contender, cell: Cell) -> str:
        """Hash of everything that a cell depends on."""
        return digest(
            {
                "split": self.parted.sha256,
                "weights": model.model.weights_sha256,
                "head": head_options(ProbeHead(cell.head), self.config),
                "cell": cell.place,
                "fps": self.config.fps,
                "seed": self.config.seed,
                "version": code_version(),
            }
        )

    def _made(self, model: Contender, cell: Cell, task: Task, inputs: str, unfinished: Path) -> Finished:
        head, classes = ProbeHead(cell.head), self.parted.train.classes
        if head is ProbeHead.FINETUNE:
            frames = self.out / "frames"
            answer = tuned_answer(task, self.config, loaded=model.loaded, frames=frames, checkpoint=unfinished)
        else:
            answer = answer_of(head, task, self.config)
        learned_nc = np.concatenate([task.train[place].truth_nc[rows] for place, rows in task.picks.items()])
        shown_c = (learned_nc == 1).any(axis=0)
        return Finished(
            cell=cell,
            inputs_sha256=inputs,
            seconds={task.train[place].video_id: len(rows) for place, rows in task.picks.items()},
            missing=tuple(label for label, shown in zip(classes, shown_c, strict=True) if not shown),
            settled=answer.settled,
            predicted=_predicted(answer.scores, self.exclusive),
        )


def planned(model: str, config: ProbeConfig, training_videos: int) -> list[Cell]:
    """Every cell of one model; a training set of all videos is drawn once where training knows no chance."""
    found = []
    for head in config.heads:
        budgets = list(share_budgets(config.shares_percent, training_videos))
        if head in OF_SHOTS:
            budgets += [Budget(shots=shots) for shots in sorted(set(config.shots))]
        for budget in budgets:
            same = budget.videos == training_videos and head in WITHOUT_CHANCE
            draws = 1 if same else config.draws
            found += [Cell(model=model, head=head.value, budget=budget, draw=draw) for draw in range(draws)]
    return found


def never_learned(train: Sequence[ProbeVideo], test: Sequence[ProbeVideo], classes: Sequence[str]) -> dict[str, int]:
    """Classes that test videos show and no training video does, with their labelled seconds."""
    learned_c = np.any([(video.truth_nc == 1).any(axis=0) for video in train], axis=0)
    shown_c = np.sum([(video.truth_nc == 1).sum(axis=0) for video in test], axis=0)
    return {
        label: int(shown)
        for label, learned, shown in zip(classes, learned_c, shown_c, strict=True)
        if shown and not learned
    }


def _predicted(scores: Sequence[Floats], exclusive: bool) -> Predicted:
    stacked_nc = np.concatenate(scores)
    return stacked_nc.argmax(axis=1).astype(np.int16) if exclusive else stacked_nc.astype(np.float32)


def _provenance(parted: Parted, config: ProbeConfig, work: _Work) -> dict[str, Any]:
    phases = isinstance(parted.train, PhaseDataset)
    protocol = VIDEO_MACRO_V1 if phases else INSTRUMENT_VIDEO_MAP
    return {
        "protocol": protocol if config.fps == 1.0 else f"{protocol} but at {config.fps:g} fps",
        "dataset": asdict(parted.train.source),
        "split": {
            "sha256": parted.sha256,
            "rule": parted.rule,
            "train": [video.video_id for video in parted.train.videos],
            "test": [video.video_id for video in parted.test.videos],
            "left_out": parted.left_out,
        },
        "classes_never_in_training": dict(work.never),
        "models": dict(work.weights),
        "options": asdict(config),
        "code_version": code_version(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
    }
