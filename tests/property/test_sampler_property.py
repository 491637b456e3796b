"""What holds of every batch plan: one pass sees everything once, within the limits, from any step, on any machine."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from ingest.records import Level
from ophclip.config import LevelsConfig
from ophclip.data.dataset import choose_frames
from ophclip.data.sampler import BatchPlan, LevelBatchSampler, Pool, Request, Share, level_at


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    counts = draw(st.lists(st.integers(1, 12), min_size=1, max_size=9))
    videos = [number for number, count in enumerate(counts) for _ in range(count)]
    return Pool(
        keys=tuple(f"{video}-{place}" for place, video in enumerate(videos)),
        video_index=tuple(videos),
        batch=draw(st.integers(1, 20)),
        per_video=draw(st.integers(1, 5)),
    )


@given(pool=pools(), seed=st.integers(0, 2**31), number=st.integers(0, 3))
def test_a_pass_holds_every_sample_once_within_both_limits(pool: Pool, seed: int, number: int) -> None:
    plan = BatchPlan({Level.CLIP: pool}, LevelsConfig(clip=1, video=0), seed)
    steps = pool.batches_per_pass
    batches = [plan.batch_at(number * steps + step) for step in range(steps)]
    assert sorted(request.key for batch in batches for request in batch) == sorted(pool.keys)
    sizes = {len(batch) for batch in batches}
    assert max(sizes) == pool.largest_batch <= pool.batch
    assert max(sizes) - min(sizes) <= 1
    for batch in batches:
        assert max(Counter(request.key.split("-")[0] for request in batch).values()) <= pool.per_video


@given(pool=pools(), seed=st.integers(0, 2**31), start=st.integers(0, 60))
def test_starting_later_gives_the_tail(pool: Pool, seed: int, start: int) -> None:
    pools_of = {Level.CLIP: pool, Level.VIDEO: pool}
    whole = LevelBatchSampler(BatchPlan(pools_of, LevelsConfig(clip=2, video=1), seed), 0, start + 5)
    tail = LevelBatchSampler(BatchPlan(pools_of, LevelsConfig(clip=2, video=1), seed), start, start + 5)
    assert list(tail) == list(islice(whole, start, None))


@given(pool=pools(), seed=st.integers(0, 2**31), ranks=st.integers(1, 5), start=st.integers(0, 40))
def test_ranks_share_a_batch_evenly_and_in_order(pool: Pool, seed: int, ranks: int, start: int) -> None:
    plan = BatchPlan({Level.CLIP: pool}, LevelsConfig(clip=1, video=0), seed)
    shares = [Share(rank=rank, ranks=ranks) for rank in range(ranks)]
    streams = [list(LevelBatchSampler(plan, start, start + 6, share)) for share in shares]
    for place, dealt in enumerate(zip(*streams, strict=True)):
        whole = plan.batch_at(start + place)
        assert {len(one) for one in dealt} == {len(whole) // ranks}
        together = [request for one in dealt for request in one]
        positions = [whole.index(request) for request in together]
        assert positions == sorted(set(positions)), "each sample at most once, in the order of one process"
        assert len(whole) - len(together) == len(whole) % ranks


@given(pool=pools(), seed=st.integers(0, 2**31), ranks=st.integers(1, 5), number=st.integers(0, 2))
def test_what_a_pass_leaves_out_is_counted(pool: Pool, seed: int, ranks: int, number: int) -> None:
    plan = BatchPlan({Level.CLIP: pool}, LevelsConfig(clip=1, video=0), seed)
    first, steps = number * pool.batches_per_pass, pool.batches_per_pass
    seen = [
        request.key
        for rank in range(ranks)
        for batch in LevelBatchSampler(plan, first, first + steps, Share(rank=rank, ranks=ranks))
        for request in batch
    ]
    assert len(set(seen)) == len(seen) == len(pool.keys) - pool.left_out(ranks)
    assert pool.smallest_batch == min(len(plan.batch_at(first + step)) for step in range(steps))


@given(
    changes=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=5), seed=st.integers(0, 99)
)
def test_more_and_fewer_ranks_go_on_in_the_same_order(changes: list[tuple[int, int]], seed: int) -> None:
    pool = Pool(keys=tuple(map(str, range(120))), video_index=tuple(range(120)), batch=60, per_video=1)
    plan = BatchPlan({Level.CLIP: pool}, LevelsConfig(clip=1, video=0), seed)
    alone, changing, step = [], list[Request](), 0
    for ranks, steps in changes:
        dealt = [LevelBatchSampler(plan, step, step + steps, Share(rank=rank, ranks=ranks)) for rank in range(ranks)]
        changing += [request for batches in zip(*dealt, strict=True) for batch in batches for request in batch]
        step += steps
    for batch in LevelBatchSampler(plan, 0, step):
        alone += list(batch)
    assert changing == alone, "60 divides among 1 to 5 ranks: nothing is left out"


def test_no_sample_is_left_out_time_and_again() -> None:
    pool = Pool(keys=tuple(map(str, range(14))), video_index=tuple(range(14)), batch=7, per_video=1)
    plan = BatchPlan({Level.CLIP: pool}, LevelsConfig(clip=1, video=0), 0)
    seen: Counter[str] = Counter()
    for rank in range(2):
        for batch in LevelBatchSampler(plan, 0, 400, Share(rank=rank, ranks=2)):
            seen.update(request.key for request in batch)
    expected = 200 * 6 / 7
    assert all(abs(count - expected) < 30 for count in seen.values()), seen
    assert len(seen) == 14


@given(clip=st.integers(0, 4), video=st.integers(0, 4), steps=st.integers(1, 40))
def test_levels_alternate_as_configured(clip: int, video: int, steps: int) -> None:
    if clip + video == 0:
        return
    levels = LevelsConfig(clip=clip, video=video)
    expected = ([Level.CLIP] * clip + [Level.VIDEO] * video) * steps
    seen: Counter[Level] = Counter()
    for step in range(steps):
        level, earlier = level_at(levels, step)
        assert level is expected[step]
        assert earlier == seen[level]
        seen[level] += 1


@given(available=st.integers(1, 70), wanted=st.integers(1, 70))
def test_frames_are_spread_and_within_reach(available: int, wanted: int) -> None:
    places = choose_frames(available, wanted, None)
    assert len(places) == wanted
    assert 0 <= places.min() <= places.max() < available
    assert (places[1:] >= places[:-1]).all()
    if wanted <= available:
        assert len(set(places.tolist())) == wanted


def test_seeds_and_passes_differ() -> None:
    pool = Pool(keys=tuple(map(str, range(64))), video_index=tuple(range(64)), batch=8, per_video=1)
    levels = LevelsConfig(clip=1, video=0)
    first, other = BatchPlan({Level.CLIP: pool}, levels, 1), BatchPlan({Level.CLIP: pool}, levels, 2)
    assert [r.key for r in first.batch_at(0)] != [r.key for r in other.batch_at(0)]
    assert [r.key for r in first.batch_at(0)] != [r.key for r in first.batch_at(8)]
