"""Folders of vectors that another model made: what is read of them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ophclip.config import ZeroShotConfig
from ophclip.evaluation.embedding_folder import read_embedding_folder
from ophclip.evaluation.embedding_writer import names_of_files
from ophclip.evaluation.results import PhaseResult
from ophclip.evaluation.runs import zeroshot_dataset
from ophclip.models.spans import mean_of_spans

CONFIG = ZeroShotConfig(bootstrap_samples=20, chance_samples=5)
WIDTH = 5


def _vectors(seed: int, count: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos of 8 s at 2 fps, and vectors of two classes."""
    place = tmp_path / "vectors"
    (place / "frames").mkdir(parents=True)
    (place / "model.json").write_text(json.dumps({"name": "theirs", "fps": 2, "logit_scale": 50.0}))
    for number in range(2):
        np.save(place / "frames" / f"case{number}.npy", _vectors(number, 16))
    (place / "classes.txt").write_text("incision\nrhexis\n")
    np.save(place / "classes.npy", _vectors(9, 2))
    table = ["video,start_seconds,end_seconds,label"]
    table += [f"case{number},{start},{start + 4},{label}" for number in range(2) for start, label in
              ((0, "incision"), (4, "rhexis"))]  # fmt: skip
    (tmp_path / "phases.csv").write_text("\n".join(table) + "\n")
    return place


def _score(folder: Path, config: ZeroShotConfig = CONFIG) -> PhaseResult:
    found = zeroshot_dataset(folder, "phase-table", folder.parent / "phases.csv", folder.parent / "out", config=config)
    assert isinstance(found, PhaseResult)
    return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)


def test_labels_and_vectors_are_enough(folder: Path) -> None:
    found = _score(folder)
    classes_cd = _unit(np.load(folder / "classes.npy"))
    for number, line in enumerate(found.timelines):
        frames_td = _unit(np.load(folder / "frames" / f"case{number}.npy"))[::2]
        np.testing.assert_array_equal(line.predicted_t, (frames_td @ classes_cd.T).argmax(axis=1))
        np.testing.assert_array_equal(line.truth_t, [0] * 4 + [1] * 4)
        assert line.confidence_t is not None
        odds_tc = np.exp(50 * frames_td @ classes_cd.T)
        np.testing.assert_allclose(line.confidence_t, (odds_tc / odds_tc.sum(axis=1)[:, None]).max(axis=1), atol=2e-5)
    assert (found.provenance.model_name, found.throughput.frames) == ("theirs", 0)
    assert found.provenance.prompts_name == str(folder / "classes.txt")


def test_the_identity_changes_with_every_file(folder: Path) -> None:
    seen = {read_embedding_folder(folder).weights_sha256}
    np.save(folder / "frames" / "case1.npy", _vectors(7, 16))
    seen.add(read_embedding_folder(folder).weights_sha256)
    np.save(folder / "classes.npy", _vectors(8, 2))
    seen.add(read_embedding_folder(folder).weights_sha256)
    (folder / "frames" / "case1.npy").rename(folder / "frames" / "case2.npy")
    seen.add(read_embedding_folder(folder).weights_sha256)
    assert len(seen) == 4


def test_times_of_frames_may_be_given(folder: Path) -> None:
    """Frames in the middle of each second: a second is what was seen last, the first one what comes first."""
    frames_td = _unit(_vectors(0, 8)).astype(np.float32)
    (folder / "frames" / "case0.npy").unlink()
    np.savez(folder / "frames" / "case0.npz", vectors=frames_td, seconds=np.arange(8) + 0.5)
    seen = read_embedding_folder(folder).video(Path("anywhere/case0.mp4"), 1.0)
    np.testing.assert_array_equal(seen.vectors_td, frames_td[[0, 0, 1, 2, 3, 4, 5, 6]])
    assert seen.duration_seconds == 8


def test_vectors_in_folders_are_told_apart_by_the_folders(folder: Path) -> None:
    frames = folder / "frames"
    (frames / "test").mkdir()
    np.save(frames / "test" / "case0.npy", _vectors(5, 16))
    read = read_embedding_folder(folder)
    own, other = Path("root/test/case0.mp4"), Path("root/train/case0.mp4")
    read.require([own, other])
    assert not np.allclose(read.video(own, 1).vectors_td, read.video(other, 1).vectors_td)
    with pytest.raises(ValueError, match=r"case0\.npy: means root/train/case0\.mp4 and root/val/case0\.mp4; put those"):
        read.require([other, Path("root/val/case0.mp4")])
    assert names_of_files([own, other, Path("root/test/x.y.mp4")]) == {
        own: "test/case0", other: "train/case0", Path("root/test/x.y.mp4"): "test/x.y",
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"a\.mkv and a\.mp4 differ by their suffix only"):
        names_of_files([Path("a.mp4"), Path("a.mkv")])


def _swap(name: str, values: object) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / name, values)


def _npz(**arrays: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "frames" / "case0.npy").unlink()
        np.savez(folder / "frames" / "case0.npz", **arrays)

    return change


def _classes(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "classes.txt").write_text(text)


def _with(row: int, value: float) -> NDArray[np.float32]:
    vectors_td = _vectors(0, 16)
    vectors_td[row] = value
    return vectors_td


