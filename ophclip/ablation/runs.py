"""The finished runs of a sweep, and what their last validation measured.

A sweep lies as `.../VARIANT/seed_N/`, each of which is a run folder; what lies above is the name of its world.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from ophclip.composing import config_folder
from ophclip.evaluation.intervals import Estimate, estimate
from ophclip.training.run_folder import RunFolder

METRICS = ("f1", "mean_average_precision", "recall_at_1", "recall_at_5", "recall_at_10")
REFERENCE = "video"
"""The variant that others are compared with: both levels, without silent videos."""
_RESAMPLES = 10_000
_LEVELS = frozenset({"clip", "video"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One figure of one validation set."""

    subset: str
    metric: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished run."""

    variant: str
    seed: int
    figures: Mapping[Measure, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation:
    """The finished runs of a sweep."""

    variants: tuple[str, ...]
    measures: tuple[Measure, ...]
    runs: tuple[Run, ...]
    unfinished: tuple[str, ...]

    def values(self, variant: str, measure: Measure) -> dict[int, float]:
        """The figure by seed."""
        return {run.seed: run.figures[measure] for run in self.runs if run.variant == variant}

    def level(self, variant: str, measure: Measure) -> Estimate:
        """Mean over seeds with the bootstrap's 95 % interval; NaN bounds with a single seed."""
        return _over_seeds(list(self.values(variant, measure).values()))

    def beside(self, variant: str, reference: str) -> str:
        """The reference in the variant's own world."""
        return f"{variant.rpartition('/')[0]}/{reference}".lstrip("/")

    def gain(self, variant: str, measure: Measure, reference: str) -> Estimate:
        """Mean, over the seeds that both have, of how far the variant is above the reference of its world."""
        own, other = self.values(variant, measure), self.values(self.beside(variant, reference), measure)
        return _over_seeds([own[seed] - other[seed] for seed in sorted(own.keys() & other.keys())])


def read_ablation(root: Path) -> Ablation:
    """Read all runs beneath `root`; those that are not finished are named and left out.

    Raises:
        ValueError: no finished run, or one that measured other things than the others.
    """
    found = sorted(path.parent for path in root.glob("**/seed_*/run.json"))
    done = [path for path in found if RunFolder(path).finished() is not None]
    if not done:
        raise ValueError(f"{root}: no finished run; make some with `python -m ophclip.train +exp=ablation`")
    runs = tuple(_read_run(root, path) for path in done)
    measures = tuple(runs[0].figures)
    if not measures:
        raise ValueError(f"{done[0]}: nothing was validated; name something in validation.sets and sweep again")
    for run, path in zip(runs, done, strict=True):
        if tuple(run.figures) != measures:
            raise ValueError(f"{path}: measured other things than {done[0]}; give both sweeps the same validation.sets")
    return Ablation(
        variants=_ordered({run.variant for run in runs}),
        measures=measures,
        runs=runs,
        unfinished=tuple(str(path.relative_to(root)) for path in found if path not in done),
    )


def _read_run(root: Path, path: Path) -> Run:
    with RunFolder(path).metrics.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["level"] not in _LEVELS]
    last = {row["level"]: row for row in rows}
    return Run(
        variant="/".join(path.parent.relative_to(root).parts),
        seed=int(re.sub(r"\D", "", path.name)),
        figures={
            Measure(subset=name, metric=metric): float(row[metric])
            for name, row in last.items()
            for metric in METRICS
            if row[metric]
        },
    )


def _ordered(variants: set[str]) -> tuple[str, ...]:
    """In the order of conf/exp/ablation.yaml, world by world; others after them."""
    listed: str = OmegaConf.load(config_folder() / "exp" / "ablation.yaml").hydra.sweeper.params.variant
    order = [name.strip() for name in listed.split(",")]

    def place(variant: str) -> tuple[str, int, str]:
        world, _, name = variant.rpartition("/")
        return world, order.index(name) if name in order else len(order), name

    return tuple(sorted(variants, key=place))


def _over_seeds(values: Sequence[float]) -> Estimate:
    return estimate(np.array(values, dtype=np.float64), samples=_RESAMPLES, seed=0)
