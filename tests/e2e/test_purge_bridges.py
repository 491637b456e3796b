"""Search, export, a person's edits, labels, probe: all parts real, the model tiny, one video of changing frame rate."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from filming import film
from typer.testing import CliRunner

from ingest.media import frames_at, picture_seconds
from ophclip.cli import app
from ophclip.config import IndexConfig
from ophclip.evaluation.datasets import read_presence_table
from ophclip.model_options import ModelConfig, TextConfig, VisualConfig
from ophclip.models.bundle import save_bundle
from ophclip.models.dual_encoder import build_model
from ophclip.search.bridges.frames import file_clock
from ophclip.search.build import build_index

MODEL = ModelConfig(
    name="tiny",
    embed_dim=16,
    visual=VisualConfig(name="tiny", image_size_px=64),
    text=TextConfig(name="tiny", context_length=32),
)
OPTIONS = (
    "shots=[1]", "draws=2", "shares_percent=[100]", "heads=[linear]", "bootstrap_samples=50", "chance_samples=5",
)  # fmt: skip


def _said(*words: str) -> str:
    told = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three videos, the last with pictures at odd seconds, their index, and hits for two queries."""
    root = tmp_path_factory.mktemp("bridges")
    (root / "films").mkdir()
    random = np.random.default_rng(0)
    for name, frames in (("case_1", 120), ("case_2", 110)):
        film(root / "films" / f"{name}.mp4", [number / 10 for number in range(frames)])
    film(root / "films" / "odd rate.mp4", np.cumsum(random.uniform(0.02, 0.4, 60)).tolist())
    torch.manual_seed(0)
    save_bundle(root / "bundle", build_model(MODEL), MODEL, {})
    build_index(root / "bundle", root / "index", videos=root / "films", config=IndexConfig())
    lines = [_said("search", root / "index", query, "--json", "--k", "30") for query in ("lens injector", "=hook")]
    (root / "hits.jsonl").write_text("".join(lines))
    return root


def _hits(place: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (place / "hits.jsonl").read_text().splitlines()]


def test_fiftyone_names_the_frames_that_are_shown(place: Path, tmp_path: Path) -> None:
    _said("export", "--hits", place / "hits.jsonl", "--to", "fiftyone", "--out", tmp_path)
    labels = json.loads((tmp_path / "labels.json").read_text())["labels"]
    assert set(labels) == {"case_1", "case_2", "odd_rate"}
    assert json.loads((tmp_path / "data.json").read_text())["odd_rate"] == str(place / "films" / "odd rate.mp4")
    decoded: dict[str, list[float]] = {}
    for path in (place / "films").iterdir():
        with av.open(str(path)) as container:
            start = (container.start_time or 0) / av.time_base
            decoded[path.name] = [float(one.pts * one.time_base) - start for one in container.decode(video=0)]
        np.testing.assert_allclose(picture_seconds(path), decoded[path.name], atol=1e-9)
    rows = iter([hit for hit in _hits(place) if hit["video_id"] == "odd_rate"])
    shown = decoded["odd rate.mp4"]
    for row in labels["odd_rate"]:
        hit, (first, last) = next(rows), row["support"]
        assert shown[first - 1] <= float(str(hit["start_seconds"])) + 1e-4
        assert first == len(shown) or shown[first] > float(str(hit["start_seconds"])) + 1e-4
        assert shown[last - 1] < float(str(hit["end_seconds"]))
        assert last == len(shown) or shown[last] >= float(str(hit["end_seconds"])) - 1e-4
        assert row["label"] == hit["query"]
    clock = file_clock(place / "films" / "odd rate.mp4")
    frames = frames_at(place / "films" / "odd rate.mp4", clock.seconds_f[[3, 20]])
    np.testing.assert_allclose(frames.seconds, clock.seconds_f[[3, 20]], atol=1e-6)
    assert "of 3 videos" in _said("labels", tmp_path, "--out", tmp_path / "presence.csv")
    dataset = read_presence_table(tmp_path / "presence.csv", (place / "films",))
    assert [video.path.name for video in dataset.videos] == ["case_1.mp4", "case_2.mp4", "odd rate.mp4"]


