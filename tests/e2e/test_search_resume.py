"""`ophclip index` is killed in the middle and run again: what comes out equals a run that nobody disturbed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filming import film, steady
from numpy.typing import NDArray

from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.search.catalogue import CATALOGUE_NAME
from ophclip.search.index import open_index

pytestmark = pytest.mark.slow
VIDEOS = 6


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A bundle, and videos of different lengths."""
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny", embed_dim=32, visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
    )  # fmt: skip
    save_bundle(tmp_path / "bundle", build_model(config), config, {})
    (tmp_path / "videos").mkdir()
    for number in range(VIDEOS):
        film(tmp_path / "videos" / f"v{number}.mp4", steady(8 + 3 * number))
    return tmp_path


def _command(place: Path, out: str) -> list[str]:
    options = ["--out", str(place / out), "--videos", str(place / "videos")]
    return [sys.executable, "-m", "ophclip.cli", "index", str(place / "bundle"), *options]


def _entered(place: Path, out: str) -> int:
    path = place / out / CATALOGUE_NAME
    if not path.is_file():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            return int(connection.execute("SELECT count(*) FROM videos").fetchone()[0])
    except sqlite3.OperationalError:  # the schema is being written
        return 0


def _content(place: Path, out: str) -> tuple[list[Any], dict[str, NDArray[np.float32]], list[Any]]:
    with open_index(place / out) as index:
        vectors = {video.video_id: index.window_vectors(video.video_id)[1] for video in index.videos()}
        hits = index.search(vector=np.arange(32), k=100, merge=False)
        return list(index.videos()), vectors, [(hit.hit_id, hit.score, hit.thumbnail_jpeg) for hit in hits]


@pytest.mark.parametrize("kill_after", [1, 4])
def test_a_run_that_is_killed_is_gone_on_with(place: Path, kill_after: int) -> None:
    subprocess.run(_command(place, "whole"), check=True, capture_output=True)
    running = subprocess.Popen(_command(place, "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while _entered(place, "killed") < kill_after and running.poll() is None:
        time.sleep(0.005)
    running.kill()
    running.wait()
    assert 0 < _entered(place, "killed") <= VIDEOS
    with open_index(place / "killed") as index:  # what is there can be searched
        assert len(index.videos()) == _entered(place, "killed")
        assert index.search(vector=np.ones(32), k=1)
    again = subprocess.run(_command(place, "killed"), check=True, capture_output=True, text=True)
    assert f"of {VIDEOS} videos" in again.stdout
    whole, resumed = _content(place, "whole"), _content(place, "killed")
    assert resumed[0] == whole[0]
    for video_id, vectors_wd in whole[1].items():
        np.testing.assert_array_equal(resumed[1][video_id], vectors_wd)
    assert resumed[2] == whole[2]
