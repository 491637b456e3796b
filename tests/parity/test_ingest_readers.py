"""Every reader that is installed returns the same frames, by timestamp, as a loop that decodes the whole video."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from filming import film, number_of, steady
from numpy.typing import NDArray

from ingest.container import start_seconds, video_stream
from ingest.media import Reader, frames_at, installed_readers, scan

UNEVEN = [0.0, 0.1, 0.2, 0.9, 1.0, 1.04, 1.08, 2.5, 2.6, 4.0, 4.2, 4.9]


def naive(path: Path, seconds: list[float]) -> tuple[list[float], list[NDArray[np.uint8]]]:
    """Decode everything, then look."""
    with av.open(str(path)) as container:
        stream, start = video_stream(container, path), start_seconds(container)
        frames = [
            (float(one.pts * one.time_base) - start, one.to_ndarray(format="rgb24")) for one in container.decode(stream)
        ]
    frames.sort(key=lambda one: one[0])
    found = []
    for second in seconds:
        reached = [frame for frame in frames if frame[0] <= second + 1e-6]
        found.append(reached[-1] if reached else frames[0])
    return [one[0] for one in found], [one[1] for one in found]


@pytest.mark.parametrize("reader", list(Reader))
@pytest.mark.parametrize("clock", [steady(6.0, 25.0), UNEVEN], ids=["steady", "uneven"])
def test_readers_return_the_frames_of_the_loop(tmp_path: Path, reader: Reader, clock: list[float]) -> None:
    if reader not in installed_readers():
        pytest.skip(f"{reader.value} is not installed")
    path = film(tmp_path / "video.mp4", clock)
    asked = [4.85, 0.0, 0.5, 1.05, 2.55, 4.0, 0.5]
    seconds, pictures = naive(path, asked)
    frames = frames_at(path, asked, reader=reader)
    assert frames.seconds.tolist() == pytest.approx(seconds, abs=2e-3)
    assert [number_of(one) for one in frames.pixels_thwc] == [number_of(one) for one in pictures]


@pytest.mark.parametrize("reader", list(Reader))
@pytest.mark.parametrize("name", ["laparoscopy_silent", "narrated_cataract", "narrated_nasa"])
def test_readers_agree_on_real_video(real_data: Path, reader: Reader, name: str) -> None:
    if reader not in installed_readers():
        pytest.skip(f"{reader.value} is not installed")
    path = real_data / "video" / f"{name}.mp4"
    asked = [9.3, 0.0, 0.5, 3.333, 7.0]
    seconds, pictures = naive(path, asked)
    frames = frames_at(path, asked, reader=reader)
    assert frames.seconds.tolist() == pytest.approx(seconds, abs=2e-3)
    for found, expected in zip(frames.pixels_thwc, pictures, strict=True):
        assert np.abs(found.astype(int) - expected).mean() < 2.0


@pytest.mark.parametrize("reader", list(Reader))
def test_a_scan_samples_the_same_seconds_with_every_reader(tmp_path: Path, reader: Reader) -> None:
    if reader not in installed_readers():
        pytest.skip(f"{reader.value} is not installed")
    path = film(tmp_path / "video.mp4", UNEVEN)
    expected: list[int] = []
    scan(path, lambda _second, pixels: expected.append(number_of(pixels)), fps=2.0, short_side_px=48)
    found: list[int] = []
    scan(path, lambda _second, pixels: found.append(number_of(pixels)), fps=2.0, short_side_px=48, reader=reader)
    assert found == expected
