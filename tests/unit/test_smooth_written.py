"""Smoothed predictions in results and in `predictions.csv`: apart from the plain ones, verified, and read with care."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_results import CLASSES, result

from ophclip.evaluation.comparing import compare_results
from ophclip.evaluation.metrics import confusion, video_macro
from ophclip.evaluation.results import PhaseResult, write_result
from ophclip.evaluation.scoring import write_predictions
from ophclip.evaluation.timelines import SMOOTHED, read_timelines, write_timelines
from ophclip.evaluation.transitions import sticky, write_transitions
from ophclip.evaluation.verifying import verify_result


def _write(folder: Path, found: PhaseResult) -> Path:
    write_predictions(folder, found)
    write_result(folder / "result.json", found)
    return folder


def test_raw_causal_and_offline_figures_are_each_of_their_own_predictions() -> None:
    found, plain = result(smoothed=True), result()
    assert plain.smoothed == {}
    assert [line.video_id for line in found.timelines] == list(found.videos)
    for name, figures in found.smoothed.items():
        scores = []
        for line in found.timelines:
            answer = getattr(line, name)
            scores.append(video_macro(confusion(line.truth_t, answer.ids_t, 3)))
        assert figures.summary["f1"].mean == pytest.approx(np.mean([score.f1 for score in scores]))
        assert figures.protocols["video_macro_v1"].figures == figures.summary
        assert "clip_topk" not in figures.protocols
        assert set(figures.calibration) == {"ece", "aurc"}
    f1 = [found.summary["f1"].mean, *(found.smoothed[name].summary["f1"].mean for name in SMOOTHED)]
    assert f1 == sorted(f1)
    assert len(set(f1)) == 3
    assert found.smoothed["causal"].method == "median of the scores of the last 15 s"
    assert found.smoothed["offline"].method == "Viterbi path, phases of 60 s on average"


@pytest.mark.parametrize("smoothed", [False, True])
def test_predictions_come_back_to_the_last_digit(tmp_path: Path, smoothed: bool) -> None:
    found = result(smoothed=smoothed)
    thirds = tuple(replace(line, seconds_t=line.seconds_t / 3 + 10_000) for line in found.timelines)
    write_timelines(tmp_path / "p.csv", thirds, CLASSES)
    again = read_timelines(tmp_path / "p.csv", CLASSES)
    for one, other in zip(thirds, again, strict=True):
        for name in ("seconds_t", "truth_t", "predicted_t", "confidence_t"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for name in SMOOTHED:
            mine, theirs = getattr(one, name), getattr(other, name)
            assert (mine is None) == (theirs is None) == (not smoothed)
            if mine is not None:
                np.testing.assert_array_equal(mine.ids_t, theirs.ids_t)
                np.testing.assert_array_equal(mine.confidence_t, theirs.confidence_t)


def test_every_smoothed_figure_is_computed_again(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a", result(smoothed=True))
    assert verify_result(folder) == ()
    lines = (folder / "predictions.csv").read_text().splitlines()
    cells = lines[1].split(",")
    causal = lines[0].split(",").index("causal")
    cells[causal] = "phaco" if cells[causal] != "phaco" else "rhexis"
    (folder / "predictions.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")
    fields = {one.field for one in verify_result(folder)}
    assert "smoothed.causal.summary.recall.mean" in fields
    assert "smoothed.causal.videos[v0].recall" in fields
    assert all(field.startswith("smoothed.causal.") for field in fields)
    tree = json.loads((folder / "result.json").read_text())
    tree["smoothed"]["offline"]["protocols"]["frame_micro"]["figures"]["f1"]["low"] += 1e-6
    (folder / "result.json").write_text(json.dumps(tree))
    assert "smoothed.offline.protocols.frame_micro.figures.f1.low" in {one.field for one in verify_result(folder)}


def test_transitions_beside_a_result_are_those_that_it_names(tmp_path: Path) -> None:
    chain = sticky(3, 1.0, 60.0)
    folder = _write(tmp_path / "a", result(smoothed=True, transitions_sha256=chain.sha256))
    write_transitions(folder / "transitions.csv", chain, CLASSES)
    assert verify_result(folder) == ()
    write_transitions(folder / "transitions.csv", sticky(3, 1.0, 61.0), CLASSES)
    (one,) = verify_result(folder)
    assert (one.file.name, one.field) == ("transitions.csv", "hash of the transitions")
    (folder / "transitions.csv").unlink()
    with pytest.raises(ValueError, match=r"transitions\.csv: expected this file"):
        verify_result(folder)


def test_smoothed_predictions_are_compared_with_their_like(tmp_path: Path) -> None:
    bad, good = result(seed=1, wrong=0.9, smoothed=True), result(seed=2, wrong=0.1, smoothed=True)
    folders = _write(tmp_path / "bad", bad), _write(tmp_path / "good", good)
    rows = {(row.protocol, row.figure): row.difference for row in compare_results(*folders)}
    for name in SMOOTHED:
        found = rows[f"video_macro_v1, {name}", "f1"]
        gain = good.smoothed[name].summary["f1"].mean - bad.smoothed[name].summary["f1"].mean
        assert found.difference == pytest.approx(gain)
    assert ("clip_topk, causal", "top1") not in rows
    plain = compare_results(folders[0], _write(tmp_path / "plain", result(seed=2)))
    assert not any("," in row.protocol for row in plain)


def test_results_that_learned_from_other_videos_are_not_compared(tmp_path: Path) -> None:
    one, other, none = (
        _write(tmp_path / name, result(fit_split_sha256=learned))
        for name, learned in zip("abc", ("x", "y", ""), strict=True)
    )
    with pytest.raises(ValueError, match=r"different videos that were learned from \(hash of fit_split\): x, y"):
        compare_results(one, other)
    assert compare_results(one, none)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", r"p\.csv: no row below the header"),
        ("v,0,incision,incision,0.5,,,,\nv,1,incision,,0.5,,,,\n", r"p\.csv, line 3: predicted is empty, other than"),
        ("v,0,incision,,0.5,,,,\n", r"p\.csv, line 2: predicted is empty; expected a class in every line"),
        ("v,0,incision,incision,,,,,\nv,1,incision,incision,0.5,,,,\n", r"line 3: confidence is filled, other than"),
        (
            "v,0,incision,incision,0.5,incision,0.5,,\nw,1,incision,incision,0.5,,,,\n",
            r"line 3: causal is empty, other",
        ),
        ("v,0,incision,incision,0.5,incision,,,\n", r"line 2: causal_confidence is '' and must be a number"),
        ("v,0,lunch,incision,0.5,,,,\n", r"line 2: truth 'lunch' is none of incision, rhexis, phaco"),
        ("v,0,incision,lunch,0.5,,,,\n", r"line 2: predicted 'lunch' is none of incision"),
        ("v,x,incision,incision,0.5,,,,\n", r"line 2: seconds is 'x' and must be a number"),
        ("v,0,incision,incision,1.5,,,,\n", r"line 2: confidence is 1\.5; expected 0 to 1"),
        ("v,1,incision,incision,0.5,,,,\nv,0,incision,rhexis,0.5,,,,\n", r"line 3: v goes from 1 s to 0 s"),
        ("v,0,incision,incision,0.5,,,,\nv,0,incision,rhexis,0.5,,,,\n", r"line 3: v goes from 0 s to 0 s"),
        ("v,0,incision,incision,0.5,,,,\n" * 2, r"line 3: the row of line 2 stands there again"),
        ("v,0,incision,incision\n", r"line 2: the row is shorter"),
        ("v,0,incision,rhexis,0.5,,,,\nw,0,,rhexis,0.5,,,,\n", r"line 3: no second of w has a truth"),
    ],
)
def test_predictions_that_were_damaged_are_refused_with_file_and_line(tmp_path: Path, line: str, says: str) -> None:
    header = "video,seconds,truth,predicted,confidence,causal,causal_confidence,offline,offline_confidence\n"
    (tmp_path / "p.csv").write_text(header + line, encoding="utf-8")
    with pytest.raises(ValueError, match=says) as refused:
        read_timelines(tmp_path / "p.csv", CLASSES)
    assert "\n" not in str(refused.value)
