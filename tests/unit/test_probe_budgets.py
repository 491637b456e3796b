"""Training sets of a probe, and which videos they may come from."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophclip.evaluation.probes.budgets import Budget, drawn_picks, share_budgets, video_order
from ophclip.evaluation.probes.figures import Header, budget_row
from ophclip.evaluation.probes.parting import part
from ophclip.evaluation.probes.samples import ProbeVideo, ids_of, one_hot, probe_videos
from ophclip.evaluation.records import LabelSegment, PhaseDataset, PhaseVideo, PresenceDataset, PresenceVideo, Source
from ophclip.probe_options import ProbeConfig

SOURCE = Source(name="t", license="", citation="", obtain="")
shown = st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=9)


def _videos(seed: int = 0, count: int = 6, classes: int = 4) -> list[ProbeVideo]:
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        ids = rng.integers(-1, classes, size=30 + number)
        found.append(
            ProbeVideo(
                video_id=f"v{number}",
                path=Path(f"v{number}.mp4"),
                seconds_n=np.arange(float(len(ids))),
                rows_n=np.arange(len(ids)),
                truth_nc=one_hot(ids, classes),
                vectors_td=rng.normal(size=(len(ids), 5)).astype(np.float32),
            )
        )
    return found


def _dataset(splits: list[str], *, same_file: bool = False) -> PhaseDataset:
    part = (LabelSegment(start_seconds=0, end_seconds=5, label="a"),)
    return PhaseDataset(
        source=SOURCE,
        classes=("a", "b"),
        videos=tuple(
            PhaseVideo(video_id=f"v{place}", path=Path("one" if same_file else f"f{place}"), segments=part, split=split)
            for place, split in enumerate(splits)
        ),
    )


@given(shown, st.integers(0, 7), st.integers(0, 3))
def test_every_class_is_covered_as_soon_as_it_can_be_after_a_free_first_video(
    has: list[list[bool]], draw: int, seed: int
) -> None:
    has_vc = np.array(has)
    order = video_order(has_vc, draw=draw, seed=seed)
    assert sorted(order) == list(range(len(has)))
    missing = has_vc.any(axis=0)
    for taken, place in enumerate(order):
        gain = (has_vc[place] & missing).sum()
        if taken:
            assert gain == max((has_vc[other] & missing).sum() for other in order[taken:])
        missing = missing & ~has_vc[place]
    assert not missing.any()


def test_draws_begin_with_different_videos_as_long_as_there_are_some() -> None:
    has_vc = np.ones((5, 2), dtype=bool)
    assert {video_order(has_vc, draw=draw, seed=3)[0] for draw in range(5)} == set(range(5))
    assert video_order(has_vc, draw=1, seed=3) == video_order(has_vc, draw=1, seed=3)


def test_larger_training_sets_hold_the_smaller() -> None:
    videos = _videos()
    for draw in range(3):
        drawn = [drawn_picks(videos, Budget(videos=count), draw=draw, seed=1) for count in (1, 2, 4, 6)]
        for count, smaller, larger in zip((1, 2, 4), drawn, drawn[1:], strict=False):
            assert len(smaller) == count
            assert set(smaller) <= set(larger)
        for place, rows in drawn[-1].items():
            assert rows.tolist() == np.flatnonzero(~np.isnan(videos[place].truth_nc[:, 0])).tolist()
        few = [drawn_picks(videos, Budget(shots=shots), draw=draw, seed=1) for shots in (1, 4, 16)]
        for smaller, larger in pairwise(few):
            assert all(set(rows.tolist()) <= set(larger[place].tolist()) for place, rows in smaller.items())


@pytest.mark.parametrize("shots", [1, 4, 16, 1000])
def test_shots_are_so_many_of_each_class_from_as_many_videos_as_possible(shots: int) -> None:
    videos = _videos(seed=4)
    picks = drawn_picks(videos, Budget(shots=shots), draw=0, seed=0)
    labels = [ids_of(videos[place].truth_nc[rows]) for place, rows in picks.items()]
    for column in range(4):
        there = [int((ids_of(video.truth_nc) == column).sum()) for video in videos]
        by_video = [int((ids == column).sum()) for ids in labels]
        assert sum(by_video) == min(shots, sum(there))
        assert sum(count > 0 for count in by_video) == min(shots, sum(count > 0 for count in there))
        if shots < 16:
            assert max(by_video) <= -(-shots // len(videos)) + 1


def test_shots_of_presence_hold_seconds_without_the_class_too() -> None:
    videos = [replace(video, truth_nc=np.where(video.truth_nc > 0, 1.0, 0.0)) for video in _videos(classes=2)]
    picks = drawn_picks(videos, Budget(shots=3), draw=0, seed=0, exclusive=False)
    learned = np.concatenate([videos[place].truth_nc[rows] for place, rows in picks.items()])
    assert ((learned == 1).sum(axis=0) >= 3).all()
    assert ((learned == 0).sum(axis=0) >= 3).all()


def test_shares_that_come_to_the_same_are_one_line_and_say_so() -> None:
    found = share_budgets([100, 1, 5, 10, 25, 50], 8)
    assert {budget.videos: shares for budget, shares in found.items()} == {1: (1, 5, 10), 2: (25,), 4: (50,), 8: (100,)}
    options = {"shares_percent": [1, 5, 10, 25, 50, 100]}
    header = Header(provenance={"options": options, "split": {"train": ["v"] * 8}}, classes=("a",))
    note = budget_row(header, Budget(videos=1))["note"]
    assert note.startswith("1 %, 5 %, 10 % of 8 training videos is less than one: one was taken")
    assert budget_row(header, Budget(videos=4))["note"] == ""
    assert [budget.videos for budget in share_budgets([1, 5, 10], 101)] == [1, 5, 10]


def test_the_own_split_is_taken_and_others_are_counted() -> None:
    parted = part(_dataset(["train", "test", "val", "train"]), ProbeConfig())
    assert [video.video_id for video in parted.train.videos] == ["v0", "v3"]
    assert [video.video_id for video in parted.test.videos] == ["v1"]
    assert parted.left_out == 1
    assert "own" in parted.rule


def test_without_splits_one_is_drawn_that_does_not_depend_on_the_order_of_the_files() -> None:
    dataset = _dataset([""] * 10)
    one = part(dataset, ProbeConfig())
    other = part(replace(dataset, videos=dataset.videos[::-1]), ProbeConfig())
    assert len(one.test.videos) == 3
    assert {video.video_id for video in one.test.videos} == {video.video_id for video in other.test.videos}
    assert one.sha256 == other.sha256
    assert part(dataset, ProbeConfig(seed=1)).sha256 != one.sha256
    assert part(_dataset(["test"] * 4), ProbeConfig(train_split="", test_split="")).left_out == 0


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (_dataset(["", ""][:1]), "1 labelled video"),
        (_dataset(["test", "test"]), r"no video of split 'train', .*: test; give train_split and test_split"),
        (_dataset(["train", "test"], same_file=True), "one: this file is in both parts"),
    ],
)
def test_what_cannot_be_parted_is_told_in_one_line(dataset: PhaseDataset, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        part(dataset, ProbeConfig())
    assert "\n" not in str(caught.value)


class _Frames:
    """Vectors of one frame a second."""

    def __init__(self, vectors_td: np.ndarray) -> None:
        self.seconds_t = np.arange(float(len(vectors_td)))
        self.vectors_td = vectors_td.astype(np.float32)

    def video(self, path: Path) -> _Frames:
        assert path.name
        return self


def test_a_label_belongs_to_the_frame_that_is_shown_and_seconds_past_the_end_to_none() -> None:
    present = np.array([[1.0], [0.0], [np.nan], [1.0]])
    video = PresenceVideo(
        video_id="v", path=Path("v"), seconds_n=np.array([0.5, 2.0, 2.9, 7.0]), present_nc=present, split=""
    )
    dataset = PresenceDataset(source=SOURCE, classes=("a",), videos=(video,))
    (found,) = probe_videos(_Frames(np.arange(8.0).reshape(4, 2)), dataset)
    assert found.rows_n.tolist() == [0, 2, 2]
    assert found.known_n.tolist() == [True, True, False]
    assert found.samples_nd[1].tolist() == [4.0, 5.0]


def test_features_that_are_no_numbers_and_videos_without_labels_are_named() -> None:
    vectors = np.ones((6, 2))
    dataset = _dataset([""])
    late = replace(dataset.videos[0], segments=(LabelSegment(start_seconds=90, end_seconds=95, label="a"),))
    with pytest.raises(ValueError, match=r"^f0: no labelled second of v0"):
        probe_videos(_Frames(vectors), replace(dataset, videos=(late,)))
    vectors[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^f0: 1 of 6 frame vectors hold NaN or infinity, the first at 3 s"):
        probe_videos(_Frames(vectors), dataset)
