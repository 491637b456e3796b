"""Protocols on cases worked out by hand, and figures of a fixed case, kept on 2026-11-23.

Run this file as a script to renew `kept`; the other entries are fractions that were computed on paper.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ophclip.evaluation.clips import Clip
from ophclip.evaluation.intervals import estimate, estimate_cells, phase_chance, presence_chance
from ophclip.evaluation.metrics import PHASE_METRICS, average_precisions, confusion, video_macro
from ophclip.evaluation.protocols import CLIP_TOPK, INSTRUMENT_VIDEO_MAP, PROTOCOLS, Predictions
from ophclip.evaluation.records import LabelSegment, class_ids_at
from ophclip.evaluation.timelines import Timeline

GOLDEN = Path(__file__).with_name("protocols.json")
BY_HAND = json.loads(GOLDEN.read_text(encoding="utf-8"))
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
    kept, found = BY_HAND["kept"], _figures()
    assert found.keys() == kept.keys()
    for name, figures in kept.items():
        flat = figures if isinstance(figures, dict) else {"": figures}
        given = found[name] if isinstance(found[name], dict) else {"": found[name]}
        for key, value in flat.items():
            assert given[key] == pytest.approx(value), (name, key)


def _ids(text: str, fps: float = 1.0) -> np.ndarray:
    """`0*4 1*2` is four times class 0, then twice class 1; `[0,6)=0 [4,10)=1` are segments in seconds."""
    if not text.startswith("["):
        return np.concatenate(
            [np.full(int(times), int(label)) for label, times in (r.split("*") for r in text.split())]
        )
    segments = []
    for part in text.split():
        (start, end), label = part[1 : part.index(")")].split(","), part.split("=")[1]
        segments.append(LabelSegment(start_seconds=float(start), end_seconds=float(end), label=label))
    seconds = np.arange(max(part.end_seconds for part in segments) * fps) / fps
    return class_ids_at(segments, [str(number) for number in range(10)], seconds)


@pytest.mark.parametrize("case", BY_HAND["by_hand"], ids=lambda case: case["name"])
def test_protocols_give_what_was_worked_out_by_hand(case: dict[str, Any]) -> None:
    lines = []
    for number, (true, guess) in enumerate(case["videos"]):
        truth, predicted = _ids(true, case["fps"]), _ids(guess, case["fps"])
        seconds = np.arange(len(truth)) / case["fps"]
        lines.append(Timeline(video_id=str(number), seconds_t=seconds, truth_t=truth, predicted_t=predicted))
    given = Predictions(lines=lines, classes=case["classes"], fps=case["fps"])
    everything = np.arange(len(lines))[None]
    for name, expected in case["expected"].items():
        figures = PROTOCOLS[name].figures(given)
        assert expected.keys() <= figures.keys()
        for metric, value in expected.items():
            found = float(figures[metric].of(everything)[0])
            assert found == pytest.approx(float(Fraction(value)), abs=1e-9), (name, metric)


def test_clips_and_instruments_give_what_was_worked_out_by_hand() -> None:
    case = BY_HAND["clip_topk"]
    span = {"start_seconds": 0.0, "end_seconds": 1.0, "label": ""}
    clips = [Clip(video_id=name, rank=rank, **span) for name, ranks in case["ranks"].items() for rank in ranks]
    figures = PROTOCOLS[CLIP_TOPK].figures(clips, list(case["ranks"]))
    for name in ("top1", "top5"):
        assert figures[name].of(np.arange(2)[None])[0] == pytest.approx(float(Fraction(case[name])), abs=1e-9)
    case = BY_HAND["instrument_video_map"]
    found = PROTOCOLS[INSTRUMENT_VIDEO_MAP].figures(np.array(case["cells"], dtype=np.float64))
    expected = float(Fraction(case["mean_average_precision"]))
    assert found["mean_average_precision"].of(np.arange(2)[None])[0] == pytest.approx(expected, abs=1e-9)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({**BY_HAND, "kept": _figures()}, indent=2) + "\n", encoding="utf-8")
