"""Protocol figures of a fixed case, kept on 2026-11-23. Run this file as a script to renew them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ophclip.evaluation.intervals import estimate, estimate_cells, phase_chance, presence_chance
from ophclip.evaluation.metrics import PHASE_METRICS, average_precisions, confusion, video_macro

GOLDEN = Path(__file__).with_name("protocols.json")
VIDEOS, CLASSES = 6, 5


def _figures() -> dict[str, object]:
    # Counting arithmetic instead of a generator, so that no library's stream of random numbers enters the case.
    seconds = np.arange(40)
    truths = [np.minimum(seconds // (7 + video), CLASSES - 1) for video in range(VIDEOS)]
    guesses = [(truth + (seconds * (video + 3) % 7 == 0)) % CLASSES for video, truth in enumerate(truths)]
    scores = [video_macro(confusion(truth, guess, CLASSES)) for truth, guess in zip(truths, guesses, strict=True)]
    present = [(truth[:, None] == np.arange(CLASSES - 1)).astype(np.float64) for truth in truths]
    answers = [
        np.cos(seconds[:, None] * (video + 1) + np.arange(CLASSES - 1)) + one for video, one in enumerate(present)
    ]
    cells = np.stack([average_precisions(one, answer) for one, answer in zip(present, answers, strict=True)])
    return {
        "phases": {
            name: asdict(estimate(np.array([getattr(score, name) for score in scores]), samples=200, seed=0))
            for name in PHASE_METRICS
        },
        "phase_chance": phase_chance(truths, CLASSES, samples=50, seed=0),
        "presence": asdict(estimate_cells(cells, samples=200, seed=0)),
        "presence_chance": presence_chance(present, samples=50, seed=0),
        "undefined": sum(score.undefined for score in scores),
    }


def test_protocols_give_what_they_gave() -> None:
    kept, found = json.loads(GOLDEN.read_text(encoding="utf-8")), _figures()
    assert found.keys() == kept.keys()
    for name, figures in kept.items():
        flat = figures if isinstance(figures, dict) else {"": figures}
        given = found[name] if isinstance(found[name], dict) else {"": found[name]}
        for key, value in flat.items():
            assert given[key] == pytest.approx(value), (name, key)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(_figures(), indent=2) + "\n", encoding="utf-8")
