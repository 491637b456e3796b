"""What hospitals, cameras and discs record: colours, seconds and sound are right in every format, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recording import (
    COLOURS,
    FPS,
    H264,
    ONSET_SECONDS,
    RECORDERS,
    TRANSPORT,
    Recorder,
    colours_in,
    number_in,
    onset_seconds,
    record,
    seen,
)

from ingest.media import frames_at, probe
from ingest.records import SAMPLE_RATE_HZ

STARTS = {
    "late": (H264, 1000.0),
    "late, Matroska": (RECORDERS["Matroska, 5.1"], 1000.0),
    "late, transport stream": (TRANSPORT, 90_000.0),
    "clock runs over": (TRANSPORT, 2**33 / 90_000 - 2.4),
}


def assert_as_drawn(path: Path, made: Recorder, colour_levels: float = 5.0) -> None:
    found, seconds, pictures = seen(path, 10 * FPS)
    numbers = [number_in(one) for one in pictures]
    assert numbers == list(range(50)), "every picture once, in order"
    assert np.diff(seconds).tolist() == pytest.approx([1 / FPS] * 49, abs=2e-3)
    assert abs(seconds[0]) < 0.1
    truth = np.repeat(COLOURS @ [[0.299], [0.587], [0.114]], 3, axis=1) if made.pix_fmt == "gray" else COLOURS
    assert np.abs(colours_in(pictures[20]) - truth).max() < colour_levels
    assert found.notes == ()
    assert found.picture_end_seconds == pytest.approx(2.0, abs=0.1)
    assert probe(path).duration_seconds == pytest.approx(found.probe.duration_seconds, abs=0.13)
    assert (found.audio is None) == (made.sound is None)
    if found.audio is not None:
        assert onset_seconds(found.audio) == pytest.approx(ONSET_SECONDS, abs=0.06)
        assert len(found.audio) / SAMPLE_RATE_HZ == pytest.approx(2.0, abs=0.1)
    asked = [1.9, 0.0, 0.31, 1.013, 0.83]
    frames = frames_at(path, asked)
    expected = [max(np.searchsorted(seconds, second + 1e-6, side="right") - 1, 0) for second in asked]
    assert [number_in(one) for one in frames.pixels_thwc] == [numbers[place] for place in expected]
    assert frames.seconds.tolist() == pytest.approx([seconds[place] for place in expected], abs=1e-3)


@pytest.mark.parametrize("name", RECORDERS)
def test_recorded_is_read_as_it_was_drawn(tmp_path: Path, name: str) -> None:
    made = RECORDERS[name]
    assert_as_drawn(record(tmp_path / f"v{made.suffix}", made), made)


@pytest.mark.parametrize("name", STARTS)
def test_the_clock_may_begin_anywhere(tmp_path: Path, name: str) -> None:
    made, start = STARTS[name]
    assert_as_drawn(record(tmp_path / f"v{made.suffix}", made, start_seconds=start), made)
