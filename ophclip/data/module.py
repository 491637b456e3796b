"""A corpus as training sees it: batches by step, and whole videos by id."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from threading import Thread

import cv2
import torch
from lightning import LightningDataModule
from torch import distributed
from torch.utils.data import DataLoader

from ingest.records import Level
from ingest.shards import ShardReader
from ophclip.config import DataConfig, LevelsConfig
from ophclip.data.batch import Batch, VideoBatch
from ophclip.data.corpus import every_video, look_at_first_samples, titled_videos
from ophclip.data.dataset import ShardDataset, number_videos
from ophclip.data.files import open_corpus
from ophclip.data.pictures import stored_side_px
from ophclip.data.sampler import BatchPlan, LevelBatchSampler, Pool, Share
from ophclip.data.tokenizer import Tokenizer, build_tokenizer
from ophclip.data.videos import load_videos
from ophclip.model_options import ModelConfig

log = logging.getLogger(__name__)
_REMEDY = "add narrated, titled videos to the source folder and run `ophclip ingest` again"


class CorpusDataModule(LightningDataModule):
    """Batches of a corpus for `Trainer.fit`; the batch of a step depends on (seed, step) alone."""

    def __init__(
        self, data: DataConfig, model: ModelConfig, seed: int, start_step: int = 0, *, texts: bool = True
    ) -> None:
        """Open the corpus and look at one sample of each level.

        Args:
            data: what is read.
            model: the towers that it is read for.
            seed: of all that is drawn.
            start_step: where the batches begin.
            texts: whether pictures are trained on with their texts; without, video steps draw silent and untitled
                videos as well.

        Raises:
            ValueError: no corpus at `data.root`, too few narrated samples to contrast, or a shard or sample that cannot
                be used; one line that names it.
        """
        super().__init__()
        self.data = data
        self.reader = open_corpus(data)
        for notice in self.reader.notices():
            log.warning("%s: %s", data.root, notice)
        self.tokenizer: Tokenizer = build_tokenizer(model.text)
        self.side_px = stored_side_px(model.visual.image_size_px)
        self.video_numbers = number_videos(self.reader)
        self.videos = titled_videos(self.reader, data.silent_share)
        self.frames = {Level.CLIP: data.clip_frames, Level.VIDEO: data.video_frames}
        self.start_step = start_step
        self._texts = texts
        drawn = self.videos.narrated if texts else every_video(self.reader)
        pools = build_pools(self.reader, data, drawn, self.video_numbers)
        self.plan = BatchPlan(pools, _visited_levels(data.levels, pools), seed)
        look_at_first_samples(self.reader, self.side_px)
        for level, pool in pools.items():
            log.info("%s level: %d samples, batches of up to %d", level.value, len(pool.keys), pool.largest_batch)

    @property
    def levels(self) -> LevelsConfig:
        """The alternation in use: as configured, less a level that the corpus cannot feed."""
        return self.plan.levels

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from `start_step` on, without end: ClipBatch and VideoBatch as `levels` alternate.

        Where several ranks train, each gets its share of every batch; all get the same number of samples at each step.

        Raises:
            ValueError: more ranks than samples in a batch.
        """
        share = self._share()
        for level, pool in self.plan.pools.items():
            _see_that_batches_divide(level, pool, share)
        dataset = ShardDataset(
            self.reader,
            frames=self.frames,
            side_px=self.side_px,
            tokenizer=self.tokenizer,
            video_numbers=self.video_numbers,
            texts=self._texts,
        )
        return DataLoader(
            dataset,
            sampler=LevelBatchSampler(self.plan, self.start_step, share=share),
            batch_size=None,
            num_workers=self.data.workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=prepare_worker,
        )

    def load_videos(
        self, video_ids: Sequence[str], seed: tuple[int, ...] | None = None, first_slot: int = 0
    ) -> VideoBatch:
        """Whole videos by id, as `ophclip.data.videos.load_videos` gives them."""
        return load_videos(
            self.reader,
            video_ids,
            frames=self.data.video_frames,
            side_px=self.side_px,
            tokenizer=self.tokenizer,
            video_numbers=self.video_numbers,
            seed=seed,
            first_slot=first_slot,
        )

    def _share(self) -> Share:
        """This process's part of every batch: by the Trainer, else by the process group, else all of it."""
        if self.trainer is not None:
            return Share(rank=self.trainer.global_rank, ranks=self.trainer.world_size)
        if distributed.is_available() and distributed.is_initialized():
            return Share(rank=distributed.get_rank(), ranks=distributed.get_world_size())
        return Share()


def build_pools(
    reader: ShardReader, data: DataConfig, videos: Sequence[str], video_numbers: dict[str, int]
) -> dict[Level, Pool]:
    """The pools of clips and `videos` that have two samples or more to contrast; a smaller one is left out and said so.

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
            keys=tuple(videos),
            video_index=tuple(video_numbers[video_id] for video_id in videos),
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
        if pool.largest_batch < 2:
            told = "%s: %s batches of a single sample contrast nothing; that level is left out"
            log.warning(told, root, level.value)
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


def _see_that_batches_divide(level: Level, pool: Pool, share: Share) -> None:
    if pool.smallest_batch < share.ranks:
        raise ValueError(
            f"data.{level.value}_batch: batches of {pool.smallest_batch} {level.value} samples are too few for "
            f"{share.ranks} devices; use fewer devices, larger batches or a larger corpus"
        )
    left_out = pool.left_out(share.ranks)
    if left_out and share.rank == 0:
        told = "%s batches do not divide among %d devices: %d of %d samples are left out of each pass, at random"
        log.warning(told, level.value, share.ranks, left_out, len(pool.keys))


def _visited_levels(levels: LevelsConfig, pools: dict[Level, Pool]) -> LevelsConfig:
    return LevelsConfig(
        clip=levels.clip if Level.CLIP in pools else 0, video=levels.video if Level.VIDEO in pools else 0
    )


def prepare_worker(_worker: int) -> None:
    """Set up a loader process: OpenCV on one thread, and SIGTERM heeded from the parent alone.

    A scheduler sends SIGTERM to every process of a job; a loader that died of it would take the parent down before its
    last checkpoint. The parent sends it when it ends on an error, and would wait for ever for a loader that ignored it.
    """
    cv2.setNumThreads(0)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS: there a loader dies of any SIGTERM
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
