"""The loss curves of `+exp=demo` on the painted corpus are those that were written down.

They move when the method does: a loss, an augmentation, the order of samples, a rate. Where that is wanted, delete
`training_losses.csv`; the test then writes it anew, and fails once so that somebody looks at what changed.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from painted_corpus import write_corpus

from ophclip.composing import compose
from ophclip.config import TrainConfig
from ophclip.training.run import train

GOLDEN = Path(__file__).parent / "training_losses.csv"
TERMS = ("loss", "contrastive", "views", "retrieval", "own_title")
OPTIONS = (
    "+exp=demo",
    "model=tiny",
    "data.clip_frames=2",
    "data.workers=0",
    "data.levels={clip: 1, video: 1}",
    "retrieval.warmup_steps=4",
    "retrieval.refresh_every=6",
    "optim.warmup_steps=4",
    "trainer.steps=16",
    "trainer.log_every=2",
    "trainer.device=cpu",
    "trainer.threads=1",
)


@pytest.mark.slow
def test_loss_curves_are_those_written_down(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    result = train(compose("train", [*OPTIONS, f"data.root={corpus}", f"out={tmp_path / 'run'}"], TrainConfig))
    with result.metrics.open() as stream:
        rows = [{name: row[name] for name in ("step", "level", *TERMS)} for row in csv.DictReader(stream)]
    if not GOLDEN.exists():
        _write(rows)
        pytest.fail(f"{GOLDEN} was written anew; look at it, and run again")
    with GOLDEN.open() as stream:
        golden = list(csv.DictReader(stream))
    assert [(row["step"], row["level"]) for row in rows] == [(row["step"], row["level"]) for row in golden]
    for row, expected in zip(rows, golden, strict=True):
        for term in TERMS:
            assert bool(row[term]) == bool(expected[term]), (row["step"], term)
            if row[term]:
                # Other processors add up in another order, and sixteen steps make more of it.
                assert float(row[term]) == pytest.approx(float(expected[term]), rel=0.01, abs=0.01), (row, expected)


def _write(rows: list[dict[str, str]]) -> None:
    with GOLDEN.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ("step", "level", *TERMS), lineterminator="\n")
        writer.writeheader()
        short = (
            {name: f"{float(row[name]):.5f}" if name in TERMS and row[name] else row[name] for name in row}
            for row in rows
        )
        writer.writerows(short)
