"""What ingest costs a silent video beyond its decoding: `python -m benchmarks.ingest`.

Product: a worker's whole stage for one video (checksum, decode pass, sampling, scene cuts, fingerprints, screen, JPEGs,
staged samples); moving samples into shards and looking for repeats happen once a run and are left out. Peer: PyAV's
decoder and swscale on the same file, one thread, the sampled pictures scaled to the same size, and their JPEGs. CPU
time; overlays off, and once more with them on. Asserted inside: both sample the same pictures, and the video is done.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import cv2
import numpy as np

from benchmarks.pairs import cost_ratios, tell
from ingest.batches import Batch
from ingest.config import IngestConfig
from ingest.manifest import State
from ingest.media.scenes import CutFinder
from ingest.pictures.fingerprint import Marks
from ingest.pictures.screen import RuleScreener
from ingest.records import Metadata
from ingest.shards import encode_jpeg
from ingest.sources.folder import local_file
from ingest.spool import Spool
from ingest.stage import BatchStage
from ingest.viewed import Task
from ophclip.simulate import SimulateConfig, simulate

SIZES = {"720p": (1280, 720), "360p": (640, 360)}
PARTS = {
    "scene cuts": (CutFinder, "push"),
    "screen": (RuleScreener, "judge"),
    "fingerprints": (Marks, "add"),
    "JPEGs and spool": (Spool, "add"),
}


def enlarge(source: Path, target: Path, size: tuple[int, int]) -> Path:
    """The pictures of a video at another size, with a camera's noise, as H.264 with a key frame every 250."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, (size[1], size[0], 3)).astype(np.int8)
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        rate = read.streams.video[0].average_rate
        stream = written.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = {"g": "250", "crf": "23", "preset": "veryfast", "threads": "2"}
        for number, frame in enumerate(read.decode(video=0)):
            pixels = frame.reformat(*size, format="rgb24", interpolation="BICUBIC").to_ndarray()
            moved = np.roll(noise, 37 * number, axis=(0, 1))
            noisy = cv2.add(pixels, moved, dtype=cv2.CV_8U)
            written.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        written.mux(stream.encode(None))
    return target


def peer(path: Path, config: IngestConfig) -> int:
    """Decode all, scale and encode what is sampled; how many pictures that were."""
    taken, side = 0, config.shards.short_side_px
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if frame.time is None or frame.time < taken / config.shards.fps:
                continue
            size = round(frame.width * side / frame.height), side
            encode_jpeg(frame.reformat(*size, format="rgb24").to_ndarray(), config.shards.jpeg_quality)
            taken += 1
    return taken


def shares(work: Callable[[], object]) -> dict[str, float]:
    """CPU time of the named parts in one run over that of all of it."""
    spent = dict.fromkeys(PARTS, 0.0)

    def timed(part: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*given: Any) -> Any:
            began = time.process_time()
            try:
                return method(*given)
            finally:
                spent[part] += time.process_time() - began

        return call

    patches = [patch.object(owner, name, timed(part, getattr(owner, name))) for part, (owner, name) in PARTS.items()]
    for one in patches:
        one.start()
    began = time.process_time()
    work()
    total = time.process_time() - began
    for one in patches:
        one.stop()
    return {part: seconds / total for part, seconds in spent.items()}


def measure(path: Path, name: str, folder: Path) -> None:
    """Print the comparison for one video, the shares of the parts, and the cost with overlays looked for."""
    config = IngestConfig()
    task = Task(
        video_id="video",
        file=local_file(path, path.name),
        metadata=Metadata(title="Phacoemulsification", license="CC0-1.0"),
        transcripts=(),
        staged=folder / "video.tar",
    )
    counts: list[int] = []
    for label, overlays in (("", False), (" with overlays read", True)):
        stage = BatchStage(replace(config, overlays=replace(config.overlays, enabled=overlays)), folder)

        def product(stage: BatchStage = stage) -> None:
            (result,) = stage(Batch(number=0, tasks=(task,)), lambda _moment: None)
            assert result.state is State.DONE, result.notes

        with patch.object(Spool, "add", autospec=True, side_effect=Spool.add) as added:
            product()
        counts.append(added.call_count)
        assert abs(counts[-1] - peer(path, config)) <= 1, counts
        ratios = cost_ratios(product, lambda: peer(path, config))
        tell(f"ingest, silent {name}{label}", ratios, most=None if overlays else 1.15)
        if not overlays:
            for part, share in shares(product).items():
                tell(f"ingest, silent {name}: share of {part}", [share])


def main() -> None:
    """Make one operation at each size and measure it."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: both sides run on one thread"
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = folder / "world"
        simulate(SimulateConfig(out=str(world), narrated=0, silent=1, held_out=0))
        (source,) = (world / "videos").rglob("*.mp4")
        for size, shape in SIZES.items():
            measure(enlarge(source, folder / f"{size}.mp4", shape), size, folder)


if __name__ == "__main__":
    main()
