"""Pictures: bytes that open, the same each time, nothing global touched."""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest

from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.plots import (
    OTHER,
    class_bars,
    class_colours,
    figure_bytes,
    phase_ribbon,
    save_figure,
    similarity_map,
)
from ophclip.evaluation.timelines import Prediction, Timeline

CLASSES = tuple(f"phase {number}" for number in range(30))


def _timeline(classes: int) -> Timeline:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(classes), 5)
    return Timeline(
        video_id="case_1",
        seconds_t=np.arange(len(truth), dtype=np.float64),
        truth_t=np.where(truth == 0, -1, truth),
        predicted_t=rng.integers(0, classes, size=len(truth)),
        offline=Prediction(ids_t=truth, confidence_t=np.ones(len(truth))),
    )


@pytest.mark.parametrize("classes", [1, 10, 30])
def test_a_ribbon_opens_as_a_picture(classes: int) -> None:
    data = figure_bytes(phase_ribbon(_timeline(classes), CLASSES[:classes], note="accuracy 0.50"))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape[1] == 1400
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, 3)}) > 3


def test_the_same_figure_gives_the_same_bytes_and_changes_no_global_setting() -> None:
    before = dict(mpl.rcParams)
    for kind in ("png", "svg"):
        first, second = (figure_bytes(phase_ribbon(_timeline(10), CLASSES[:10]), kind) for _ in range(2))
        assert first == second
    assert dict(mpl.rcParams) == before
    with pytest.raises(ValueError, match="expected png or svg"):
        figure_bytes(phase_ribbon(_timeline(2), CLASSES), "gif")


def test_colours_differ_up_to_fourteen_classes_and_then_say_other() -> None:
    for count in (1, 2, 7, 10, 11, 14):
        colours = class_colours(CLASSES[:count])
        assert len(set(colours.values())) == count
        assert OTHER not in colours.values()
    assert list(class_colours(CLASSES).values()).count(OTHER) == 16


def test_bars_leave_out_what_is_undefined_and_maps_draw(tmp_path: Path) -> None:
    figures = {
        "a": Estimate(mean=0.4, sd=0.1, low=0.3, high=0.5),
        "b": Estimate(mean=float("nan"), sd=float("nan"), low=float("nan"), high=float("nan")),
        "c": Estimate(mean=0.2, sd=float("nan"), low=float("nan"), high=float("nan")),
    }
    bars = class_bars(figures, title="F1", axis="F1", chance=0.1, note="2 videos")
    assert [label.get_text() for label in bars.axes[0].get_yticklabels()] == ["c", "a"]
    save_figure(bars, tmp_path / "deep" / "bars.png")
    curve = np.random.default_rng(0).random((20, 3))
    save_figure(similarity_map(np.arange(20.0), curve, CLASSES[:3], title="x"), tmp_path / "map.svg")
    assert (tmp_path / "deep" / "bars.png").stat().st_size > 1000
    assert (tmp_path / "map.svg").read_bytes().lstrip().startswith(b"<?xml")
