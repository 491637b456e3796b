"""A corpus as training sees it: batches by step, and whole videos by id."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader

from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.config import DataConfig, LevelsConfig, ModelConfig
from ophclip.data.batch import Batch, VideoBatch
from ophclip.data.dataset import Collate, ShardDataset, decode_item, number_videos
from ophclip.data.files import open_corpus
from ophclip.data.pictures import stored_side_px
from ophclip.data.sampler import BatchPlan, LevelBatchSampler, Pool
from ophclip.data.tokenizer import Tokenizer, build_tokenizer
from ophclip.data.videos import load_videos

log = logging.getLogger(__name__)
_REMEDY = "add narrated, titled videos to the source folder and run `ophclip ingest` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Videos:
    """The titled videos of a corpus, by id, sorted: those without a title are no pairs and are left out."""

    narrated: tuple[str, ...]
    silent: tuple[str, ...]


class CorpusDataModule(LightningDataModule):
    """Batches of a corpus for `Trainer.fit`; the batch of a step depends on (seed, step) alone."""

    def __init__(self, data: DataConfig, model: ModelConfig, seed: int, start_step: int = 0) -> None:
        """Open the corpus and look at one sample of each level.

        Raises:
            ValueError: no corpus at `data.root`, too few narrated samples to contrast, or a sample that cannot be used.
        """
        super().__init__()
        self.data = data
        self.reader = open_corpus(data.root)
        self.tokenizer: Tokenizer = build_tokenizer(model.text)
        self.side_px = stored_side_px(model.visual.image_size_px)
        self.video_numbers = number_videos(self.reader)
        self.videos = titled_videos(self.reader)
        self.frames = {Level.CLIP: data.clip_frames, Level.VIDEO: data.video_frames}
        self.start_step = start_step
        pools = build_pools(self.reader, data, self.videos.narrated, self.video_numbers)
        self.plan = BatchPlan(pools, _visited_levels(data.levels, pools), seed)
        self._look_at_first_samples()

    @property
    def levels(self) -> LevelsConfig:
        """The alternation in use: as configured, less a level that the corpus cannot feed."""
        return self.plan.levels

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from `start_step` on, without end: ClipBatch and VideoBatch as `levels` alternate."""
        dataset = ShardDataset(self.reader, frames=self.frames, side_px=self.side_px, video_numbers=self.video_numbers)
        return DataLoader(
            dataset,  # type: ignore[arg-type]
            batch_sampler=LevelBatchSampler(self.plan, self.start_step),  # type: ignore[arg-type]
            collate_fn=Collate(self.tokenizer),
            num_workers=self.data.workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=prepare_worker,
        )

    def load_videos(self, video_ids: Sequence[str], seed: tuple[int, ...] | None = None) -> VideoBatch:
        """Whole videos by id, as `ophclip.data.videos.load_videos` gives them."""
        return load_videos(
            self.reader,
            video_ids,
            frames=self.data.video_frames,
            side_px=self.side_px,
            tokenizer=self.tokenizer,
            video_numbers=self.video_numbers,
            seed=seed,
        )

    def _look_at_first_samples(self) -> None:
        for level, pool in self.plan.pools.items():
            decode_item(self.reader.read(pool.keys[0]), frames=1, side_px=self.side_px, video_index=0, random=None)
            log.info("%s level: %d samples, batches of up to %d", level.value, len(pool.keys), pool.largest_batch)


def titled_videos(reader: ShardReader) -> Videos:
    """The videos that have a title, narrated and silent apart."""
    titled = sorted((entry.video_id, entry.narrated) for entry in reader.entries(Level.VIDEO) if entry.has_text)
    return Videos(
        narrated=tuple(video_id for video_id, narrated in titled if narrated),
        silent=tuple(video_id for video_id, narrated in titled if not narrated),
    )


def build_pools(
    reader: ShardReader, data: DataConfig, narrated: Sequence[str], video_numbers: dict[str, int]
) -> dict[Level, Pool]:
    """The pool of each level that has two samples or more to contrast; a smaller one is left out and said so.

    A corpus smaller than a batch gives smaller batches, each sample once a pass: repeating samples would put a text
    among its own negatives.

    Raises:
        ValueError: no level is left.
    """
    clips = sorted(entry.key for entry in reader.entries(Level.CLIP) if entry.has_text)
    of_clip = {entry.key: entry.video_id for entry in reader.entries(Level.CLIP)}
    numbers = tuple(video_numbers[of_clip[key]] for key in clips)
    candidates = {
        Level.CLIP: Pool(
            keys=tuple(clips), video_index=numbers, batch=data.clip_batch, per_video=data.max_clips_per_video
        ),
        Level.VIDEO: Pool(
            keys=tuple(narrated),
            video_index=tuple(video_numbers[video_id] for video_id in narrated),
            batch=data.video_batch,
            per_video=1,
        ),
    }
    wanted = {Level.CLIP: data.levels.clip, Level.VIDEO: data.levels.video}
    return _usable(candidates, wanted, data.root)


def _usable(candidates: dict[Level, Pool], wanted: dict[Level, int], root: str) -> dict[Level, Pool]:
    pools = {}
    for level, pool in candidates.items():
        if wanted[level] == 0:
            continue
        if len(pool.keys) < 2:
            log.warning("%s: %d %s samples are too few; that level is left out", root, len(pool.keys), level.value)
            continue
        if len(pool.keys) < pool.batch:
            log.warning(
                "%s: %d %s samples; batches are reduced to %d", root, len(pool.keys), level.value, pool.largest_batch
            )
        pools[level] = pool
    if not pools:
        counts = ", ".join(f"{len(pool.keys)} {level.value}" for level, pool in candidates.items())
        raise ValueError(f"{root}: too few narrated samples to train on ({counts}; at least 2 needed); {_REMEDY}")
    return pools


def _visited_levels(levels: LevelsConfig, pools: dict[Level, Pool]) -> LevelsConfig:
    return LevelsConfig(
        clip=levels.clip if Level.CLIP in pools else 0, video=levels.video if Level.VIDEO in pools else 0
    )


def prepare_worker(_worker: int) -> None:
    """Set up a loader process: OpenCV on one thread, and SIGTERM left to the parent.

    A scheduler sends SIGTERM to the whole group; a loader that died of it would take the parent down before its last
    checkpoint. Loaders end when the parent says so or is gone.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