@pytest.mark.slow
def test_label_studio_round_trip_to_a_probe(place: Path, tmp_path: Path) -> None:
    queries = ("--query", "lens injector", "--query", "phaco handpiece")
    _said("export", place / "index", *queries, "--k", "9", "--to", "label-studio", "--out", tmp_path)
    config = (tmp_path / "config.xml").read_text()
    assert 'frameRate="$fps"' in config
    assert '<Label value="lens injector"/>' in config
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert {task["data"]["file"] for task in tasks} == {"case_1.mp4", "case_2.mp4", "odd rate.mp4"}
    for number, task in enumerate(tasks):  # a person keeps one region of each label, moves it, and submits
        regions = {one["value"]["timelinelabels"][0]: one for one in task["predictions"][0]["result"]}
        for place_of, region in enumerate(regions.values()):
            region["value"]["ranges"] = [
                {"start": 1 + 10 * (number + 4 * place_of), "end": 30 + 10 * (number + 4 * place_of)}
            ]
        task["annotations"] = [{"result": list(regions.values())}]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    table = tmp_path / "presence.csv"
    told = _said("labels", tmp_path / "export.json", "--out", table, "--whole-videos", "--videos", place / "films")
    assert "of 3 videos" in told
    dataset = read_presence_table(table, (place / "films",))
    assert set(dataset.classes) <= {"lens injector", "phaco handpiece"}
    assert [video.path.name for video in dataset.videos] == ["case_1.mp4", "case_2.mp4", "odd rate.mp4"]
    assert all(np.isfinite(video.present_nc).all() for video in dataset.videos)
    words = ("--dataset", "presence-table", "--root", table, "--videos", place / "films", "--out", tmp_path / "probe")
    _said("probe", place / "bundle", *words, *OPTIONS)
    assert (tmp_path / "probe" / "probe_result.json").is_file()


def test_a_spreadsheet_meets_no_formula_and_its_verdicts_come_back(place: Path, tmp_path: Path) -> None:
    _said("export", "--hits", place / "hits.jsonl", "--out", tmp_path)
    rows = list(csv.reader((tmp_path / "moments.csv").read_text().splitlines()))
    assert {row[0] for row in rows[1:]} == {"lens injector", "'=hook"}
    assert {row[1] for row in rows[1:] if row[0] == "lens injector"} == {"lens injector"}
    for number, row in enumerate(rows[1:]):
        row[-1] = ("up", "down", "")[number % 3]
    with (tmp_path / "moments.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    _said("labels", tmp_path / "moments.csv", "--index", place / "index", "--out", tmp_path / "presence.csv")
    dataset = read_presence_table(tmp_path / "presence.csv", (place / "films",))
    assert "odd rate.mp4" in {video.path.name for video in dataset.videos}
    assert {0.0, 1.0} <= {cell for video in dataset.videos for cell in video.present_nc.ravel().tolist()}


def test_mistakes_are_one_line(place: Path, tmp_path: Path) -> None:
    (tmp_path / "hits.jsonl").write_text('{"query": "x"}\n')
    cases = (
        (("export",), "give INDEX with --query, or --hits"),
        (("export", place / "index"), "no query"),
        (("export", "--hits", tmp_path / "hits.jsonl", "--out", tmp_path), "line 1: start_seconds is missing"),
        (("labels", tmp_path / "none.json", "--out", tmp_path / "t.csv"), "none.json: expected this file"),
        (("labels", place / "hits.jsonl", "--out", tmp_path / "t.csv"), "not JSON"),
    )
    for words, message in cases:
        with pytest.raises(ValueError, match=message):
            CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
