"""What it costs not to trust a file: `python -m benchmarks.confine`, on the videos in OPHCLIP_TEST_DATA.

Confinement: the pictures of the grid that evaluation and search read, two a second, from a confined process against
this one, by the clock on the wall and by the CPU time of both processes; the start of the process is told apart.
Hashing and syncing: a worker's stage for the same video with checksums and flushes to the disk against without them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from benchmarks.pairs import cost_ratios, tell
from ingest.batches import Batch
from ingest.config import IngestConfig, ScreenConfig, ScreenKind
from ingest.manifest import State
from ingest.media import confine, frame_blocks, readers
from ingest.media.probe import probe
from ingest.records import Frames, Metadata
from ingest.sources.folder import local_file
from ingest.stage import BatchStage
from ingest.viewed import Task

FPS, BLOCK, SIDE_PX = 2.0, 64, 224
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """CPU time of this process and of the confined ones that wait for it."""
    spent = time.process_time()
    for decoder in confine._waiting.get(os.getpid(), []):
        facts = Path(f"/proc/{decoder._process.pid}/stat").read_text().rpartition(")")[2].split()
        spent += (int(facts[11]) + int(facts[12])) / _TICKS
    return spent


def measure_confinement(path: Path) -> None:
    """Print the ratios for one video."""
    seconds = np.arange(0.0, probe(path).duration_seconds, 1 / FPS)

    def read(blocks: Callable[..., Iterator[Frames]]) -> list[Frames]:
        return list(blocks(path, seconds, BLOCK, short_side_px=SIDE_PX))

    confine._close_all()
    began = time.perf_counter()
    confine.probe(path)
    print(f"{path.name}: the first answer after {time.perf_counter() - began:.2f} s", flush=True)
    for one, other in zip(read(frame_blocks), read(readers.frame_blocks), strict=True):
        assert np.array_equal(one.pixels_thwc, other.pixels_thwc)
    for name, clock in (("wall", time.perf_counter), ("CPU", cpu_seconds)):
        ratios = cost_ratios(lambda: read(frame_blocks), lambda: read(readers.frame_blocks), clock)
        tell(f"confined decoding, {path.name}, {name}", ratios, most=1.10)


def measure_care(path: Path, folder: Path) -> None:
    """Print the ratio of a stage with checksums and flushes to one without."""
    config = replace(IngestConfig(), screen=ScreenConfig(kind=ScreenKind.OFF))
    stage = BatchStage(replace(config, overlays=replace(config.overlays, enabled=False)), folder)
    file = local_file(path, path.name)
    task = Task(video_id="video", file=file, metadata=Metadata(), transcripts=(), staged=folder / "video.tar")

    def careful() -> None:
        (result,) = stage(Batch(number=0, tasks=(task,)), lambda _moment: None)
        assert result.state is State.DONE, result.notes

    def careless() -> None:
        with ExitStack() as stack:
            stack.enter_context(patch("ingest.stage.sha256_of", lambda _path: "0" * 64))
            stack.enter_context(patch("os.fsync", lambda _descriptor: None))
            careful()

    tell(f"hashing and syncing, {path.name}", cost_ratios(careful, careless, time.perf_counter), most=1.05)


def main() -> None:
    """Measure the silent operation and, for confinement, the small narrated one."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: both sides run on one thread"
    cv2.setNumThreads(1)
    videos = Path(os.environ["OPHCLIP_TEST_DATA"]) / "video"
    for name in ("laparoscopy_silent.mp4", "narrated_cataract.mp4"):
        measure_confinement(videos / name)
    with tempfile.TemporaryDirectory() as folder:
        measure_care(videos / "laparoscopy_silent.mp4", Path(folder))


if __name__ == "__main__":
    main()
