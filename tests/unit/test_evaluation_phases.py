"""Everything that a result of phases says, made from predictions by second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_results import CLASSES, result

from ophclip.evaluation.calibration import calibration
from ophclip.evaluation.clips import rank_clips, read_clips, write_clips
from ophclip.evaluation.intervals import mean_of_cells, mean_of_videos, paired_difference, resamples
from ophclip.evaluation.records import LabelSegment, PhaseVideo
from ophclip.evaluation.timelines import Timeline


def test_a_result_holds_every_protocol_groups_and_calibration() -> None:
    found = result()
    written = found.to_json()
    assert set(found.protocols) == {
        "video_macro_v1", "frame_micro", "camma_zeroshot", "sklearn_union", "relaxed10s_fixed", "localisation_map",
        "clip_topk",
    }  # fmt: skip
    assert found.protocols["video_macro_v1"].figures == found.summary
    assert found.protocols["clip_topk"].figures["top1"].mean == pytest.approx(2 / 6)
    assert set(found.protocols["camma_zeroshot"].videos["v3"]) == {"accuracy", "f1"}
    assert found.headline.startswith("video_macro_v1: macro F1")
    assert set(found.groups) == {"surgeon", "length"}
    assert [group.videos for group in found.groups["surgeon"].values()] == [3, 3]
    accuracies = [found.videos[name].accuracy for name in ("v0", "v2", "v4")]
    assert found.groups["surgeon"]["A"].figures["accuracy"].mean == pytest.approx(np.mean(accuracies))
    shortest = found.groups["length"]["shortest third"].figures["f1"].mean
    assert shortest == pytest.approx((found.videos["v0"].f1 + found.videos["v1"].f1) / 2)
    assert written["videos"][1]["attributes"] == {"surgeon": "B", "site": "S"}
    assert set(written["calibration"]) == {"ece", "aurc"}


def test_calibration_by_hand() -> None:
    line = Timeline(
        video_id="v",
        seconds_t=np.arange(5.0),
        truth_t=np.array([0, 0, 1, 1, -1]),
        predicted_t=np.array([0, 1, 1, 0, 0]),
        confidence_t=np.array([0.9, 0.9, 0.5, 0.4, 1.0]),
    )
    figures = calibration([line])
    alone = np.zeros((1, 1), dtype=np.int64)
    # bins of a fifteenth: (13/15, 14/15] holds a hit and a miss of 0.9; 0.5 and 0.4 lie apart
    assert figures["ece"].of(alone)[0] == pytest.approx((abs(1 - 1.8) + abs(1 - 0.5) + abs(0 - 0.4)) / 4)
    # the two of 0.9 enter together: risks 1/2, 1/2, 1/3, 2/4
    assert figures["aurc"].of(alone)[0] == pytest.approx((1 / 2 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_clips_rank_the_truth_by_the_mean_of_their_seconds(tmp_path: Path) -> None:
    parts = [(0.0, 2.0, "rhexis"), (2.0, 2.4, "phaco"), (2.5, 2.9, "phaco"), (9.0, 10.0, "phaco")]
    segments = tuple(LabelSegment(start_seconds=start, end_seconds=end, label=label) for start, end, label in parts)
    scores = np.array([[0.0, 0.9, 0.1], [0.8, 0.0, 0.1], [0.3, 0.3, 0.3], [0.0, 0.0, 1.0]])
    video = PhaseVideo(video_id="v", path=Path("v"), segments=segments)
    clips = rank_clips(video, CLASSES, np.arange(4.0), scores)
    # means 0.4, 0.45, 0.1; then second 2, where all are equal, twice; nothing was scored at 9 s
    assert [clip.rank for clip in clips] == [1, 3, 3]
    write_clips(tmp_path / "clips.csv", clips)
    assert read_clips(tmp_path / "clips.csv") == tuple(clips)


def test_a_paired_difference_by_hand() -> None:
    gains = np.array([0.1, 0.2, 0.3, -0.05])
    first = np.array([0.5, 0.4, 0.3, 0.6])
    found = paired_difference(mean_of_videos(np.concatenate([first, first + gains])), samples=100, seed=0)
    assert found.difference == pytest.approx(gains.mean())
    # of the 16 ways to sign four gains these are as far out: as seen (0.55), the last turned (0.65), both mirrored
    assert found.p == pytest.approx(4 / 16)
    low, high = np.percentile(gains[resamples(4, 100, 0)].mean(axis=1), [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high))
    same = paired_difference(mean_of_cells(np.tile(first[:, None], (2, 3))), samples=100, seed=0)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_a_permutation_test_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    values = [
        paired_difference(mean_of_videos(rng.standard_normal(2 * 12)), samples=99, seed=seed).p for seed in range(200)
    ]
    assert 0.02 <= np.mean(np.array(values) <= 0.05) <= 0.09
