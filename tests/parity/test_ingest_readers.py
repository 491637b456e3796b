"""Every reader that is installed returns the same frames, by timestamp, as a loop that decodes the whole video."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from filming import film, number_of, steady
from numpy.typing import NDArray

from ingest.media import Reader, frames_at, installed_readers, scan
from ingest.media.container import start_seconds, video_stream

UNEVEN = [0.0, 0.1, 0.2, 0.9, 1.0, 1.04, 1.08, 2.5, 2.6, 4.0, 4.2, 4.9]


def naive(path: Path, seconds: list[float]) -> tuple[list[float], list[NDArray[np.uint8]]]:
    """Decode everything in order of presentation and keep, for each second, the last picture that had begun by then."""
    kept: dict[int, tuple[float, av.VideoFrame]] = {}
    with av.open(str(path)) as container:
        stream, start = video_stream(container, path), start_seconds(container)
        for frame in container.decode(stream):
            begun = float(frame.pts * frame.time_base) - start
            for place, second in enumerate(seconds):
                if place not in kept or begun <= second + 1e-6:
                    kept[place] = (begun, frame)
        found = [kept[place] for place in range(len(seconds))]
        return [begun for begun, _frame in found], [frame.to_ndarray(format="rgb24") for _begun, frame in found]


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


@pytest.mark.parametrize("reader", [Reader.PYAV])
def test_the_default_reader_leaks_nothing_over_hundreds_of_clips(tmp_path: Path, reader: Reader) -> None:
    path = film(tmp_path / "video.mp4", steady(3.0, 25.0))

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    if not Path("/proc/self/statm").exists():
        pytest.skip("memory in use is read from /proc")
    grown = []
    for _ in range(4):
        before = resident_mb()
        for clip in range(100):
            frames_at(path, [clip / 50, clip / 50 + 0.5], reader=reader)
        grown.append(resident_mb() - before)
    assert min(grown[1:]) < 2.0, grown
