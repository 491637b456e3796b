"""A sweep through Hydra's own command line: every run once, then table, plot and figures that are those of the runs."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from painted_corpus import write_corpus

from ophclip.ablation.runs import Measure, read_ablation
from ophclip.ablation.summary import summarise

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("ablation") / "corpus")


def _sweep(corpus: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    sets = f"[{{name: told, dataset: titles, root: {corpus}}}, {{name: said, dataset: narrations, root: {corpus}}}]"
    options = ("model=tiny", "data.workers=0", "trainer.steps=4", "trainer.threads=1", f"hydra.sweep.dir={out}")
    command = [sys.executable, "-m", "ophclip.train", "+exp=ablation", f"data.root={corpus}", f"validation.sets={sets}"]
    surroundings = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [*command, *options, *more],
        check=False,
        cwd=REPOSITORY,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=300,
    )


def _written(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_sweep_ends_in_a_table_of_what_its_runs_measured(corpus: Path, tmp_path: Path) -> None:
    begun = _sweep(corpus, tmp_path / "out", "seed=0,1", "variant=clip")
    assert begun.returncode == 0, begun.stderr
    before = _written(tmp_path / "out" / "clip")
    ended = _sweep(corpus, tmp_path / "out", "seed=0,1", "variant=clip,video", "hydra/launcher=submitit_local")
    assert ended.returncode == 0, ended.stderr
    assert _written(tmp_path / "out" / "clip") == before, "finished runs were done again"
    table = (tmp_path / "out" / "ablation.md").read_text()
    assert "4 runs, seeds 0, 1." in table
    assert (tmp_path / "out" / "ablation.png").read_bytes().startswith(b"\x89PNG")
    ablation = read_ablation(tmp_path / "out")
    assert ablation.variants == ("clip", "video")
    measure = Measure(subset="told", metric="recall_at_5")
    by_hand = {}
    for seed in (0, 1):
        with (tmp_path / "out" / "video" / f"seed_{seed}" / "metrics.csv").open() as stream:
            by_hand[seed] = [float(row["recall_at_5"]) for row in csv.DictReader(stream) if row["level"] == "told"][-1]
    assert ablation.values("video", measure) == by_hand
    assert ablation.level("video", measure).mean == pytest.approx(np.mean(list(by_hand.values())))
    gain = ablation.gain("clip", measure, "video")
    assert gain.mean == pytest.approx(ablation.level("clip", measure).mean - ablation.level("video", measure).mean)

    (tmp_path / "out" / "clip" / "seed_1" / "run.json").write_text(
        (tmp_path / "out" / "clip" / "seed_1" / "run.json")
        .read_text()
        .replace('"finished": {', '"finished": null, "was": {')
    )
    assert "Left out, not finished: clip/seed_1." in summarise(tmp_path / "out").read_text()


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no finished run; make some with `python -m ophclip.train \+exp=ablation`"):
        summarise(tmp_path)
