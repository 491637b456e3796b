"""What a batch of clips costs the loader, against its peers: `python -m benchmarks.loader`.

The same 64 clips of 8 s from one 720p operation (16 JPEGs each, short side 256), 8 of their frames drawn anew at every
visit, as batches of 16 with tokens. Product: `ShardDataset` and `LevelBatchSampler`, as training has them. Peers:

- an ffmpeg process for each clip, on the video itself: the `ffmpeg` on the path, else that of imageio-ffmpeg, else a
  Python process with PyAV less what an empty one costs;
- webdataset reading its own layout (a member for each JPEG), decoded with simplejpeg and with PIL;
- a bare loop that maps the tars and decodes.

CPU time of this process and its children, in turn, after a warm-up; alone, and with two loader processes. Asserted
inside: pictures, tokens and keys are equal, those of the video within 12 grey levels on average.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import importlib.util
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.ingest import enlarge
from benchmarks.pairs import PAIRS, cost_ratios, tell
from ingest.media import frames_at
from ingest.records import Level, Sample
from ingest.shards import INDEX_NAME, ShardReader, ShardWriter, decode_jpeg, encode_jpeg
from ophclip.config import LevelsConfig
from ophclip.data.dataset import ShardDataset, choose_frames, read_batch
from ophclip.data.module import prepare_worker
from ophclip.data.pictures import decode_square, square, stored_side_px
from ophclip.data.sampler import BatchPlan, LevelBatchSampler, Pool
from ophclip.data.tokenizer import Tokenizer, build_tokenizer
from ophclip.model_options import TextConfig
from ophclip.simulate import SimulateConfig, simulate

CLIPS, SHARDS, BATCH, STORED, DRAWN = 64, 4, 16, 16, 8
CLIP_SECONDS = 8.0
SIDE_PX = stored_side_px(224)
PASSES = 8
STEPS = PASSES * CLIPS // BATCH
TEXT = "now I make clear corneal incision number {} with the keratome and inject viscoelastic into the chamber"


PYAV = """
import sys
import av
path, start, count, width = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
with av.open(path) as container:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    container.seek(int(start / stream.time_base), stream=stream)
    taken = 0
    for frame in container.decode(stream):
        if frame.time >= start + taken - 0.02:
            picture = frame.reformat(width, 256, format="rgb24", interpolation="BICUBIC").to_ndarray()
            sys.stdout.buffer.write(picture.tobytes())
            taken += 1
            if taken == count:
                break
"""
Made = tuple[tuple[str, ...], torch.Tensor, torch.Tensor]
"""Keys, pictures uint8 [B, T, S, S, 3], token ids."""
Decode = Callable[[bytes], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What every side is given."""

    corpus: Path
    own: tuple[str, ...]
    """Tars in webdataset's own layout."""
    tokenizer: Tokenizer
    plan: BatchPlan
    draws: Mapping[str, Sequence[list[int]]]
    """Which frames of each clip are drawn at each visit, as the product draws them."""


