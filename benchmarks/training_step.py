"""The training step against three peers: `python -m benchmarks.training_step`.

- Lightning's step as `ophclip.training.fit` runs it, its recorder included, against the same clip step written out by
  hand: same towers, views, losses (cross entropies over a whole table of logits), fused AdamW, deterministic torch.
- The plain contrastive step (one view, no silent videos) against `train_one_epoch` of open_clip_train: the same towers
  with the same weights, pictures, dtype, clipping and fused AdamW. Its pictures come ready from a loader, so ours do
  too; what our augmentation on the device adds is told apart.
- Three clip steps and a video step with live retrieval against four plain clip steps, with as many narrated pictures in
  every step. Every narrated title retrieves a silent video of its own, which is the most that live retrieval can cost.
  The bank is filled before and stays; a refresh is told apart, as encoder time at the sizes of OphVL and `+exp=ophvl`.

Batches repeat, so that only steps are measured. Processor time of one thread, with `--device cuda` wall time. The
size of a real run: `--model vit_b_16 --device cuda --precision bf16 --clips 120 --videos 60 --workers 14`. Asserted
inside: losses of both sides are equal, step by step; every title draws its own.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pairs import PAIRS, tell, told_ratios
from benchmarks.training_peers import WARM_STEPS, Clock, OpenClip, hand_written, two_view_loss
from ingest.records import Level, Sample
from ingest.shards import ShardWriter, encode_jpeg
from ophclip.composing import compose
from ophclip.config import Precision, TrainConfig
from ophclip.data.batch import Batch, ClipBatch
from ophclip.data.module import CorpusDataModule
from ophclip.training.callbacks import Recorder
from ophclip.training.chance import generator
from ophclip.training.export import new_model
from ophclip.training.fit import accelerator_of, build_trainer, settings
from ophclip.training.module import TrainingModule
from ophclip.training.ranks import Ranks
from retrieval_index.bank import KnowledgeBank

STEPS = 4
TEXT = "now I make clear corneal incision number {} with the keratome"
TITLE = "phacoemulsification number {} in a mature cataract"
ONE_VIEW = "loss.self_supervision=none"
PLAIN = (ONE_VIEW, "retrieval.mode=none")
SLOW = "optim.learning_rate=1e-9"
"""Keeps titles near those in the bank, as they are in a real run after a refresh."""
SILENT_VIDEOS = 30_636
"""Of OphVL."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What every comparison is given."""

    options: tuple[str, ...]
    device: str
    pairs: int
    batches: tuple[Batch, ...]
    """Three of clips and one of videos, as a run alternates."""

    def module(self, *more: str) -> TrainingModule:
        """With the same first weights every time."""
        config = compose("train", [*self.options, *more], TrainConfig)
        torch.manual_seed(0)
        return TrainingModule(new_model(config), CorpusDataModule(config.data, config.model, 0), config)

    def clock(self) -> float:
        """Seconds of this process on the CPU, of the wall with a GPU."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    @property
    def clips(self) -> ClipBatch:
        """A batch of clips."""
        assert isinstance(self.batches[0], ClipBatch)
        return self.batches[0]

    @property
    def pictures(self) -> int:
        """Narrated pictures in each step."""
        return self.clips.frames_btchw.shape[:2].numel()


def make(folder: Path, given: argparse.Namespace) -> Work:
    """A corpus of noise in which every narrated video has a silent one of the same title, and its first batches."""
    video_frames = given.clips * given.frames // given.videos
    random = np.random.default_rng(0)
    with ShardWriter(folder / "shards", 64) as writer:
        for number in range(given.clips):
            name = f"narrated{number:04d}"
            writer.add(sample(random, f"{name}-00000000", Level.CLIP, TEXT.format(number), given.frames))
            for video_id in (name, f"silent{number:04d}") if number < given.videos else ():
                writer.add(sample(random, video_id, Level.VIDEO, TITLE.format(number), video_frames))
    (folder / "run").mkdir()
    options = (
        f"model={given.model}",
        f"data.root={folder}",
        f"out={folder / 'run'}",
        f"data.clip_batch={given.clips}",
        f"data.clip_frames={given.frames}",
        f"data.video_batch={given.videos}",
        f"data.video_frames={video_frames}",
        f"data.workers={given.workers}",
        f"trainer.precision={given.precision}",
        f"trainer.device={given.device}",
        "trainer.steps=1000000",
        "optim.warmup_steps=0",
        "retrieval.top_k=1",
        "retrieval.min_score=-1",
        "retrieval.refresh_every=1000000",
    )
    config = compose("train", list(options), TrainConfig)
    loader = iter(CorpusDataModule(config.data, config.model, 0).train_dataloader())
    batches = tuple(next(loader) for _ in range(4))
    assert [one.frames_btchw.shape[:2].numel() for one in batches] == 4 * [given.clips * given.frames]
    return Work(options=options, device=given.device, pairs=given.pairs, batches=batches)


def sample(random: np.random.Generator, key: str, level: Level, text: str, frames: int) -> Sample:
    """Pictures of coarse noise, short side 256."""
    noise = random.integers(0, 255, (frames, 32, 32, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return Sample(
        key=key,
        level=level,
        video_id=key.partition("-")[0],
        narrated=key.startswith("narrated"),
        start_seconds=0.0,
        end_seconds=float(frames),
        text=text,
        frame_seconds=tuple(float(second) for second in range(frames)),
        jpegs=tuple(encode_jpeg(one) for one in noise),
    )


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same batches over and over."""

    batches: Sequence[Batch]

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield from self.batches


