"""A confined process gives the same pictures and words, and costs one file whatever a file does to it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from filming import film, number_of, steady

from ingest.config.sources import LimitsConfig
from ingest.media import confine, frame_blocks, frames_at, picture_seconds, probe, readers
from ingest.media.confine import memory_bounded
from ingest.media.decode import scan
from ingest.media.probe import picture_seconds as picture_seconds_here
from ingest.media.probe import probe as probe_here


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "v.mp4", steady(4.0))


def test_the_same_as_without(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe(video) == probe_here(video)
    seconds = np.arange(0.0, 4.0, 0.3)
    found, expected = (list(read(video, seconds, 4, short_side_px=48)) for read in (frame_blocks, readers.frame_blocks))
    assert len(found) == 4
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.pixels_thwc, other.pixels_thwc)
        np.testing.assert_array_equal(one.seconds, other.seconds)
    mixed = [3.1, 0.2, 0.2, 1.7]
    np.testing.assert_array_equal(frames_at(video, mixed).pixels_thwc, readers.frames_at(video, mixed).pixels_thwc)
    np.testing.assert_array_equal(picture_seconds(video), picture_seconds_here(video))
    monkeypatch.chdir(video.parent)
    assert probe(Path("v.mp4")) == probe_here(video)
    for call in (probe, probe_here):
        with pytest.raises(ValueError, match=r"^nowhere\.mp4: not a readable video \(No such file or directory\)"):
            call(Path("nowhere.mp4"))


def test_who_stops_early_or_asks_from_several_threads_harms_nobody(video: Path) -> None:
    assert number_of(next(frame_blocks(video, np.arange(0, 4, 0.1), 2)).pixels_thwc[1]) == 1

    def numbers(start: float) -> list[int]:
        return [number_of(one) for one in frames_at(video, [start, start + 1.0]).pixels_thwc]

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(numbers, [0.5, 1.1, 1.5, 2.0, 2.5, 0.0]))
    assert found == [[5, 15], [11, 21], [15, 25], [20, 30], [25, 35], [0, 10]]


@pytest.fixture
def hire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the next call meet a process in which `probe` does something else."""
    monkeypatch.setattr(confine, "_waiting", {})

    def hire(does: str) -> None:
        with monkeypatch.context() as patched:
            told = f"import numpy, os, signal, time, ingest.media.confine as c; c.probe_here = lambda _path: {does}; "
            patched.setattr(confine, "_PROGRAM", told + confine._PROGRAM)
            decoder = confine._Decoder()
        decoder._socket.settimeout(0.5)
        confine._waiting[os.getpid()] = [decoder]

    yield hire
    confine._close_all()


FAULTS = {
    "os.kill(os.getpid(), signal.SIGSEGV)": "the process that decodes it was ended by SIGSEGV",
    "os._exit(3)": "the process that decodes it ended with code 3",
    "time.sleep(60)": "the process that decodes it stood still for",
    "numpy.ones(2**30)": "it needs more memory, limits.max_memory_gb is 6.0",
    "1 / 0": "decoding broke on it: ZeroDivisionError: division by zero",
    "print(open('/tmp/written', 'w').write('x'), flush=True)": "decoding broke on it: OSError: .* File too large",
}


@pytest.mark.parametrize("does", FAULTS)
def test_a_fault_costs_one_file(video: Path, hire: Callable[[str], None], does: str) -> None:
    hire(does)
    with pytest.raises(ValueError, match=f"v.mp4: {FAULTS[does]}") as caught:
        probe(video)
    assert "\n" not in str(caught.value)
    confine._close_all()
    assert probe(video) == probe_here(video)


def test_one_that_was_ended_while_it_waited_blames_no_file(video: Path, hire: Callable[[str], None]) -> None:
    hire("1 / 0")
    decoder = confine._waiting[os.getpid()][0]
    decoder._process.kill()
    decoder._process.wait()
    assert probe(video) == probe_here(video)


def test_one_that_cannot_start_says_so(hire: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "_PROGRAM", "raise SystemExit(4)")
    with pytest.raises(RuntimeError, match="does not start"):
        probe(Path("v.mp4"))


def test_memory_is_bounded_for_a_while(tmp_path: Path, video: Path) -> None:
    limits = LimitsConfig(max_memory_gb=0.1)
    with pytest.raises(ValueError, match=r"it needs more memory, limits.max_memory_gb is 0.1"), memory_bounded(limits):
        np.ones(2**27)
    with memory_bounded(limits):
        scan(video, lambda _second, _pixels: None, fps=1.0, short_side_px=48)
    assert np.ones(2**25).all(), "afterwards there is as much as before"


def test_decoding_that_takes_too_long_keeps_what_it_has(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr("ingest.media.walk.time.monotonic", lambda: float(next(seconds)))
    limits = LimitsConfig(max_decode_hours=30 / 3600)
    found = scan(video, lambda _second, _pixels: None, fps=1.0, short_side_px=48, limits=limits)
    assert "decoding takes longer than limits.max_decode_hours" in found.notes[0]
    assert 1.0 < found.picture_end_seconds < 2.5