def make(folder: Path, video: Path) -> Work:
    """Write the clips of a video in both layouts."""
    import webdataset

    corpus, own = folder / "corpus", []
    starts = {f"v-{number:08d}": 1.0 + number for number in range(CLIPS)}
    (folder / "own").mkdir()
    with ShardWriter(corpus / "shards", CLIPS // SHARDS) as writer:
        for number, (key, start) in enumerate(starts.items()):
            seconds = [start + CLIP_SECONDS * (place + 0.5) / STORED for place in range(STORED)]
            jpegs = [encode_jpeg(one) for one in frames_at(video, seconds, short_side_px=256).pixels_thwc]
            sample = Sample(
                key=key,
                level=Level.CLIP,
                video_id="v",
                narrated=True,
                start_seconds=start,
                end_seconds=start + CLIP_SECONDS,
                text=TEXT.format(number),
                frame_seconds=tuple(seconds),
                jpegs=tuple(jpegs),
            )
            writer.add(sample)
            if number % (CLIPS // SHARDS) == 0:
                own.append(str(folder / "own" / f"{len(own):06d}.tar"))
                tar = webdataset.TarWriter(own[-1])
            facts = json.dumps({"text": sample.text, "frame_seconds": seconds}).encode()
            tar.write({"__key__": key, **{f"{place:02d}.jpg": one for place, one in enumerate(jpegs)}, "json": facts})
            if number % (CLIPS // SHARDS) == CLIPS // SHARDS - 1:
                tar.close()
    pool = Pool(keys=tuple(starts), video_index=tuple(range(CLIPS)), batch=BATCH, per_video=1)
    plan = BatchPlan({Level.CLIP: pool}, LevelsConfig(clip=1, video=0), 0)
    draws: dict[str, list[list[int]]] = {key: [] for key in starts}
    for one in (request for step in range(STEPS) for request in plan.batch_at(step)):
        random = np.random.default_rng([one.seed, one.step, one.slot, 2])
        draws[one.key].append(choose_frames(STORED, DRAWN, random).tolist())
    tokenizer = build_tokenizer(TextConfig(name="any"))
    return Work(corpus=corpus, own=tuple(own), tokenizer=tokenizer, plan=plan, draws=draws)


def product(work: Work, workers: int) -> Iterator[Made]:
    """Batches as training gets them."""
    dataset = ShardDataset(
        ShardReader(work.corpus),
        frames={Level.CLIP: DRAWN},
        side_px=SIDE_PX,
        tokenizer=work.tokenizer,
        video_numbers={"v": 0},
    )
    sampler = LevelBatchSampler(work.plan, 0, STEPS)
    for batch in DataLoader(
        dataset, sampler=sampler, batch_size=None, num_workers=workers, worker_init_fn=prepare_worker
    ):
        yield batch.keys, batch.frames_btchw.permute(0, 1, 3, 4, 2), batch.tokens.ids_bl


class Visits:
    """Which frames are drawn when a clip is met again."""

    def __init__(self, work: Work) -> None:
        self._draws = {key: iter(draws) for key, draws in work.draws.items()}

    def __call__(self, key: str) -> list[int]:
        return next(self._draws[key])


def collated(rows: Sequence[tuple[str, list[NDArray[np.uint8]], str]], tokenizer: Tokenizer) -> Made:
    """Clips as one batch, every picture copied once."""
    pixels_bthwc = np.empty((len(rows), DRAWN, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    for (_, pictures, _), pixels_thwc in zip(rows, pixels_bthwc, strict=True):
        for picture, pixels_hwc in zip(pictures, pixels_thwc, strict=True):
            pixels_hwc[:] = picture
    return tuple(row[0] for row in rows), torch.from_numpy(pixels_bthwc), tokenizer([row[2] for row in rows]).ids_bl


def by_webdataset(work: Work, decode: Decode, workers: int) -> Iterator[Made]:
    """webdataset's pipeline over its own layout."""
    import webdataset

    visits = Visits(work)

    def decoded(sample: Mapping[str, bytes]) -> tuple[str, list[NDArray[np.uint8]], str]:
        key = str(sample["__key__"])
        pictures = [decode(sample[f"{place:02d}.jpg"]) for place in visits(key)]
        return key, pictures, json.loads(sample["json"])["text"]

    source = webdataset.WebDataset(list(work.own), shardshuffle=False).repeat(PASSES)
    batches = source.map(decoded).batched(BATCH, collation_fn=partial(collated, tokenizer=work.tokenizer))
    yield from DataLoader(batches, batch_size=None, num_workers=workers, worker_init_fn=prepare_worker)


def by_simplejpeg(jpeg: bytes) -> NDArray[np.uint8]:
    """As the product decodes."""
    return decode_square(jpeg, SIDE_PX)


def by_pil(jpeg: bytes) -> NDArray[np.uint8]:
    """As most training code decodes."""
    return square(np.asarray(Image.open(BytesIO(jpeg)).convert("RGB")), SIDE_PX)


class Mapped(Dataset[Made]):
    """The bare loop: tars mapped into memory, the drawn pictures decoded, texts out of their JSON."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._rows = {}
        for shard in json.loads((work.corpus / "shards" / INDEX_NAME).read_text())["shards"]:
            with (work.corpus / "shards" / shard["name"]).open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._rows.update({row[0]: (mapped, *row[4:]) for row in shard["samples"]})

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, step: int) -> Made:
        keys = [request.key for request in self._work.plan.batch_at(step)]
        pixels_bthwc = np.empty((len(keys), DRAWN, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
        texts = []
        for key, pixels_thwc in zip(keys, pixels_bthwc, strict=True):
            mapped, start, _, json_start, json_bytes = self._rows[key]
            lengths = struct.unpack_from(f"<{STORED}I", mapped, start + 4)
            ends = np.cumsum(lengths) + (start + 4 + 4 * STORED)
            for frame, place in enumerate(self._work.draws[key][step * BATCH // CLIPS]):
                jpeg = mapped[ends[place] - lengths[place] : ends[place]]
                pixels_thwc[frame] = decode_square(jpeg, SIDE_PX)
            texts.append(json.loads(mapped[json_start : json_start + json_bytes])["text"])
        return tuple(keys), torch.from_numpy(pixels_bthwc), self._work.tokenizer(texts).ids_bl


def bare(work: Work, workers: int) -> Iterator[Made]:
    """The bare loop, alone or in loader processes."""
    mapped = Mapped(work)
    if workers:
        yield from DataLoader(mapped, batch_size=None, num_workers=workers, worker_init_fn=prepare_worker)
    else:
        yield from map(mapped.__getitem__, range(STEPS))


def fingerprints(batches: Iterable[Made]) -> Counter[str]:
    """A hash for every clip of every batch: key, pictures, tokens."""
    found: Counter[str] = Counter()
    for keys, pixels_bthwc, ids_bl in batches:
        for key, pixels_thwc, ids_l in zip(keys, pixels_bthwc, ids_bl, strict=True):
            data = pixels_thwc.numpy().tobytes() + ids_l.numpy().tobytes()
            found[f"{key} {hashlib.blake2b(data).hexdigest()}"] += 1
    return found


def cpu_seconds() -> float:
    """CPU time of this process and of those it has waited for."""
    return sum(os.times()[:4])


def exhausted(side: Callable[[], Iterable[Made]]) -> Callable[[], None]:
    """Take all batches and wait for the loader's processes, so that their time is counted."""

    def run() -> None:
        for _ in side():
            pass
        gc.collect()

    return run


def against_libraries(work: Work) -> None:
    """webdataset and the bare loop, alone and with two loader processes."""
    for workers in (0, 2):
        ours = partial(product, work, workers)
        alone = "alone" if workers == 0 else f"{workers} processes"
        peers: dict[str, Callable[[], Iterable[Made]]] = {
            "webdataset, simplejpeg": partial(by_webdataset, work, by_simplejpeg, workers),
            "webdataset, PIL": partial(by_webdataset, work, by_pil, workers),
            "a bare loop": partial(bare, work, workers),
        }
        expected = fingerprints(ours())
        for name, peer in peers.items():
            assert fingerprints(peer()) == expected, name
            ratios = cost_ratios(exhausted(ours), exhausted(peer), cpu_seconds)
            if name == "a bare loop":
                tell(f"loader, ours over {name}, {alone}", ratios, most=1.05)
            else:
                tell(f"loader, {name} over ours, {alone}", [1 / ratio for ratio in ratios], least=1.0)


def process_command() -> tuple[str, list[str]]:
    """What stands for ffmpeg here, and how its command begins."""
    if found := shutil.which("ffmpeg"):
        return "ffmpeg", [found]
    if importlib.util.find_spec("imageio_ffmpeg"):
        return "imageio-ffmpeg's ffmpeg", [importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()]
    return "Python with PyAV, less its start", [sys.executable, "-c", PYAV]


def frames_of_process(command: Sequence[str], video: Path, start: float, width_px: int) -> NDArray[np.uint8]:
    """`DRAWN` frames from `start` on, one a second, by a process of its own: uint8 [T, 256, W, 3]."""
    if PYAV in command:
        words = [*command, str(video), f"{start:.3f}", str(DRAWN), str(width_px)]
    else:
        chain = f"fps=1:start_time=0:round=near,scale={width_px}:256:flags=bicubic"
        words = [*command, "-v", "error", "-threads", "1", "-ss", f"{start:.3f}", "-i", str(video), "-an"]
        words += ["-vf", chain, "-frames:v", str(DRAWN), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(raw, dtype=np.uint8).reshape(DRAWN, 256, width_px, 3)


def against_a_process(work: Work, video: Path) -> None:
    """A process for each clip, on the video itself."""
    name, command = process_command()
    reader, repeats = ShardReader(work.corpus), 20
    keys = list(work.draws)[:: CLIPS // 6][:6]
    samples = [reader.read(key) for key in keys]
    width_px = decode_jpeg(samples[0].jpegs[0]).shape[1]

    def ours() -> torch.Tensor:
        options: dict[str, Any] = {"frames": DRAWN, "side_px": SIDE_PX, "tokenizer": work.tokenizer}
        return read_batch(reader, keys, **options, video_numbers={"v": 0}, randoms=[None] * len(keys)).frames_btchw

    def theirs() -> NDArray[np.uint8]:
        starts = [sample.frame_seconds[STORED // DRAWN // 2] for sample in samples]
        clips = [frames_of_process(command, video, start, width_px) for start in starts]
        left = (width_px - SIDE_PX) // 2
        return np.stack(clips)[..., left : left + SIDE_PX, :]

    difference = np.abs(ours().permute(0, 1, 3, 4, 2).numpy().astype(float) - theirs()).mean()
    assert difference < 12, difference
    started = 0.0
    if PYAV in command:
        began = cpu_seconds()
        for _ in range(10):
            subprocess.run([sys.executable, "-c", "import av, numpy"], check=True)
        started = (cpu_seconds() - began) / 10 * len(keys)
    ratios = []
    for _ in range(PAIRS + 1):
        began = cpu_seconds()
        theirs()
        peer = cpu_seconds() - began - started
        began = cpu_seconds()
        for _ in range(repeats):
            ours()
        ratios.append(peer / (cpu_seconds() - began) * repeats)
    tell(f"loader, a process of {name} for each clip over ours", ratios[1:], least=100.0)


def main() -> None:
    """Make the clips, measure, print lines of JSON."""
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: all sides run on one thread"
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=ResourceWarning)  # webdataset leaves its tars to the garbage collector
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(SimulateConfig(out=str(folder / "world"), narrated=0, silent=1, held_out=0))
        (source,) = (folder / "world" / "videos").rglob("*.mp4")
        video = enlarge(source, folder / "720p.mp4", (1280, 720))
        work = make(folder, video)
        against_a_process(work, video)
        against_libraries(work)


if __name__ == "__main__":
    main()
