"""Probabilities are learned by video, judged on others, and told only for what they were learned for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ophclip.evaluation.calibration import expected_calibration_error
from ophclip.search.calibrate import calibrate
from ophclip.search.calibration import CALIBRATION_NAME, Platt, read_calibration
from ophclip.search.index import Curve

LABELS = ("keratome", "phaco tip", "I/A handpiece", "no such thing")
SLOPES = {"keratome": 12.0, "phacoemulsification handpiece": 6.0}


class Index:
    """Windows whose score says how probable an instrument is, by a known curve."""

    def __init__(self, folder: Path, videos: int, windows: int) -> None:
        self.folder, self._windows = folder, windows
        self.about = {"weights_sha256": "w", "window_seconds": "2"}
        self._rng = np.random.default_rng(0)
        (folder / "media").mkdir()
        self._videos, rows = {}, ["video,seconds," + ",".join(LABELS)]
        for number in range(videos):
            path = folder / "media" / f"v{number}.mp4"
            path.write_bytes(f"video {number}".encode())
            scores = self._rng.uniform(-0.2, 0.6, (windows, 2))
            present = self._rng.random((windows, 2)) < 1 / (1 + np.exp(-(scores * (12, 6) - (3, 2))))
            self._videos[f"v{number}"] = (path, scores)
            rows += [f"v{number},{2 * w},{int(a)},{int(b)},{int(w == 0)},0" for w, (a, b) in enumerate(present)]
        (folder / "presence.csv").write_text("\n".join(rows) + "\n")

    def videos(self) -> tuple[Any, ...]:
        from ingest.shards import sha256_of

        return tuple(SimpleNamespace(video_id=name, sha256=sha256_of(path)) for name, (path, _) in self._videos.items())

    def query_vector(self, *, text: str) -> NDArray[np.float32]:
        return np.array([{"keratome": 0}.get(text, 1)], dtype=np.float32)

    def curve(self, query_d: NDArray[np.float32], video_id: str) -> Curve:
        starts = np.arange(0, 2 * self._windows, 2, dtype=np.float64)
        scores = self._videos[video_id][1][:, int(query_d[0])].astype(np.float32)
        return Curve(start_seconds_w=starts, end_seconds_w=starts + 2, scores_w=scores)


def test_what_is_learned_is_the_curve_that_made_the_labels(tmp_path: Path) -> None:
    index: Any = Index(tmp_path, videos=12, windows=400)
    found = calibrate(index, "presence-table", tmp_path / "presence.csv", (tmp_path / "media",))
    assert read_calibration(tmp_path, "w") == found
    assert found.left_out == ("no such thing",)
    keratome = found.instruments["keratome"]
    assert not keratome.pooled
    assert keratome.curve.slope == pytest.approx(12, rel=0.1)
    assert keratome.curve.intercept == pytest.approx(-3, rel=0.1)
    rare = next(one for label, one in found.instruments.items() if one.positives == 12)
    assert rare.pooled
    for one in (keratome, found):
        held_out = one.held_out
        assert held_out.after.ece < min(0.03, held_out.before.ece)
        assert held_out.after.brier < min(held_out.base_rate.brier, held_out.before.brier)
    probability = found.probability("keratome", 0.25)
    assert probability == pytest.approx(0.5, abs=0.05)
    assert found.probability("a hook", 0.25) is None
    assert found.probability(None, 0.25) is None


def test_no_video_is_judged_by_what_was_learned_from_it(tmp_path: Path) -> None:
    """Scores that say nothing but which video it is: learned by window they would seem to know."""
    index: Any = Index(tmp_path, videos=6, windows=50)
    lines = (tmp_path / "presence.csv").read_text().splitlines()
    rng = np.random.default_rng(3)
    for number, (name, (_, scores)) in enumerate(index._videos.items()):
        scores[:] = 0.1 * number + 1e-3 * rng.random(scores.shape)
        odd = number in {0, 3, 4}
        lines = [f"{line.rsplit(',', 4)[0]},{int(odd)},{int(odd)},0,0" if line.startswith(f"{name},") else line
                 for line in lines]  # fmt: skip
    (tmp_path / "presence.csv").write_text("\n".join(lines) + "\n")
    found = calibrate(index, "presence-table", tmp_path / "presence.csv", (tmp_path / "media",))
    assert found.held_out.after.brier > 0.2


def test_a_score_that_says_nothing_gives_the_share_of_windows() -> None:
    assert Platt(slope=0.0, intercept=float(np.log(0.2 / 0.8))).probability(0.9) == pytest.approx(0.2)
    assert Platt(slope=5.0, intercept=-1e6).probability(0.1) == 0.0
    assert expected_calibration_error(np.array([1.0, 0, 0, 0]), np.full(4, 0.25)) == pytest.approx(0)
    assert expected_calibration_error(np.array([1.0, 1, 0, 0]), np.full(4, 0.9)) == pytest.approx(0.4)


def test_a_calibration_of_other_weights_or_sentences_is_not_used(tmp_path: Path) -> None:
    index: Any = Index(tmp_path, videos=3, windows=60)
    index.videos = tuple
    with pytest.raises(ValueError, match="0 of the 3 labelled videos are in"):
        calibrate(index, "presence-table", tmp_path / "presence.csv", (tmp_path / "media",))
    assert read_calibration(tmp_path, "w") is None
    (tmp_path / "two").mkdir()
    index = Index(tmp_path / "two", videos=3, windows=60)
    calibrate(index, "presence-table", tmp_path / "two" / "presence.csv", (tmp_path / "two" / "media",))
    path = tmp_path / "two" / CALIBRATION_NAME
    with pytest.raises(ValueError, match="other weights; make it anew with `ophclip calibrate`"):
        read_calibration(tmp_path / "two", "x")
    tree = json.loads(path.read_text())
    tree["instruments"]["keratome"]["sentences_sha256"] = "0"
    path.write_text(json.dumps(tree))
    found = read_calibration(tmp_path / "two", "w")
    assert found is not None
    assert found.probability("keratome", 0.3) is None
    for broken in ("[]", "{", json.dumps({**tree, "instruments": {"keratome": {}}}), json.dumps({"format": 1})):
        path.write_text(broken)
        with pytest.raises(ValueError, match="not a calibration"):
            read_calibration(tmp_path / "two", "w")
