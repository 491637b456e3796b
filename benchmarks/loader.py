"""A training clip from its shard against the same pictures from the source video: `python -m benchmarks.loader`.

Product: one read through the shard index and 8 JPEGs decoded. Peer: PyAV with key-frame jumps on the simulated mp4,
scaled to the same short side. In turn, after a warm-up; the figure is the median of the pairwise ratios of CPU time.
Asserted inside: the same number of pictures of the same size, which differ by less than 12 grey levels on average.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.pairs import tell
from ingest.config import IngestConfig
from ingest.manifest import MANIFEST_NAME, Manifest
from ingest.media import frames_at
from ingest.records import Level
from ingest.run import ingest
from ingest.shards import ShardReader, decode_jpeg
from ophclip.simulate import SimulateConfig, simulate

FRAMES, PAIRS, REPEATS = 8, 7, 6


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of this process for one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def measure(corpus: Path) -> list[float]:
    """CPU time of the peer over that of the product, pair by pair."""
    with Manifest(corpus / MANIFEST_NAME) as manifest:
        paths = {row.video_id: Path(row.path) for row in manifest.videos()}
    reader = ShardReader(corpus)
    samples = [(entry.key, paths[entry.video_id]) for entry in reader.entries(Level.VIDEO)]

    def from_shard() -> list[np.ndarray]:
        return [np.stack([decode_jpeg(one) for one in reader.read(key).jpegs[:FRAMES]]) for key, _ in samples]

    def from_video(side_px: int) -> list[np.ndarray]:
        wanted = [(path, reader.read(key).frame_seconds[:FRAMES]) for key, path in samples]
        return [frames_at(path, seconds, short_side_px=side_px).pixels_thwc for path, seconds in wanted]

    stored = from_shard()
    side_px = min(stored[0].shape[1:3])
    for one, other in zip(stored, from_video(side_px), strict=True):
        assert one.shape == other.shape, (one.shape, other.shape)
        assert np.abs(one.astype(float) - other.astype(float)).mean() < 12
    ratios = []
    for _ in range(PAIRS):
        peer = cpu_seconds(lambda: [from_video(side_px) for _ in range(REPEATS)])
        ratios.append(peer / cpu_seconds(lambda: [from_shard() for _ in range(REPEATS)]))
    return ratios


def main() -> None:
    """Make two videos, ingest them, measure, print one line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        world, corpus = Path(folder) / "world", Path(folder) / "corpus"
        simulate(SimulateConfig(out=str(world), narrated=0, silent=2, held_out=0))
        ingest(world / "videos", corpus, IngestConfig())
        ratios = measure(corpus)
    tell("loader, PyAV's CPU time over ours", ratios)


if __name__ == "__main__":
    main()