class Watch(Callback):
    """Reports of all steps, and the seconds of those after the first `warm`."""

    def __init__(self, clock: Clock, warm: int) -> None:
        self._clock, self._warm = clock, warm
        self.reports: list[dict[str, Any]] = []
        self.seconds = 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Take the time after the warm-up and at the end."""
        self.reports.append(outputs["reports"])
        if batch_idx + 1 == self._warm:
            self.seconds = -self._clock()
        if batch_idx + 1 == trainer.max_steps:
            self.seconds += self._clock()

    @property
    def losses(self) -> list[float]:
        """Of all steps."""
        return [float(report["loss"]) for report in self.reports]


def fitted(
    work: Work, module: TrainingModule, batches: Any, warm: int, steps: int, *, clock: Clock | None = None
) -> Watch:
    """Train as `fit` does, without validation and checkpoints, which are no part of a step."""
    config, watch = module.config, Watch(clock or work.clock, warm)
    with settings(config.trainer, accelerator_of(work.device), Ranks()):
        recorder = Recorder(Path(config.out) / "metrics.csv", None, None)
        first = config.trainer.steps - warm - steps
        build_trainer(config, first, [recorder, watch], Ranks()).fit(module, batches)
    return watch


def step_seconds(work: Work, module: TrainingModule, batches: Sequence[Batch]) -> float:
    """Seconds of a step on repeated batches, after each was seen once."""
    steps = len(batches) * max(1, STEPS // len(batches))
    return fitted(work, module, Repeated(batches), len(batches), steps).seconds / steps


def see_that_losses_agree(ours: Sequence[float], theirs: Sequence[float], precision: Precision) -> None:
    """Equal as far as the arithmetic allows."""
    tolerance = 1e-3 if precision is Precision.FP32 else 3e-2
    torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=tolerance, atol=tolerance)


def compare_by_hand(work: Work) -> None:
    """Print how fast Lightning's step is against the one by hand."""
    ours, theirs, clips = work.module(), work.module(), work.clips
    losses = fitted(work, ours, Repeated([clips]), WARM_STEPS, 2).losses
    by_hand = hand_written(theirs, clips, 2, work.device, work.clock)[1]
    see_that_losses_agree(losses, by_hand, ours.config.trainer.precision)
    ratios = told_ratios(
        lambda: hand_written(theirs, clips, STEPS, work.device, work.clock)[0],
        lambda: step_seconds(work, ours, [clips]),
        work.pairs,
    )
    tell("training, step by hand's time over Lightning's", ratios, least=0.97)