def _about(**changes: object) -> Callable[[Path], None]:
    given = {"name": "m", "fps": 1, "logit_scale": 1, **changes}
    kept = {key: value for key, value in given.items() if value is not None}
    return lambda folder: (folder / "model.json").write_text(json.dumps(kept)) and None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "frames" / "case1.npy").unlink(), r"case1\.npy: 1 of 2 videos have no vectors"),
        (_swap("frames/case0.npy", _vectors(0, 16)[:, :4]), r"case0\.npy: vectors of 4 numbers; those of"),
        (_swap("frames/case0.npy", _with(3, np.nan)), r"case0\.npy: vector 3 .* is not finite"),
        (_swap("frames/case0.npy", _with(5, 0)), r"case0\.npy: vector 5 .* is zero"),
        (_swap("frames/case0.npy", np.arange(10)), r"case0\.npy: int64 \[10\]; expected floating-point vectors"),
        (_swap("frames/case0.npy", np.array(["a"], dtype=object)), r"case0\.npy: cannot be read as an array"),
        (lambda folder: (folder / "frames" / "case0.npy").write_bytes(b"x"), r"case0\.npy: cannot be read as an array"),
        (lambda folder: np.savez(folder / "frames" / "case0.npz", a=1), r"case0\.npz: case0\.npy is there too"),
        (_npz(frames=_vectors(0, 3)), r"case0\.npz: no array `vectors`; it has frames"),
        (_npz(vectors=_vectors(0, 3), seconds=np.array([0, 2, 1.0])), r"must rise; number 2 .* is 1, after 2"),
        (_npz(vectors=_vectors(0, 3), seconds=np.array([0, 1, 1.0])), r"must rise; number 2 .* is 1, after 1"),
        (_npz(vectors=_vectors(0, 2), seconds=np.array([0, np.nan])), r"number 1 .* is nan, after 0"),
        (_npz(vectors=_vectors(0, 2), seconds=np.array([-1, 1.0])), r"number 0 .* is -1$"),
        (_npz(vectors=_vectors(0, 2), seconds=np.arange(3.0)), r"seconds \[3\] of 2 vectors"),
        (_npz(vectors=_vectors(0, 3), seconds=np.array([0, 1, 6.0])), r"no vector between 1 s and 6 s; expected one"),
        (_npz(vectors=_vectors(0, 3), duration_seconds=0.5), r"duration_seconds is 0\.5, and the last vector"),
        (_npz(vectors=_vectors(0, 3), duration_seconds=60.0), r"no vector between 1 s and 60 s"),
        (_classes("incision\n"), r"classes\.npy: 2 vectors; classes\.txt has 1"),
        (_classes("a\na\n"), r"classes\.txt, line 2: the text of line 1 stands"),
        (_classes("a\n\nb\n"), r"classes\.txt, line 2: the line is empty"),
        (_classes("incision\nflap\n"), r"no class for the label 'rhexis'"),
        (lambda folder: (folder / "classes.txt").write_bytes(b"a\n\xff\n"), r"classes\.txt, line 2: not UTF-8"),
        (lambda folder: (folder / "classes.npy").unlink(), r"classes\.npy: expected this file and it is not there"),
        (lambda folder: (folder / "texts.txt").write_text("a\n"), r"texts\.npy: expected this file"),
        (_about(fps=None), r"model\.json: fps is None; expected a number above 0"),
        (_about(logit_scale=0), r"model\.json: logit_scale is 0; expected a number above 0"),
        (_about(name=""), r"model\.json: expected an object with a `name`"),
        (lambda folder: (folder / "model.json").write_text("{\n"), r"model\.json, line 2: not JSON"),
        (_about(fps=0.5), r"model\.json: fps is 0\.5 and 1 are scored; give a lower fps"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_one_line(folder: Path, change: Callable[[Path], object], message: str) -> None:
    change(folder)
    with pytest.raises(ValueError, match=message) as refused:
        _score(folder)
    assert "\n" not in str(refused.value)


def test_a_sentence_without_a_vector_is_named(folder: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "p.yaml"
    prompts.write_text("classes:\n  incision: {name: [a cut]}\n  rhexis: {name: [a tear]}\n")
    for suffix in ("txt", "npy"):
        (folder / f"classes.{suffix}").rename(folder / f"texts.{suffix}")
    (folder / "texts.txt").write_text("a cut\na hole\n")
    given = ("phase-table", tmp_path / "phases.csv", tmp_path / "out")
    with pytest.raises(ValueError, match=r"texts\.txt: 1 of 2 sentences of the prompts have no vector here.*'a tear'"):
        zeroshot_dataset(folder, *given, config=CONFIG, prompts=str(prompts))
    with pytest.raises(ValueError, match="give --prompts FILE"):
        zeroshot_dataset(folder, *given, config=CONFIG)
    (folder / "texts.txt").write_text("a cut\na tear\n")
    assert isinstance(zeroshot_dataset(folder, *given, config=CONFIG, prompts=str(prompts)), PhaseResult)


def test_spans_are_pooled_as_a_loop_would() -> None:
    vectors_td = _unit(_vectors(3, 40)).astype(np.float32)
    spans = [(0, 40), (3, 4), (10, 17), (39, 40)]
    found = mean_of_spans(vectors_td, spans)
    for row, (first, stop) in zip(found, spans, strict=True):
        mean_d = vectors_td[first:stop].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(row, mean_d / np.linalg.norm(mean_d), atol=1e-7)
    np.testing.assert_array_equal(found[1], vectors_td[3])
