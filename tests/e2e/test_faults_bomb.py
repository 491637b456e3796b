"""A video whose pictures ask for more memory than is allowed costs itself, and not the run."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from filming import film, steady

from ingest.config import (
    DuplicatesConfig,
    IngestConfig,
    LimitsConfig,
    OverlayConfig,
    ScreenConfig,
    ScreenKind,
    ShardsConfig,
)
from ingest.manifest import State
from ingest.run import ingest

SIDE_PX = 5_984
"""As large as pictures may be by default."""


@pytest.mark.slow
def test_a_bomb_costs_one_video(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    film(videos / "fine.mp4", steady(2.0))
    with av.open(str(videos / "large.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = SIDE_PX, SIDE_PX, "yuv420p"
        stream.options = {"crf": "51", "preset": "ultrafast", "threads": "1"}
        grey = av.VideoFrame.from_ndarray(np.full((SIDE_PX * 3 // 2, SIDE_PX), 90, np.uint8), format="yuv420p")
        for number in range(3):
            grey.pts = number
            container.mux(stream.encode(grey))
        container.mux(stream.encode(None))
    config = IngestConfig(
        workers=1,
        limits=LimitsConfig(max_memory_gb=0.04),
        shards=ShardsConfig(fps=1.0, video_frames=2, short_side_px=32),
        screen=ScreenConfig(kind=ScreenKind.OFF),
        duplicates=DuplicatesConfig(enabled=False),
        overlays=OverlayConfig(enabled=False),
    )
    summary = ingest(videos, tmp_path / "corpus", config)
    assert (summary.videos, summary.done, summary.rejected + summary.failed) == (2, 1, 1)
    (report,) = summary.reports
    assert (report.file, report.state) == ("large.mp4", State.REJECTED)
    assert "\n" not in report.reason
