"""Which samples make up the batch of a step: a pure function of (seed, step), whatever the number of workers.

A pass over a level is cut into the fewest batches that respect the batch size and the cap per video; their sizes differ
by at most one, and every sample is in exactly one of them. So nothing is seen twice before everything was seen once,
and a run can start at any step. Source of the alternation and the cap: docs/method.md.

Several ranks share one batch: each takes its stretch of it, all of the same length, so that the order of samples over
all ranks is that of one process. What does not divide is left out of that step, at random, so that no sample is left
out time and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from ingest.records import Level
from ophclip.config import LevelsConfig

_LEVEL_NUMBER = {Level.CLIP: 0, Level.VIDEO: 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One sample asked of the dataset; the last three make the random numbers of its frames."""

    key: str
    level: Level
    seed: int
    step: int
    slot: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """The samples of one level that may be drawn, and how they are put into batches."""

    keys: tuple[str, ...]
    video_index: tuple[int, ...]
    """Which video each sample is of; equal numbers, same video."""
    batch: int
    """Most samples in a batch."""
    per_video: int
    """Most samples of one video in a batch."""

    @property
    def batches_per_pass(self) -> int:
        """The fewest batches that hold every sample once within both limits."""
        fullest_video = max(np.unique(np.asarray(self.video_index), return_counts=True)[1])
        return max(-(-len(self.keys) // self.batch), -(-int(fullest_video) // self.per_video))

    @property
    def largest_batch(self) -> int:
        """Samples in the largest batch that this pool gives: less than `batch` if the corpus is small or lopsided."""
        return -(-len(self.keys) // self.batches_per_pass)

    @property
    def smallest_batch(self) -> int:
        """Samples in the smallest batch, at most one less than in the largest."""
        return len(self.keys) // self.batches_per_pass

    def left_out(self, ranks: int) -> int:
        """How many samples of a pass `ranks` ranks leave out, because batches do not divide among them."""
        larger = len(self.keys) % self.batches_per_pass
        smaller = self.batches_per_pass - larger
        return larger * ((self.smallest_batch + 1) % ranks) + smaller * (self.smallest_batch % ranks)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A stretch of what all ranks hold together, in rank order."""

    first: int
    count: int
    total: int
    """Of all ranks."""

    @property
    def rows(self) -> slice:
        """Its places among all."""
        return slice(self.first, self.first + self.count)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The part of every batch that one of `ranks` processes trains on."""

    rank: int = 0
    ranks: int = 1

    def part(self, total: int) -> Part:
        """Its stretch of `total` things, as long as every other rank's or shorter by one."""
        first, end = (total * rank // self.ranks for rank in (self.rank, self.rank + 1))
        return Part(first=first, count=end - first, total=total)

    def of(self, batch: Sequence[Request]) -> Sequence[Request]:
        """Its stretch of a batch, as long as every other rank's: up to `ranks - 1` samples are left out at random."""
        excess = len(batch) % self.ranks
        if excess:
            random = np.random.default_rng([batch[0].seed, batch[0].step, 0, 4])
            left_out = set(random.choice(len(batch), excess, replace=False).tolist())
            batch = [request for place, request in enumerate(batch) if place not in left_out]
        return batch[self.part(len(batch)).rows]


def level_at(levels: LevelsConfig, step: int) -> tuple[Level, int]:
    """The level of a step (from 0) and how many steps of that level came before it."""
    cycle, place = divmod(step, levels.clip + levels.video)
    if place < levels.clip:
        return Level.CLIP, cycle * levels.clip + place
    return Level.VIDEO, cycle * levels.video + place - levels.clip


def batch_of_each(pool: Pool, seed: int, level: Level, number: int) -> NDArray[np.int64]:
    """Which batch of pass `number` each sample of the pool is in.

    Videos are shuffled, and clips within each video; laid out so, every run of `batches_per_pass` samples is dealt out
    one to a batch, in random order while that respects the cap, else in turn (which always does).
    """
    random = np.random.default_rng([seed, _LEVEL_NUMBER[level], number])
    count, batches = len(pool.keys), pool.batches_per_pass
    _, video = np.unique(np.asarray(pool.video_index), return_inverse=True)
    rank = random.permutation(int(video.max()) + 1)[video]
    order = np.lexsort((random.random(count), rank))
    dealt = np.concatenate([random.permutation(batches) for _ in range(-(-count // batches))])[:count]
    together = np.unique(video[order] * batches + dealt, return_counts=True)[1]
    if together.max() > pool.per_video:
        dealt = random.permutation(batches)[np.arange(count) % batches]
    batch = np.empty(count, dtype=np.int64)
    batch[order] = dealt
    return batch


class BatchPlan:
    """The batches of a run, by step."""

    def __init__(self, pools: Mapping[Level, Pool], levels: LevelsConfig, seed: int) -> None:
        """`pools` holds every level that `levels` visits, none of them empty."""
        self.pools = dict(pools)
        self.levels = levels
        self.seed = seed
        self._batches = {level: pool.batches_per_pass for level, pool in self.pools.items()}
        self._dealt: dict[Level, tuple[int, NDArray[np.int64]]] = {}

    def batch_at(self, step: int) -> tuple[Request, ...]:
        """What is drawn at `step`, counted from 0."""
        level, visit = level_at(self.levels, step)
        number, place = divmod(visit, self._batches[level])
        members = np.flatnonzero(self._deal(level, number) == place)
        keys = self.pools[level].keys
        return tuple(
            Request(key=keys[int(member)], level=level, seed=self.seed, step=step, slot=slot)
            for slot, member in enumerate(members)
        )

    def _deal(self, level: Level, number: int) -> NDArray[np.int64]:
        """The batch of each sample in a pass; the last pass asked for is kept."""
        kept = self._dealt.get(level)
        if kept is None or kept[0] != number:
            kept = (number, batch_of_each(self.pools[level], self.seed, level, number))
            self._dealt[level] = kept
        return kept[1]


class LevelBatchSampler(Sampler[Sequence[Request]]):
    """One rank's share of the batches from `start_step` on, without end or up to `stop_step`."""

    def __init__(
        self, plan: BatchPlan, start_step: int = 0, stop_step: int | None = None, share: Share | None = None
    ) -> None:
        self._plan = plan
        self._start_step = start_step
        self._stop_step = stop_step
        self._share = share or Share()

    def __iter__(self) -> Iterator[Sequence[Request]]:
        step = self._start_step
        while self._stop_step is None or step < self._stop_step:
            yield self._share.of(self._plan.batch_at(step))
            step += 1