def compare_open_clip(work: Work) -> None:
    """Print how fast our plain step is against open_clip's loop, which knows pictures: clips of one."""
    ours, augmented, pictures = work.module(*PLAIN), work.module(*PLAIN), work.clips.frames_btchw.flatten(0, 1)
    texts = tuple(TEXT.format(number) for number in range(len(pictures)))
    corpus = CorpusDataModule(ours.config.data, ours.config.model, 0)
    singles = replace(
        work.clips,
        frames_btchw=pictures[:, None],
        tokens=corpus.tokenizer(texts),
        video_index_b=torch.arange(len(texts)),
        keys=texts,
        texts=texts,
    )
    ready = replace(singles, frames_btchw=ours.augment(singles.frames_btchw, generator(0, 0, "ready")))
    ours.encoder = replace(ours.encoder, augment=lambda frames, *_chances: frames)
    theirs = OpenClip(ours, work.device, work.clock)
    pair = (ready.frames_btchw[:, 0].clone(), ready.tokens.ids_bl)
    losses = fitted(work, ours, Repeated([ready]), WARM_STEPS, 2).losses
    see_that_losses_agree(losses, theirs.train(pair, 2)[1], ours.config.trainer.precision)

    def peer() -> float:
        return theirs.train(pair, STEPS)[0]

    ratios = told_ratios(peer, lambda: step_seconds(work, ours, [ready]), work.pairs)
    tell("training, open_clip's loop's time over our plain step's", ratios, least=1.0)
    ratios = told_ratios(peer, lambda: step_seconds(work, augmented, [singles]), work.pairs)
    tell("training, the same, our augmentation counted, theirs not", ratios)


