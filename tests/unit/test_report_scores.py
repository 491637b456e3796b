"""Scores beside a result: what is written is read, and presence is computed again from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_results import presence, result

from ophclip.evaluation.scores import SCORES, read_scores, write_scores
from ophclip.evaluation.scoring import write_phases, write_presence
from ophclip.evaluation.verifying import verify_result


def test_scores_come_back_as_they_were_written_and_the_bytes_repeat(tmp_path: Path) -> None:
    videos = [score.evidence for score in presence().videos.values()]
    for name in "ab":
        write_scores(tmp_path / name, videos)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    for given, found in zip(videos, read_scores(tmp_path / "a", 3), strict=True):
        assert found.video_id == given.video_id
        assert found.scores_tc.dtype == np.float32
        np.testing.assert_array_equal(found.seconds_t, given.seconds_t)
        np.testing.assert_array_equal(found.scores_tc, given.scores_tc)
        np.testing.assert_array_equal(found.present_tc, given.present_tc)
    with pytest.raises(ValueError, match="expected 86 seconds of 4 classes"):
        read_scores(tmp_path / "a", 4)
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:300])
    with pytest.raises(ValueError, match="not the scores of an evaluation"):
        read_scores(tmp_path / "a", 3)


def test_every_figure_of_presence_follows_from_labels_and_scores(tmp_path: Path) -> None:
    write_presence(tmp_path, presence())
    assert verify_result(tmp_path) == ()
    tree = json.loads((tmp_path / "result.json").read_text())
    tree["false_positive_rate"]["mean"] += 0.01
    tree["chance"]["mean_average_precision"] += 0.01
    tree["videos"][1]["average_precision"]["knife"] = 1.0
    (tmp_path / "result.json").write_text(json.dumps(tree))
    assert {one.field for one in verify_result(tmp_path)} == {
        "chance.mean_average_precision",
        "false_positive_rate.mean",
        "videos[v1].average_precision.knife",
    }
    (tmp_path / SCORES).unlink()
    with pytest.raises(ValueError, match="expected labels and scores"):
        verify_result(tmp_path)


def test_a_prediction_that_is_not_what_scored_highest_is_named(tmp_path: Path) -> None:
    found = result()
    lines = [replace(line, scores_tc=np.eye(3, dtype=np.float32)[line.predicted_t]) for line in found.timelines]
    write_phases(tmp_path, replace(found, timelines=tuple(lines)))
    assert verify_result(tmp_path) == ()
    kept = list(read_scores(tmp_path / SCORES, 3))
    kept[2].scores_tc[5] = np.roll(kept[2].scores_tc[5], 1)
    write_scores(tmp_path / SCORES, kept)
    (one,) = verify_result(tmp_path)
    assert one.field == "predicted of v2 at 5 s"
    (tmp_path / SCORES).unlink()
    assert {one.written for one in verify_result(tmp_path)} == {"absent"}
