"""Results that lie in folders: compared with one another, and computed again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from small_results import result

from ophclip.cli import main
from ophclip.evaluation.comparing import compare_results
from ophclip.evaluation.results import PhaseResult, write_result
from ophclip.evaluation.scoring import write_predictions
from ophclip.evaluation.verifying import verify_result


def _write(folder: Path, found: PhaseResult) -> Path:
    write_predictions(folder, found)
    write_result(folder / "result.json", found)
    return folder


def _run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["ophclip", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_a_result_is_computed_again_and_what_was_touched_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _write(tmp_path / "a", result())
    assert verify_result(folder) == verify_result(folder / "result.json") == ()
    assert _run(monkeypatch, "verify", folder) == 0
    tree = json.loads((folder / "result.json").read_text())
    kept = tree["protocols"]["relaxed10s_fixed"]["figures"]["f1"]["mean"]
    tree["protocols"]["relaxed10s_fixed"]["figures"]["f1"]["mean"] = kept + 1e-6
    (folder / "result.json").write_text(json.dumps(tree))
    (one,) = verify_result(folder)
    assert (one.field, one.found) == ("protocols.relaxed10s_fixed.figures.f1.mean", pytest.approx(kept, abs=1e-12))
    assert _run(monkeypatch, "verify", folder) == 1
    said = capsys.readouterr()
    assert f"{folder / 'result.json'}: protocols.relaxed10s_fixed.figures.f1.mean is {kept + 1e-6}" in said.out
    assert "differs in 1 place" in said.err


def test_one_second_that_was_altered_shows(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a", result())
    lines = (folder / "predictions.csv").read_text().splitlines()
    video, seconds, truth, predicted, *rest = lines[1].split(",")
    other = "phaco" if predicted != "phaco" else "rhexis"
    lines[1] = ",".join((video, seconds, truth, other, *rest))
    (folder / "predictions.csv").write_text("\n".join(lines) + "\n")
    fields = {one.field for one in verify_result(folder)}
    assert "videos[v0].recall" in fields
    assert not any(field.startswith(("videos[v1]", "chance", "provenance", "protocols.clip_topk")) for field in fields)


def test_two_results_differ_by_what_their_videos_differ(tmp_path: Path) -> None:
    bad, good = result(seed=1, wrong=0.9), result(seed=2, wrong=0.1)
    folders = _write(tmp_path / "bad", bad), _write(tmp_path / "good", good)
    rows = {(row.protocol, row.figure): row.difference for row in compare_results(*folders)}
    assert len({protocol for protocol, _ in rows}) == 7
    for figure in ("accuracy", "f1"):
        found = rows["video_macro_v1", figure]
        gains = [getattr(good.videos[name], figure) - getattr(bad.videos[name], figure) for name in good.videos]
        assert found.difference == pytest.approx(np.mean(gains))
        assert found.first == pytest.approx(bad.summary[figure].mean)
        assert 0 < found.low < found.difference < found.high
        assert found.p <= 0.05
    assert rows["clip_topk", "top1"].difference == 0
    assert rows["localisation_map", "map"].first == pytest.approx(bad.protocols["localisation_map"].figures["map"].mean)
    back = {(row.protocol, row.figure): row.difference for row in compare_results(*reversed(folders))}
    for key, found in rows.items():
        assert back[key].difference == pytest.approx(-found.difference)
        assert back[key].p == pytest.approx(found.p)


def test_compare_prints_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [_write(tmp_path / str(seed), result(seed=seed)) for seed in (1, 2)]
    assert _run(monkeypatch, "compare", *folders) == 0
    said = capsys.readouterr().out
    assert "video_macro_v1" in said
    assert "[" in said


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"protocol": "video_macro_v1 but at 2 fps"},
            "different protocols: video_macro_v1, video_macro_v1 but at 2 fps",
        ),
        ({"fps": 2.0}, "different frames per second: 1.0, 2.0"),
        ({"split_sha256": "other"}, "different videos or labels"),
    ],
)
def test_what_was_not_measured_alike_is_not_compared(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    one, other = _write(tmp_path / "a", result()), _write(tmp_path / "b", result(**changes))
    with pytest.raises(ValueError, match=reason) as refused:
        compare_results(one, other)
    assert "\n" not in str(refused.value)


def test_other_classes_other_videos_and_what_is_no_result_are_refused(tmp_path: Path) -> None:
    one, other = _write(tmp_path / "a", result()), _write(tmp_path / "b", result())
    tree = json.loads((other / "result.json").read_text())
    (other / "result.json").write_text(json.dumps({**tree, "classes": [*tree["classes"], "suturing"]}))
    (other / "scores.npz").unlink()
    with pytest.raises(ValueError, match="classes: 'suturing' is in one only"):
        compare_results(one, other)
    with pytest.raises(ValueError, match="different videos, v5 is in one only"):
        compare_results(one, _write(tmp_path / "c", result(videos=5)))
    (other / "result.json").write_text(json.dumps({"task": "phases"}))
    for broken, reason in ((other, "not a result of this version"), (tmp_path / "none", "expected the result of")):
        with pytest.raises(ValueError, match=reason):
            compare_results(one, broken)
    (one / "predictions.csv").unlink()
    with pytest.raises(ValueError, match=r"predictions\.csv: expected the predictions"):
        verify_result(one)
