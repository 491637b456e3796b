"""A whole result once frames are encoded, and a long video from the file on: `python -m benchmarks.evaluation`.

All 101 videos of Cataract-101 at 1 fps (their annotations where OPHCLIP_TEST_DATA names a folder that holds them, else
as many drawn ones) with vectors that are drawn: every protocol, 1,000 drawings of videos, chance, groups, causal and
offline smoothing, files and pictures. Then a video of two hours, decoded and encoded by the smallest towers. Each in a
process of its own; CPU time of one thread, imports and drawing apart, and the most memory of the process, imports
and all. Asserted inside: the result is computed again from its files alone, and equal; every second is there.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch

from benchmarks.pairs import tell
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.datasets import read_cataract101
from ophclip.evaluation.embedder import EmbeddedVideo
from ophclip.evaluation.embedding import EmbeddingStore
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.records import LabelSegment, PhaseDataset, PhaseVideo, Source
from ophclip.evaluation.runs import zeroshot_dataset
from ophclip.evaluation.scoring import score_dataset
from ophclip.evaluation.timelines import read_timelines
from ophclip.evaluation.vectors import grid_seconds, unit
from ophclip.evaluation.verifying import verify_result
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.smoothing_options import Causal, Offline, SmoothingConfig

WIDTH = 512
LONG_SECONDS, LONG_WIDTH = 7200, 32
SMOOTHING = SmoothingConfig(causal=Causal.HMM, offline=Offline.VITERBI)
MOST_SECONDS, MOST_GB, MOST_GB_LONG = 60.0, 2.0, 1.0


@dataclass(kw_only=True)
class DrawnStore(EmbeddingStore):
    """Vectors of a video that is not there: its phases' sentences, under much noise."""

    dataset: PhaseDataset

    def _read(self, path: Path) -> EmbeddedVideo:
        place, video = next((n, one) for n, one in enumerate(self.dataset.videos) if one.path == path)
        end_seconds = video.segments[-1].end_seconds
        vectors_td = np.random.default_rng(place).standard_normal((len(grid_seconds(end_seconds, self.fps)), WIDTH))
        for part in video.segments:
            rows = slice(int(part.start_seconds), int(part.end_seconds))
            vectors_td[rows] += 3 * self.texts([part.label])
        drawn_td = unit(vectors_td).astype(np.float32)
        return EmbeddedVideo(
            seconds_t=grid_seconds(end_seconds, self.fps), vectors_td=drawn_td, duration_seconds=end_seconds, sha256=""
        )


def dataset() -> tuple[PhaseDataset, str]:
    """Cataract-101 and where its annotations come from."""
    if root := os.environ.get("OPHCLIP_TEST_DATA"):
        return read_cataract101(Path(root) / "cataract101", with_videos=False), "real annotations"
    classes = tuple(entry.label for entry in builtin_prompts("cataract101").classes)
    rng = np.random.default_rng(0)
    videos = []
    for place in range(101):
        edges = np.sort(rng.choice(np.arange(1.0, 500.0), size=12, replace=False)).tolist()
        labels = [classes[number] for number in rng.integers(0, len(classes), 12)]
        segments = tuple(
            LabelSegment(start_seconds=start, end_seconds=end, label=label)
            for start, end, label in zip(edges, [*edges[1:], 500.0], labels, strict=True)
        )
        surgeon = {"surgeon": str(place % 4), "experience": str(1 + place % 2)}
        videos.append(PhaseVideo(video_id=f"v{place}", path=Path(f"v{place}"), segments=segments, attributes=surgeon))
    source = Source(name="drawn", license="", citation="", obtain="")
    return PhaseDataset(source=source, classes=classes, videos=tuple(videos)), "drawn annotations"


