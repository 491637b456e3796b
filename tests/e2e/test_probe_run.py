"""`ophclip probe` from videos to figures, with kills in between; all parts real, the model tiny."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from ophclip.cli import main
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.comparing import compare_results
from ophclip.evaluation.datasets import read_phase_table
from ophclip.evaluation.embedding_writer import embed_dataset
from ophclip.evaluation.probes.cells import read_truth
from ophclip.evaluation.probes.contenders import from_scratch
from ophclip.evaluation.probes.finetuning import Pictures, finetune, tuned_scores
from ophclip.evaluation.probes.run import probe_dataset
from ophclip.evaluation.probes.samples import ids_of, probe_videos
from ophclip.evaluation.report.probes import probe_page
from ophclip.evaluation.similarity import open_store
from ophclip.evaluation.verifying import verify_result
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import load_bundle, save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.probe_options import FineTuneConfig, ProbeConfig, ProbeHead, TemporalHeadConfig
from ophclip.tracing.run import trace

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200))
LABELS = ("incision", "rhexis", "phaco")
QUICK = ProbeConfig(
    shots=[1, 2],
    draws=2,
    shares_percent=[1.0, 50.0, 100.0],
    temporal=TemporalHeadConfig(layers=3, width=8, epochs=6),
    finetune=FineTuneConfig(steps=6, batch=8, fps=0.5, checkpoint_every=2),
    bootstrap_samples=50,
    chance_samples=5,
)
OPTIONS = (
    "shots=[1]", "draws=2", "shares_percent=[1,100]", "temporal.layers=3", "temporal.width=8", "temporal.epochs=6",
    "bootstrap_samples=50", "chance_samples=5",
)  # fmt: skip


def _write_video(path: Path, shift: int, seconds: int = 12) -> None:
    """Four seconds of each colour in turn, with a bar that moves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for number in range(seconds * 5):
            picture = np.full((72, 96, 3), COLOURS[(number // 20 + shift) % 3], dtype=np.uint8)
            picture[:, number % 90 : number % 90 + 6] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of three colours, labelled in a table of phases and one of presence, and two bundles."""
    root = tmp_path_factory.mktemp("probe")
    for name, seed in (("bundle", 0), ("generic", 7)):
        torch.manual_seed(seed)
        config = ModelConfig(
            name="tiny",
            embed_dim=32,
            visual=VisualConfig(name="tiny", image_size_px=64),
            text=TextConfig(name="tiny", context_length=32),
        )
        save_bundle(root / name, build_model(config), config, {})
    phases, presence = ["video,start_seconds,end_seconds,label"], ["video,seconds,red,green"]
    for number in range(6):
        _write_video(root / f"case{number}.mp4", number)
        phases += [f"case{number},{4 * part},{4 * part + 4},{LABELS[(part + number) % 3]}" for part in range(3)]
        for second in range(12):
            colour = (second // 4 + number) % 3
            presence.append(f"case{number},{second},{int(colour == 0)},{int(colour == 1) if second % 5 else ''}")
    (root / "phases.csv").write_text("\n".join(phases) + "\n")
    (root / "presence.csv").write_text("\n".join(presence) + "\n")
    return root


def _bytes(out: Path) -> dict[str, bytes]:
    kept = [
        out / "probe_result.json",
        out / "cells.csv",
        out / "gain.png",
        out / "truth.npz",
        *out.rglob("cells/**/*.*"),
    ]
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


def test_the_command_probes_phases_and_its_figures_follow_from_what_it_keeps(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["probe", place / "bundle", "--dataset", "phase-table", "--root", place / "phases.csv", "--out", out]
    monkeypatch.setattr(sys, "argv", ["ophclip", *map(str, words), "--against", str(place / "generic"), *OPTIONS])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    said = capsys.readouterr()
    assert "video_macro_v1 f1, 4 training and 2 test videos: bundle linear 1.000" in said.out
    assert "probe: " in said.err
    tree = json.loads((out / "probe_result.json").read_text())
    assert set(tree["provenance"]["models"]) == {"bundle", "random", "generic"}
    assert len({one["weights_sha256"] for one in tree["provenance"]["models"].values()}) == 3
    rows = {(row["model"], row["head"], row["videos"], row["shots"]): row for row in tree["figures"]}
    assert len(rows) == 3 * (3 + 3 + 2)
    assert rows["bundle", "linear", 4, None]["draws"] == 1
    assert rows["bundle", "tcn", 4, None]["draws"] == 2
    assert rows["bundle", "linear", 1, None]["shares_percent"] == [1.0]
    for figure in ("linear", "knn"):
        assert rows["bundle", figure, 4, None]["figures"]["f1"]["mean"] == 1.0
    assert {(one["model"], one["over"]) for one in tree["gains"]} == {("bundle", "random"), ("bundle", "generic")}
    learned = {name for row in tree["figures"] for names in row["training_videos"] for name in names}
    assert learned == set(tree["provenance"]["split"]["train"])
    assert not learned & set(tree["provenance"]["split"]["test"])
    assert len((out / "cells.csv").read_text().splitlines()) == 1 + sum(row["draws"] for row in tree["figures"])
    assert cv2.imread(str(out / "gain.png")).shape[1] > 800
    assert verify_result(out) == verify_result(out / "probe_result.json") == ()


def test_a_prediction_that_was_altered_shows(place: Path, tmp_path: Path) -> None:
    config = replace(QUICK, heads=[ProbeHead.KNN], scratch=False, shots=[])
    found = probe_dataset(place / "bundle", "presence-table", place / "presence.csv", tmp_path, config=config)
    assert found.tree["labels"] == "presence"
    assert found.tree["figures"][-1]["figures"]["mean_average_precision"]["mean"] == 1.0
    assert found.tree["gains"] == []
    assert verify_result(tmp_path) == ()
    cell = tmp_path / "cells" / "bundle" / "knn" / "4-videos-0.npz"
    with np.load(cell) as arrays:
        predicted = arrays["predicted"]
    np.savez(cell, predicted=-predicted)
    fields = {one.field for one in verify_result(tmp_path)}
    assert any(field.endswith("mean_average_precision.mean") for field in fields)
    assert not any(field.startswith("provenance") for field in fields)
    cell.unlink()
    with pytest.raises(ValueError, match=r"4-videos-0: missing or damaged; run `ophclip probe` again"):
        verify_result(tmp_path)


@pytest.mark.slow
def test_a_run_goes_on_behind_its_last_cell_and_ends_in_the_same_bytes(place: Path, tmp_path: Path) -> None:
    short = replace(QUICK, shots=[1], shares_percent=[1.0, 100.0])

    def run(out: Path, **changes: object) -> None:
        config = replace(short, **changes)
        probe_dataset(place / "bundle", "phase-table", place / "phases.csv", out, config=config)

    run(tmp_path / "whole")
    run(tmp_path / "again")
    assert _bytes(tmp_path / "whole") == _bytes(tmp_path / "again")

    def kill(done: int, total: int, message: str) -> None:
        if done == total // 2:
            raise _StoppedError(message)

    stopped = tmp_path / "stopped"
    with pytest.raises(_StoppedError):
        probe_dataset(place / "bundle", "phase-table", place / "phases.csv", stopped, config=short, progress=kill)
    before = {path: path.stat().st_mtime_ns for path in stopped.rglob("cells/**/*.json")}
    assert before
    run(stopped)
    assert _bytes(stopped) == _bytes(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    spent = json.loads((stopped / "throughput.json").read_text())
    assert spent["cells_made"] == len(list(stopped.rglob("cells/**/*.json"))) - len(before)
    run(stopped, neighbours=3)
    changed = {path for path in before if path.stat().st_mtime_ns != before[path]}
    assert {path.parent.name for path in changed} == {"knn"}


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_nothing_half(place: Path, tmp_path: Path) -> None:
    words = ["probe", "bundle", "--dataset", "phase-table", "--root", "phases.csv", *OPTIONS, "heads=[finetune,tcn]",
             "scratch=false",
             "finetune.steps=6", "finetune.batch=8", "finetune.fps=0.5", "finetune.checkpoint_every=2"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def start(out: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ophclip.cli", *words, "--out", str(tmp_path / out)]
        return subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    for pause in (0.0, 0.5):
        process = start("killed")
        while process.poll() is None and not list((tmp_path / "killed").rglob("*.json")):
            time.sleep(0.02)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start("killed").wait() == 0
    assert _bytes(tmp_path / "killed") == _bytes(tmp_path / "whole")
    assert not list((tmp_path / "killed").rglob("*.pt"))
    assert verify_result(tmp_path / "killed") == ()


def test_fine_tuning_learns_goes_on_and_leaves_the_bundle_as_it_was(place: Path, tmp_path: Path) -> None:
    loaded = load_bundle(place / "bundle")
    before = {name: value.clone() for name, value in loaded.model.state_dict().items()}
    videos = probe_videos(open_store(loaded, ZeroShotConfig()), read_phase_table(place / "phases.csv"))
    pictures = Pictures(tmp_path / "frames", 64)
    picks = {place: np.arange(12) for place in range(4)}
    config = FineTuneConfig(steps=40, batch=12, fps=1.0, learning_rate=3e-4, head_learning_rate=3e-2)
    given = {"pictures": pictures, "exclusive": True, "seed": 3}

    def scores(steps: int, name: str, every: int = 1000) -> list[np.ndarray]:
        changed = replace(config, steps=config.steps, checkpoint_every=every)
        if steps < config.steps:
            with pytest.raises(_StoppedError):
                finetune(_stopping(loaded, steps), videos, picks, changed, checkpoint=tmp_path / name, **given)
            assert (tmp_path / name).is_file()
        tuned = finetune(loaded, videos, picks, changed, checkpoint=tmp_path / name, **given)
        return [tuned_scores(tuned, video, loaded=loaded, pictures=pictures, batch_frames=5) for video in videos[4:]]

    undisturbed = scores(40, "a.pt")
    for video, found in zip(videos[4:], undisturbed, strict=True):
        assert (found.argmax(axis=1) == ids_of(video.truth_nc)).all()
    for one, other in zip(undisturbed, scores(25, "b.pt", every=10), strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(torch.equal(value, before[name]) for name, value in loaded.model.state_dict().items())


class _StoppedError(Exception):
    pass


def _stopping(loaded: object, steps: int) -> object:
    """The same model, whose pictures stop coming."""

    class Stopping:
        def __init__(self, inner: object) -> None:
            self.inner, self.left = inner, steps

        def normalise(self, frames: torch.Tensor) -> torch.Tensor:
            self.left -= 1
            if self.left < 0:
                raise _StoppedError
            return self.inner.normalise(frames)  # type: ignore[attr-defined]

    return replace(loaded, preprocess=Stopping(loaded.preprocess))  # type: ignore[type-var,attr-defined]


def test_random_weights_are_the_same_for_the_same_seed_and_other_than_the_bundle(place: Path) -> None:
    loaded = load_bundle(place / "bundle")
    one, other = from_scratch(loaded, 0), from_scratch(loaded, 0)
    assert one.weights_sha256 == other.weights_sha256 != from_scratch(loaded, 1).weights_sha256
    assert all(torch.equal(value, other.model.state_dict()[name]) for name, value in one.model.state_dict().items())


def test_a_class_that_is_in_test_videos_only_is_named_with_its_seconds(place: Path, tmp_path: Path) -> None:
    rows = (place / "phases.csv").read_text().splitlines()
    config = replace(QUICK, heads=[ProbeHead.LINEAR], scratch=False, shots=[], shares_percent=[100.0])
    out, table = tmp_path / "out", tmp_path / "phases.csv"
    table.write_text("\n".join(rows) + "\n")
    first = probe_dataset(place / "bundle", "phase-table", table, out, config=config, videos=(place,))
    name = first.tree["provenance"]["split"]["test"][0]
    rows = [row.replace("rhexis", "suturing") if row.startswith(f"{name},") else row for row in rows]
    table.write_text("\n".join(rows) + "\n")
    found = probe_dataset(place / "bundle", "phase-table", table, out, config=config, videos=(place,))
    assert found.never_learned == {"suturing": 4}
    assert found.tree["provenance"]["classes_never_in_training"] == {"suturing": 4}
    truth = read_truth(out)
    assert dict(zip(truth.video_ids, truth.lengths, strict=True)) == dict.fromkeys(truth.video_ids, 12)


@pytest.mark.parametrize(
    ("against", "words"),
    [("nowhere", "nowhere: no such folder"), ("bundle", "two models would be called 'bundle'")],
)
def test_other_models_that_cannot_be_taken_are_named(place: Path, tmp_path: Path, against: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        probe_dataset(
            place / "bundle", "phase-table", place / "phases.csv", tmp_path, config=QUICK, against=(place / against,)
        )
    assert "\n" not in str(caught.value)


def test_a_folder_of_vectors_is_probed_without_videos_and_says_the_same_as_the_model_that_made_it(
    place: Path, tmp_path: Path
) -> None:
    table = tmp_path / "phases.csv"
    table.write_text((place / "phases.csv").read_text())
    config = replace(QUICK, heads=[ProbeHead.LINEAR, ProbeHead.TCN], shots=[1], shares_percent=[100.0])
    (tmp_path / "prompts.txt").write_text("\n".join(LABELS))
    given = {"config": ZeroShotConfig(), "prompts": str(tmp_path / "prompts.txt"), "videos": (place,)}
    embed_dataset(place / "bundle", "phase-table", table, tmp_path / "vectors", **given)
    alone = probe_dataset(tmp_path / "vectors", "phase-table", table, tmp_path / "alone", config=config)
    beside = replace(config, scratch=False)
    seen = probe_dataset(place / "bundle", "phase-table", table, tmp_path / "out", config=beside, videos=(place,))
    for mine, theirs in zip(alone.tree["figures"], seen.tree["figures"], strict=True):
        assert mine["figures"]["f1"]["mean"] == pytest.approx(theirs["figures"]["f1"]["mean"], abs=1e-3)
    assert set(alone.tree["provenance"]["models"]) == {"bundle"}
    why = [found.tree["provenance"]["without_random"] for found in (alone, seen)]
    assert "vectors do not tell their architecture" in why[0]
    assert why[1] == "not compared with random weights: scratch=false"
    assert any("vectors do not tell" in line for line in probe_page(alone.tree, alone.path).warnings)
    tuned = replace(config, heads=[ProbeHead.FINETUNE])
    with pytest.raises(ValueError, match=r"^heads: finetune trains bundles and open_clip's folders"):
        probe_dataset(tmp_path / "vectors", "phase-table", table, tmp_path / "alone", config=tuned)


def test_two_probes_are_compared_and_a_second_of_one_is_traced(place: Path, tmp_path: Path) -> None:
    config = replace(QUICK, heads=[ProbeHead.KNN], shots=[1])
    runs = {"first": ("bundle", config), "second": ("generic", config), "other": ("bundle", replace(config, draws=1))}
    trees = {
        name: probe_dataset(place / bundle, "phase-table", place / "phases.csv", tmp_path / name, config=given).tree
        for name, (bundle, given) in runs.items()
    }
    rows = {row.figure: row for row in compare_results(tmp_path / "first", tmp_path / "second" / "probe_result.json")}
    written = [row for row in trees["second"]["figures"] if row["model"] == trees["second"]["figures"][0]["model"]]
    assert len(rows) == sum(len(row["figures"]) for row in written) > 10
    one_shot = next(row for row in written if row["shots"] == 1)
    assert rows["f1, knn, 1-shot"].difference.second == pytest.approx(one_shot["figures"]["f1"]["mean"])
    same = compare_results(tmp_path / "first", tmp_path / "first")
    assert {(row.difference.difference, row.difference.p) for row in same} == {(0.0, 1.0)}
    with pytest.raises(ValueError, match="cannot be compared: different draws of training sets: 2, 1; probe both"):
        compare_results(tmp_path / "first", tmp_path / "other")
    with pytest.raises(ValueError, match="different tasks, one of them is a probe"):
        compare_results(tmp_path / "first", tmp_path)
    truth = read_truth(tmp_path / "first")
    video, second = truth.video_ids[-1], float(truth.seconds_n[-1])
    found = trace(tmp_path / "first", video, second + 0.5)
    assert not found.broken
    facts = found.links[0].facts
    assert facts["truth"] == trees["first"]["classes"][int(truth.labels[-1])]
    learned = {f"{row['videos']}-videos" if row["videos"] else f"{row['shots']}-shot" for row in written}
    assert {row["learned_from"] for row in facts["predictions"]} == learned
    missing = trace(tmp_path / "first", "nobody", 1.0)
    assert "nobody is no test video of" in missing.links[0].reason
