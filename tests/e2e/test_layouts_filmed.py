"""Simulated trees of every dataset with their media: nothing is missing or odd, and the truth itself scores 1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from simulated_takes import label_at, planned, tree_of
from typer.testing import CliRunner

from ingest.media import frames_at, probe
from ophclip.cli import app
from ophclip.config import ZeroShotConfig
from ophclip.evaluation.checking import check
from ophclip.evaluation.datasets import DATASETS
from ophclip.evaluation.records import FileDataset, PhaseDataset, PresenceDataset
from ophclip.evaluation.results import PhaseResult, PresenceResult
from ophclip.evaluation.runs import zeroshot_dataset
from ophclip.evaluation.verifying import verify_result
from ophclip.simulate import SimulateConfig, simulate
from ophclip.simulate.layouts import LAYOUTS, write_layouts
from ophclip.simulate.layouts.takes import Cut, Film, Still, Take

pytestmark = pytest.mark.slow

World = tuple[SimulateConfig, tuple[Take, ...], dict[str, Path]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    config, takes = planned(tmp_path_factory.mktemp("world"), pace=0.2)
    simulate(config)
    return config, takes, write_layouts(Path(config.out), config, ["all"])


@pytest.mark.parametrize("name", DATASETS)
def test_a_check_finds_nothing_but_what_the_world_cannot_show(name: str, world: World) -> None:
    report = check(name, world[2][name])
    assert report.usable
    facts, dataset = DATASETS[name].facts, DATASETS[name].read(world[2][name])
    expected = [] if facts.prompts else ["no prompts are shipped for it: give your own with --prompts"]
    odd = [line for line in report.odd if " gaps between segments: " not in line]
    if any(line.endswith(": 0") for line in report.there):
        assert " classes without a label: " in odd.pop()
    assert odd == expected
    gaps = len(odd) < len(report.odd) and any(" gaps between " in line for line in report.odd)
    assert not gaps or name in ("cataract1k", "ophnet-operations", "cholec80", "autolaparo")
    assert isinstance(dataset, FileDataset) or name == "cadis-8" or len(dataset.videos) in (2, 3, 5)


def _rows(name: str, content: object, classes: tuple[str, ...], labels: tuple[str, ...]) -> NDArray[np.float32]:
    """What a model that knows the truth says of every second of a file: classes, and something else."""
    column = {label: place for place, label in enumerate(classes)}
    if isinstance(content, Film) and labels == ():
        rows = np.zeros((len(content.take.whole_seconds), len(classes) + 1), np.float32)
        for second, row in zip(content.take.whole_seconds, rows, strict=True):
            row[column.get(label_at(name, content.take, second), len(classes))] = 1
        return rows
    rows = np.zeros((100 if isinstance(content, Film) else 10, len(classes) + 1), np.float32)
    rows[:, [column[label] for label in labels] or [len(classes)]] = 1
    return rows


def _oracle(folder: Path, name: str, root: Path, takes: tuple[Take, ...]) -> Path:
    """A folder of vectors of a model that answers from the program, and of labels as it would be asked for them."""
    dataset, tree = DATASETS[name].read(root), tree_of(name, takes)
    base = root.parent if LAYOUTS[name].table else root
    classes = dataset.classes
    vectors: dict[Path, NDArray[np.float32]] = {}
    if isinstance(dataset, PresenceDataset):
        for video in dataset.videos:
            rest = np.ones((len(video.present_nc), 1))
            vectors[video.path] = np.concatenate([video.present_nc, 0.1 * rest], axis=1).astype(np.float32)
    elif isinstance(dataset, PhaseDataset):
        for video in dataset.videos:
            vectors[video.path] = _rows(name, tree[video.path.relative_to(base).as_posix()], classes, ())
    else:
        for file in dataset.files:
            vectors[file.path] = _rows(name, tree[file.path.relative_to(base).as_posix()], classes, file.labels)
    for path, rows in vectors.items():
        place = (folder / "frames" / path.relative_to(base)).with_suffix(".npy")
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, rows)
    (folder / "model.json").write_text(json.dumps({"name": "oracle", "fps": 1, "logit_scale": 100}), encoding="utf-8")
    (folder / "classes.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    np.save(folder / "classes.npy", np.eye(len(classes), len(classes) + 1, dtype=np.float32))
    return folder


@pytest.mark.parametrize("name", DATASETS)
def test_the_truth_scores_1_in_the_protocol_of_its_dataset(name: str, world: World, tmp_path: Path) -> None:
    model = _oracle(tmp_path / "oracle", name, world[2][name], world[1])
    config = ZeroShotConfig(bootstrap_samples=20)
    result = zeroshot_dataset(model, name, world[2][name], tmp_path / "result", config=config)
    assert result.provenance.protocol == DATASETS[name].facts.protocol
    if isinstance(result, PresenceResult):
        assert result.mean_average_precision.mean == 1
    elif isinstance(result, PhaseResult):
        assert result.summary["accuracy"].mean == result.summary["f1"].mean == 1
    else:
        assert next(iter(result.summary.values())).mean == 1
    assert not verify_result(tmp_path / "result")


def _media(world: World, name: str, kind: type) -> Iterator[tuple[Path, Cut | Still | Film]]:
    for path, content in tree_of(name, world[1]).items():
        if isinstance(content, kind):
            yield Path(world[0].out) / "layouts" / (LAYOUTS[name].folder or name) / path, content


@pytest.mark.parametrize("name", ["cataract1k-clips", "catreldet", "lensid"])
def test_clips_show_what_the_video_shows(name: str, world: World) -> None:
    for path, cut in _media(world, name, Cut):
        assert isinstance(cut, Cut)
        seconds = cut.end_seconds - cut.start_seconds
        assert probe(path).duration_seconds == pytest.approx(seconds, abs=0.13)
        inside = np.linspace(0, seconds - 0.25, 4)
        shown = frames_at(path, inside.tolist()).pixels_thwc
        source = frames_at(cut.take.video, (inside + cut.start_seconds + 0.0005).tolist()).pixels_thwc
        assert np.abs(shown.astype(int) - source).mean() < 6
        assert (np.abs(shown.astype(int) - source) < 60).mean() > 0.99


@pytest.mark.parametrize("name", ["cadis-36", "catinstseg", "insegcat", "cataract1k-instruments"])
def test_pictures_are_those_of_the_video_at_whole_seconds(name: str, world: World) -> None:
    for path, still in _media(world, name, Still):
        assert isinstance(still, Still)
        (source,) = frames_at(still.take.video, [still.second + 0.0005]).pixels_thwc
        with Image.open(path) as picture:
            assert np.array_equal(np.asarray(picture), source)


def test_videos_are_not_copied_and_nothing_is_written_twice(world: World) -> None:
    films = [pair for name in DATASETS for pair in _media(world, name, Film)]
    assert len(films) > 30
    assert all(path.samefile(film.take.video) for path, film in films)  # type: ignore[union-attr]
    before = {path: path.stat().st_mtime_ns for path in (Path(world[0].out) / "layouts").rglob("*")}
    write_layouts(Path(world[0].out), world[0], ["all"])
    assert before == {path: path.stat().st_mtime_ns for path in (Path(world[0].out) / "layouts").rglob("*")}


def test_the_command_writes_what_it_is_asked_for(tmp_path: Path) -> None:
    given = ["--narrated", "0", "--silent", "0", "--held-out", "1", "--height-px", "96", "--max-fps", "10"]
    told = CliRunner().invoke(app, ["simulate", str(tmp_path), *given, "--layouts", "lensid,cat21"])
    assert told.exit_code == 0
    lines = [f"--dataset {name} --root {tmp_path / 'layouts' / name}" for name in ("lensid", "cat21")]
    assert [line for line in told.stdout.splitlines() if line.startswith("--dataset")] == lines
    assert {path.name for path in (tmp_path / "layouts").iterdir()} == {"lensid", "cat21"}
    assert check("lensid", tmp_path / "layouts" / "lensid").usable