@dataclass(slots=True)
class Spent:
    """Seconds inside some calls, by what they are for."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def inside(self, calls: dict[str, tuple[tuple[type, str], ...]], clock: Clock) -> Iterator[None]:
        """Take the time of every call of these methods."""
        with ExitStack() as stack:
            for purpose, methods in calls.items():
                self.seconds[purpose] = 0.0
                for kind, name in methods:
                    stack.enter_context(patch.object(kind, name, self._timed(getattr(kind, name), purpose, clock)))
            yield

    def _timed(self, method: Any, purpose: str, clock: Clock) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            began = clock()
            try:
                return method(*given, **named)
            finally:
                self.seconds[purpose] += clock() - began

        return call


RETRIEVING = {
    "read silent videos": ((CorpusDataModule, "load_videos"),),
    "search and write the bank": ((KnowledgeBank, "search"), (KnowledgeBank, "vectors"), (KnowledgeBank, "replace")),
}


def compare_retrieval(work: Work) -> None:
    """Print what a cycle of both levels costs against plain steps, whole and by picture, and what it is made of."""
    plain = work.module(*PLAIN)
    for views, options in ((1, (ONE_VIEW, SLOW)), (2, (SLOW,))):
        ours, label = work.module(*options), f"{views} view{'s' if views > 1 else ''}"
        ours.silent.refresh(ours.model.to(work.device), 0)
        loading = CorpusDataModule.load_videos
        with patch.object(CorpusDataModule, "load_videos", autospec=True, side_effect=loading) as loads:
            fitted(work, ours, Repeated(work.batches), 4, 4)
        assert [len(call.args[1]) for call in loads.call_args_list] == 2 * [len(work.batches[3])]
        ratios = told_ratios(
            lambda: step_seconds(work, ours, work.batches),  # noqa: B023
            lambda: step_seconds(work, plain, work.batches[:1]),
            work.pairs,
        )
        goal = 1.15 if views == 1 else None
        tell(f"training, both levels and live retrieval, {label}, over plain", ratios, most=goal)
        # Three clip steps, the narrated videos and as many silent ones, against four plain steps.
        encoded = (3 * views + 2) / 4
        tell(f"training, the same by picture encoded, {label}", [one / encoded for one in ratios])
        spent = Spent()
        with spent.inside(RETRIEVING, work.clock):
            cycle = fitted(work, ours, Repeated(work.batches), 4, 4).seconds
        for purpose, seconds in spent.seconds.items():
            tell(f"training, share of the cycle to {purpose}, {label}", [seconds / 2 / cycle])
    tell_refresh(work, ours, cycle - spent.seconds["read silent videos"] / 2)


def tell_refresh(work: Work, module: TrainingModule, cycle_seconds: float) -> None:
    """Print encoder time of a refresh against that of the steps between two, at the numbers of OphVL."""
    ophvl = compose("train", ["+exp=ophvl", "data.root=any", f"model={module.config.model.name}"], TrainConfig)
    frames = module.augment(work.batches[3].frames_btchw.to(work.device), generator(0, 0, "refresh"))
    module.to(work.device).eval()
    seconds = []
    with (
        torch.no_grad(),
        torch.autocast(work.device, torch.bfloat16, enabled=module.config.trainer.precision is Precision.BF16),
    ):
        for _ in range(1 + work.pairs):
            began = work.clock()
            module.model.encode_video(frames)
            seconds.append((work.clock() - began) / work.pictures)
    module.train()
    clip = step_seconds(work, module, work.batches[:1])
    of_clip, of_video = clip / work.pictures, (cycle_seconds - 3 * clip) / work.pictures
    data, levels = ophvl.data, ophvl.data.levels
    by_clips = levels.clip * data.clip_batch * data.clip_frames * of_clip
    by_videos = levels.video * data.video_batch * data.video_frames * of_video
    between = ophvl.retrieval.refresh_every * (by_clips + by_videos) / (levels.clip + levels.video)
    shares = [SILENT_VIDEOS * data.video_frames * one / between for one in seconds[1:]]
    tell("training, a refresh over the steps between two, OphVL", shares, most=0.1)


def matrix_peak(work: Work, dtype: torch.dtype) -> float:
    """Multiplications and additions a second in the best of several products of large matrices."""
    side = 1024 if work.device == "cpu" else 8192
    left, right = (torch.randn(side, side, device=work.device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(30):
        began = work.clock()
        left @ right
        best = min(best, work.clock() - began)
    return 2 * side**3 / best


def tell_pace(work: Work, model: str) -> None:
    """Print clips a second, the share of the matrix peak, the wait for data, and memory."""
    real = model == "vit_b_16" and work.device == "cuda"
    for label, module in (("plain", work.module(*PLAIN)), ("two views", work.module())):
        seconds = [step_seconds(work, module, work.batches[:1]) for _ in range(work.pairs)]
        paces = [len(work.clips) / one for one in seconds]
        tell(f"training, {model}, clips a second, {label}", paces, least=358 if real and label == "plain" else None)
    module.to(work.device)
    with FlopCounterMode(display=False) as counted:
        two_view_loss(module, work.clips.to(work.device), 0, work.device).backward()
    module.zero_grad()
    dtype = torch.bfloat16 if module.config.trainer.precision is Precision.BF16 else torch.float32
    done, peak = counted.get_total_flops(), matrix_peak(work, dtype)
    tell(f"training, {model}, share of the matrix peak, two views", [done / one / peak for one in seconds])
    config, plain = module.config, work.module(*PLAIN)
    loaded = CorpusDataModule(config.data, config.model, 0).train_dataloader()
    walls = [
        fitted(work, plain, one, 4, 8, clock=time.perf_counter).seconds for one in (Repeated(work.batches), loaded)
    ]
    tell(
        f"training, {model}, share of the wall waiting for data", [1 - walls[0] / walls[1]], most=0.02 if real else None
    )
    if work.device == "cuda":
        tell(f"training, {model}, gigabytes at most", [torch.cuda.max_memory_allocated() / 1e9])


def main() -> None:
    """Make the batches, compare, print lines of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--clips", type=int, default=8, help="in a batch")
    parser.add_argument("--frames", type=int, default=8, help="of a clip")
    parser.add_argument("--videos", type=int, default=4, help="in a batch, with as many pictures together as the clips")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args()
    if given.device == "cpu":
        assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: both sides run on one thread"
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        work = make(Path(name), given)
        compare_by_hand(work)
        compare_open_clip(work)
        compare_retrieval(work)
        tell_pace(work, given.model)


if __name__ == "__main__":
    main()
