"""Runs of a sweep side by side, on run folders written here with figures that are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ophclip.ablation.runs import Measure, read_ablation
from ophclip.ablation.summary import summarise
from ophclip.training.callbacks import COLUMNS

F1 = Measure(subset="phases", metric="f1")


def _run(folder: Path, f1: float, *, finished: bool = True, level: str = "phases") -> None:
    (folder / "bundle").mkdir(parents=True)
    record = {"version": 1, "config": {}, "corpus": "", "finished": {"steps": 2, "seconds": 1.0} if finished else None}
    (folder / "run.json").write_text(json.dumps(record))
    with (folder / "metrics.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="")
        writer.writeheader()
        writer.writerow({"step": 2, "level": "clip", "loss": 1.0})
        writer.writerows({"step": step, "level": level, "f1": f1 * step / 2, "accuracy": 0.5} for step in (1, 2))


def test_means_and_gains_are_those_of_the_last_rows_seed_by_seed(tmp_path: Path) -> None:
    for seed, (video, live) in enumerate([(0.1, 0.2), (0.3, 0.5), (0.5, 0.4)]):
        _run(tmp_path / "informative" / "video" / f"seed_{seed}", video)
        _run(tmp_path / "informative" / "live" / f"seed_{seed}", live)
        _run(tmp_path / "vague" / "live" / f"seed_{seed}", 0.0)
    _run(tmp_path / "informative" / "live" / "seed_3", 0.7)
    _run(tmp_path / "informative" / "clip" / "seed_0", 0.9, finished=False)
    ablation = read_ablation(tmp_path)
    assert ablation.variants == ("informative/video", "informative/live", "vague/live")
    assert ablation.unfinished == ("informative/clip/seed_0",)
    assert ablation.values("informative/live", F1) == {0: 0.2, 1: 0.5, 2: 0.4, 3: 0.7}
    assert ablation.level("informative/live", F1).mean == pytest.approx(0.45)
    gain = ablation.gain("informative/live", F1, "video")
    assert gain.mean == pytest.approx((0.1 + 0.2 - 0.1) / 3)
    drawn = np.random.default_rng(1).choice([0.1, 0.2, -0.1], (100_000, 3)).mean(axis=1)
    assert [gain.low, gain.high] == pytest.approx(np.percentile(drawn, [2.5, 97.5]).tolist(), abs=0.01)

    told = summarise(tmp_path).read_text()
    assert "10 runs, seeds 0, 1, 2, 3." in told
    assert "Left out, not finished: informative/clip/seed_0." in told
    assert "| `informative/live` | +0.067 [" in told
    assert "| `vague/live` | +" not in told, "the vague world has no reference"
    with (tmp_path / "ablation.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["variant"], row["seed"], row["value"]) for row in rows} >= {("informative/live", "3", "0.700000")}
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_a_variant_without_a_seed_of_the_reference_has_no_gain(tmp_path: Path) -> None:
    _run(tmp_path / "video" / "seed_0", 0.1)
    _run(tmp_path / "live" / "seed_1", 0.2)
    assert "| `live` | no common seed |" in summarise(tmp_path).read_text()


def test_runs_that_do_not_compare_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no finished run; make some with `python -m ophclip.train \+exp=ablation`"):
        read_ablation(tmp_path)
    _run(tmp_path / "video" / "seed_0", 0.1)
    _run(tmp_path / "video" / "seed_1", 0.1, level="others")
    with pytest.raises(ValueError, match=r"seed_1: measured other things than .*seed_0; give both sweeps the same"):
        read_ablation(tmp_path)