def prepare(folder: Path) -> None:
    """What the measurements are given: two bundles, and a video of two hours with its labels and prompts."""
    for width in (WIDTH, LONG_WIDTH):
        write_bundle(folder / f"bundle{width}", width)
    write_video(folder / "long.mp4", LONG_SECONDS)
    rows = "".join(f"long,{start},{start + 600},{'AB'[start // 600 % 2]}\n" for start in range(0, LONG_SECONDS, 600))
    (folder / "labels.csv").write_text(f"video,start_seconds,end_seconds,label\n{rows}", encoding="utf-8")
    (folder / "prompts.yaml").write_text("classes: {A: {name: [a knife]}, B: {name: [a lens]}}\n", encoding="utf-8")


def write_bundle(folder: Path, width: int) -> None:
    """Untrained towers of the smallest size."""
    torch.manual_seed(0)
    config = ModelConfig(
        name="tiny",
        embed_dim=width,
        visual=VisualConfig(name="tiny", image_size_px=64),
        text=TextConfig(name="tiny", context_length=32),
    )
    save_bundle(folder, build_model(config), config, {})


def measure_cataract101(folder: Path) -> dict[str, float | str]:
    """Seconds and memory of all figures, files and pictures, the videos' vectors at hand."""
    labelled, where = dataset()
    store = DrawnStore(model=load_bundle(folder / f"bundle{WIDTH}"), dataset=labelled)
    frames = sum(len(store.video(video.path).seconds_t) for video in labelled.videos)
    began = time.process_time()
    config = ZeroShotConfig(smoothing=SMOOTHING)
    score_dataset(store, labelled, builtin_prompts("cataract101"), folder / "out", config=config)
    seconds = time.process_time() - began
    assert verify_result(folder / "out") == ()
    lines = read_timelines(folder / "out" / "predictions.csv", labelled.classes)
    assert sum(len(line.seconds_t) for line in lines) == frames
    assert len(list((folder / "out" / "ribbons").iterdir())) == len(labelled.videos)
    return {"seconds": seconds, "gb": peak_gb(), "frames": float(frames), "where": where}


def measure_long(folder: Path) -> dict[str, float | str]:
    """Seconds and memory of a video of two hours, from its file to the pictures."""
    before_gb, loaded, config = peak_gb(), folder / f"bundle{LONG_WIDTH}", ZeroShotConfig(smoothing=SMOOTHING)
    prompts, cache, out = str(folder / "prompts.yaml"), folder / "cache", folder / "long"
    began = time.process_time()
    result = zeroshot_dataset(
        loaded, "phase-table", folder / "labels.csv", out, config=config, prompts=prompts, cache=cache
    )
    assert result.throughput.frames == LONG_SECONDS
    return {"seconds": time.process_time() - began, "gb": peak_gb(), "before_gb": before_gb}


def write_video(path: Path, seconds: int) -> None:
    """A frame a second, each of another grey."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(seconds):
            pixels = np.full((240, 320, 3), number % 256, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def peak_gb() -> float:
    """The most memory that this process had, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


MEASURES = {"cataract101": measure_cataract101, "long": measure_long}


def apart(name: str, folder: str) -> dict[str, float | str]:
    """What one measurement finds in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.evaluation", name, folder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure one by name in a prepared folder, or all and tell."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: what is told is one thread's"
    if sys.argv[1:]:
        torch.set_num_threads(1)
        print(json.dumps(MEASURES[sys.argv[1]](Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        whole, long = apart("cataract101", folder), apart("long", folder)
    about = f"evaluation, 101 videos, {whole['frames']:.0f} s, {whole['where']}"
    tell(f"{about}: seconds of a result", [float(whole["seconds"])], most=MOST_SECONDS)
    tell(f"{about}: GB of memory", [float(whole["gb"])], most=MOST_GB)
    tell("evaluation, a video of 2 h: seconds from file to pictures", [float(long["seconds"])])
    tell("evaluation, a video of 2 h: GB of memory", [float(long["gb"])], most=MOST_GB_LONG)
    tell("evaluation, GB of these before anything is read: the libraries", [float(long["before_gb"])])


if __name__ == "__main__":
    main()
