"""An evaluation that is killed goes on where it was, and gives the bytes of one that was not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model

VIDEOS, SECONDS = 4, 8


def _write_video(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for _ in range(5 * SECONDS):
            pixels = np.kron(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A bundle, and two videos each of `train` and `test` in a table of phases."""
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        embed_dim=32,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
    )
    save_bundle(tmp_path / "bundle", build_model(config), config, {})
    rows = ["video,start_seconds,end_seconds,label,split"]
    for place in range(VIDEOS + 1):
        _write_video(tmp_path / f"v{place}.mp4", place)
        split = "test" if place < VIDEOS else "train"
        rows += [f"v{place},0,3,knife,{split}", f"v{place},3,{SECONDS},lens,{split}"]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "prompts.yaml").write_text("classes: {knife: {name: [a knife]}, lens: {name: [a lens]}}\n")
    return tmp_path


def _run(place: Path, out: str, home: str, *command: str) -> subprocess.CompletedProcess[str]:
    words = [
        *("zeroshot", str(place / "bundle"), "--dataset", "phase-table", "--root", str(place / "labels.csv")),
        *("--prompts", str(place / "prompts.yaml"), "--out", str(place / out), "split=test", "fit_split=train"),
        *("bootstrap_samples=20", "chance_samples=5", "smoothing.causal=hmm", "smoothing.offline=viterbi"),
    ]
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command, *words], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def _kept(place: Path, home: str) -> dict[str, float]:
    """When each video's vectors were written."""
    return {path.name: path.stat().st_mtime_ns for path in (place / home / "ophclip" / "embeddings").rglob("*.npz")}


def _bytes(folder: Path) -> dict[str, bytes]:
    """Everything that a run wrote; of `result.json` all but how fast it went, which no two runs share."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    tree = json.loads(found["result.json"])
    assert set(tree.pop("throughput")) == {"frames", "video_seconds", "wall_seconds"}
    return {**found, "result.json": json.dumps(tree, sort_keys=True).encode()}


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_and_gives_the_same_bytes(place: Path) -> None:
    runner, real = str(Path(__file__).with_name("zeroshot_runner.py")), ("-m", "ophclip.cli")
    killed = _run(place, "out", "home", runner, "3")
    assert killed.returncode == -9
    before = _kept(place, "home")
    assert len(before) == 2
    assert not (place / "out" / "result.json").exists()
    resumed = _run(place, "out", "home", *real)
    assert resumed.returncode == 0, resumed.stderr
    after = _kept(place, "home")
    assert len(after) == VIDEOS
    assert {name: after[name] for name in before} == before
    throughput = json.loads((place / "out" / "result.json").read_text())["throughput"]
    assert throughput["frames"] == 2 * SECONDS
    undisturbed = _run(place, "whole", "other_home", *real)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert json.loads((place / "whole" / "result.json").read_text())["throughput"]["frames"] == VIDEOS * SECONDS
    one, other = _bytes(place / "out"), _bytes(place / "whole")
    assert {"predictions.csv", "clips.csv", "transitions.csv", "classes.png", "ribbons/v0.png"} <= set(one)
    assert one == other
