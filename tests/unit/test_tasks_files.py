"""Clips, pictures and procedures: figures as computed by hand and by scikit-learn, compared, computed again."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, recall_score
from small_results import provenance

from ophclip.config import ScoredUnit, ZeroShotConfig
from ophclip.evaluation.comparing import compare_results
from ophclip.evaluation.datasets import DATASETS, dataset_entry
from ophclip.evaluation.embedding_writer import names_of_files
from ophclip.evaluation.file_figures import class_precision
from ophclip.evaluation.file_results import file_result
from ophclip.evaluation.intervals import resamples
from ophclip.evaluation.records import FileDataset, Task
from ophclip.evaluation.results import FileResult, Throughput
from ophclip.evaluation.runs import zeroshot_dataset
from ophclip.evaluation.scored_files import ScoredFile, file_table, read_scored_files, write_scored_files
from ophclip.evaluation.scoring import write_files
from ophclip.evaluation.verifying import verify_from_videos, verify_result

CONFIG = ZeroShotConfig(bootstrap_samples=40, chance_samples=20)
NOTHING = Throughput(frames=0, video_seconds=0.0, wall_seconds=0.0)
CLASSES = ("cut", "tear", "tip")


def _file(name: str, labels: str, scores: Sequence[float], video: str = "", group: str = "") -> ScoredFile:
    given = tuple(labels.split()), np.array(scores, dtype=np.float64)
    return ScoredFile(file_id=name, video_id=video or name, labels=given[0], scores_c=given[1], group=group)


def _result(task: Task, files: Sequence[ScoredFile], classes: Sequence[str] = CLASSES, **changes: object) -> FileResult:
    return file_result(provenance(**changes), NOTHING, task=task, classes=classes, files=files, styles={})


def _drawn(task: Task, seed: int, count: int = 60, videos: int = 12, skill: float = 0.0) -> list[ScoredFile]:
    rng = np.random.default_rng(seed)
    files = []
    for number in range(count):
        present = np.random.default_rng(number).random(3) < 0.4
        if task is Task.CLIP:
            present = np.arange(3) == number % 3
        scores = (rng.random(3) + skill * present).round(2)
        labels = " ".join(label for label, there in zip(CLASSES, present, strict=True) if there)
        files.append(_file(f"f{number:02d}", labels, scores, video=f"v{number % videos}"))
    return files


def test_clips_as_computed_by_hand() -> None:
    files = [
        _file("a", "cut", (0.9, 0.1, 0.2), "v1"),
        _file("b", "cut", (0.3, 0.5, 0.1), "v1"),
        _file("c", "tear", (0.1, 0.6, 0.2), "v2"),
        _file("d", "tear", (0.4, 0.4, 0.1), "v2"),
    ]
    found = _result(Task.CLIP, files)
    # d ties with another class: not first. Predictions: cut, tear, tear, cut.
    assert found.summary["top1"].mean == 0.5
    assert found.summary["top5"].mean == 1
    # cut: 1 hit of 2, 2 predicted; tear: 1 hit of 2, 2 predicted; tip is in no truth.
    assert found.summary["f1"].mean == pytest.approx(0.5)
    assert found.class_figures["class_f1"]["cut"].mean == pytest.approx(0.5)
    assert np.isnan(found.class_figures["class_f1"]["tip"].mean)
    assert found.chance["top1"] == pytest.approx(1 / 3)
    tree = found.to_json()
    assert (tree["task"], tree["unseen"], tree["class_files"]) == ("clips", ["tip"], {"cut": 2, "tear": 2, "tip": 0})
    assert tree["videos"] == [{"video_id": "v1", "files": 2, "top1": 0.5}, {"video_id": "v2", "files": 2, "top1": 0.5}]
    assert tree["class_f1"]["tip"]["mean"] is None


def test_clip_figures_are_those_of_scikit_learn() -> None:
    files = _drawn(Task.CLIP, 3, skill=0.3)
    found = _result(Task.CLIP, files)
    truth = [CLASSES.index(file.labels[0]) for file in files]
    guess = [int(file.scores_c.argmax()) for file in files]
    assert found.summary["f1"].mean == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-12)
    assert found.summary["recall"].mean == pytest.approx(recall_score(truth, guess, average="macro"), abs=1e-12)


def test_tasks_of_a_dataset_are_choices_among_their_own_classes() -> None:
    files = [
        _file("a", "tear", (0.9, 0.5, 0.1), group="tear"),
        _file("b", "tip", (0.9, 0.2, 0.3), group="tear"),
        _file("c", "cut", (0.1, 0.9, 0.3), group="cut"),
        _file("d", "tip", (0.3, 0.9, 0.1), group="cut"),
    ]
    found = _result(Task.CLIP, files)
    assert found.summary["top1"].mean == 0
    groups = found.groups["task"]
    assert {name: one.figures["top1"].mean for name, one in groups.items()} == {"tear": 1.0, "cut": 0.0}
    assert groups["tear"].figures["f1"].mean == 1
    assert groups["cut"].videos == 2


def test_pictures_as_computed_by_hand() -> None:
    files = [
        _file("a", "cut", (0.9, 0.1, 0.0), "v1"),
        _file("b", "", (0.5, 0.8, 0.0), "v1"),
        _file("c", "cut tear", (0.1, 0.7, 0.0), "v1"),
        _file("d", "tear", (0.2, 0.9, 0.0), "v2"),
        _file("e", "", (0.1, 0.95, 0.0), "v2"),
    ]
    found = _result(Task.PICTURE, files)
    # v1: cut ranks 1 and 3 of 3: (1 + 2/3) / 2; tear ranks 2: 1/2. v2: tear ranks 2: 1/2.
    assert found.summary["mean_average_precision"].mean == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert found.nulls == 3
    # All together: cut at 1, and tied with e at the end: 1/2 + 1/2 * 2/5; tear: ranks 2 and 4 of 5.
    pooled = found.protocols["file_map"].figures["mean_average_precision"].mean
    assert pooled == pytest.approx((0.7 + (1 / 2 + 2 / 4) / 2) / 2)
    assert found.to_json()["videos"][1]["average_precision"] == {"cut": None, "tear": 0.5, "tip": None}


@pytest.mark.parametrize("seed", [0, 1])
def test_average_precision_of_drawn_videos_is_that_of_scikit_learn(seed: int) -> None:
    files = _drawn(Task.PROCEDURE, seed)
    table = file_table(files, CLASSES, Task.PROCEDURE)
    rows_bv = resamples(len(table.videos), 20, seed)
    found_bc = class_precision(table)(rows_bv)
    for row_v, found_c in zip(rows_bv, found_bc, strict=True):
        taken = np.concatenate([np.flatnonzero(table.owner_f == video) for video in row_v])
        wanted = average_precision_score(table.present_fc[taken], table.scores_fc[taken], average=None)
        np.testing.assert_allclose(found_c, wanted, atol=1e-12)
    found = _result(Task.PROCEDURE, files)
    whole = average_precision_score(table.present_fc, table.scores_fc, average="macro")
    assert found.summary["mean_average_precision"].mean == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("task", [Task.CLIP, Task.PICTURE, Task.PROCEDURE])
def test_guesses_score_at_chance_and_the_truth_scores_one(task: Task) -> None:
    count = 240
    found = _result(task, _drawn(task, 5, count=count, videos=40), bootstrap_samples=200, chance_samples=100)
    for name, chance in found.chance.items():
        figure = found.summary[name]
        assert figure.low - 1e-9 <= chance <= figure.high + 1e-9, name
    files = _drawn(task, 5, count=count, skill=2.0)
    assert {round(figure.mean, 12) for figure in _result(task, files).summary.values()} == {1.0}


@pytest.mark.parametrize("task", [Task.CLIP, Task.PICTURE, Task.PROCEDURE])
def test_a_result_is_read_back_computed_again_and_compared(task: Task, tmp_path: Path) -> None:
    bad, good = (_result(task, _drawn(task, 7, skill=skill)) for skill in (0.0, 1.0))
    for name, found in (("bad", bad), ("good", good)):
        write_files(tmp_path / name, found)
        assert verify_result(tmp_path / name) == ()
    rows = {(row.protocol, row.figure): row.difference for row in compare_results(tmp_path / "bad", tmp_path / "good")}
    for name in ("f1", "top1") if task is Task.CLIP else ("mean_average_precision",):
        (difference,) = [one for (protocol, figure), one in rows.items() if figure == name and "video" not in protocol]
        if "mean" not in name:
            assert difference.first == pytest.approx(bad.summary[name].mean, abs=1e-12)
            assert difference.second == pytest.approx(good.summary[name].mean, abs=1e-12)
        assert 0 < difference.low < difference.difference < difference.high
        assert difference.p < 0.05
    text = (tmp_path / "bad" / "predictions.csv").read_text()
    changed = text.replace("f00,v0,,", "f00,v1,,")
    (tmp_path / "bad" / "predictions.csv").write_text(changed)
    assert any(one.field.startswith("videos") for one in verify_result(tmp_path / "bad"))
    with pytest.raises(ValueError, match="different truth of f00"):
        compare_results(tmp_path / "bad", tmp_path / "good")
    (tmp_path / "bad" / "predictions.csv").write_text(text[: text.rstrip("\n").rindex("\n") + 1])
    with pytest.raises(ValueError, match="different files, f59 is in one only"):
        compare_results(tmp_path / "bad", tmp_path / "good")


def test_predictions_that_are_not_whole_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    files = [_file("a, b", "cut tear", (0.1, 0.2, 0.3)), _file("c", "", (0.1, 0.2, 1e-9))]
    write_scored_files(path, files, CLASSES)
    kept = read_scored_files(path, CLASSES)
    assert [(one.file_id, one.labels) for one in kept] == [("a, b", ("cut", "tear")), ("c", ())]
    assert kept[1].scores_c[2] == 0
    lines = path.read_text().splitlines()
    for change, message in (
        ([lines[0], lines[1], lines[1]], "line 3: a, b stands there twice"),
        ([lines[0], lines[1][:-3]], None),
        ([lines[0], lines[1] + ",1"], "line 2: 8 cells; expected 7"),
        ([lines[0], lines[2].replace("0.10000000", "low")], "line 2: a score is no number"),
        ([lines[0], lines[2].replace("0.10000000", "nan")], "line 2: a score is not finite"),
        ([lines[0].replace("tear", "flap"), lines[1]], "line 1: expected file,video,group,truth and the classes"),
        ([], "line 1: expected"),
        ([lines[0]], "no row below the header"),
    ):
        path.write_text("\n".join(change) + "\n")
        if message is not None:
            with pytest.raises(ValueError, match=message):
                read_scored_files(path, CLASSES)
    path.unlink()
    with pytest.raises(ValueError, match="expected this file and it is not there"):
        read_scored_files(path, CLASSES)
    with pytest.raises(ValueError, match=r"class 'a\|b': a name with"):
        write_scored_files(path, [], ("a|b",))
    with pytest.raises(ValueError, match="x: label 'flap' is none of the classes"):
        file_table([_file("x", "flap", (0, 0, 0))], CLASSES, Task.PICTURE)
    with pytest.raises(ValueError, match="x: 2 labels; expected one of each clip"):
        file_table([_file("x", "cut tip", (0, 0, 0))], CLASSES, Task.CLIP)
    with pytest.raises(ValueError, match="no file to score"):
        file_table([], CLASSES, Task.CLIP)


def _embedded(place: Path, dataset: FileDataset, skill: float = 1.0) -> Path:
    """A folder of vectors: every class has an axis of its own, and a file lies between the axes of its labels."""
    width = len(dataset.classes) + 1
    rng = np.random.default_rng(0)
    (place / "frames").mkdir(parents=True)
    (place / "model.json").write_text(json.dumps({"name": "axes", "fps": 1, "logit_scale": 10}))
    (place / "classes.txt").write_text("".join(f"{label}\n" for label in dataset.classes))
    np.save(place / "classes.npy", np.eye(width, dtype=np.float32)[: len(dataset.classes)])
    names = names_of_files([file.path for file in dataset.files])
    for file in dataset.files:
        vector_d: NDArray[np.float64] = 0.05 * rng.random(width)
        vector_d[-1] = 0.3
        for label in file.labels:
            vector_d[dataset.classes.index(label)] += skill
        target = place / "frames" / f"{names[file.path]}.npy"
        target.parent.mkdir(parents=True, exist_ok=True)
        frames = 1 if dataset.task is Task.PICTURE else 4
        np.save(target, (vector_d + 0.01 * rng.random((frames, width))).astype(np.float32))
    return place


def _catreldet(root: Path) -> Path:
    for phase in ("Implantation", "Rhexis", "Phacoemulsification", "Irrigation_Aspiration_Viscoelastic_suction"):
        for split in ("train", "test"):
            for kind in (phase, "other"):
                for number in range(3):
                    path = root / phase / split / kind / f"clip{number}.mp4"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(b"")
    return root


def _lensid(root: Path) -> Path:
    for split in ("train", "test"):
        for kind in ("Implantation", "rest"):
            for number in range(3):
                path = root / split / kind / f"{kind}{number}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
    return root


def _cadis(root: Path) -> Path:
    rng = np.random.default_rng(1)
    for video in (2, 5, 7):
        for number in range(4):
            values = np.zeros((4, 4), dtype=np.uint8)
            values[0] = rng.choice([7, 8, 11, 13], size=4)
            path = root / f"Video{video:02d}" / "Labels" / f"Video{video}_frame{number:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    return root


def _coco(root: Path) -> Path:
    root.mkdir(parents=True)
    names = ["Slit/incision knife", "Gauge", "Spatula", "Phaco tip"]
    tree = {
        "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
        "images": [{"id": place, "file_name": f"case{place % 3}_{place}.png"} for place in range(9)],
        "annotations": [{"image_id": place, "category_id": (place * 3 + place // 4) % 4} for place in range(9)],
    }
    (root / "test.json").write_text(json.dumps(tree))
    return root


def _surgeries(root: Path) -> Path:
    root.mkdir(parents=True)
    rows = [f'case_{number:04d},"{number % 5},{5 + number % 3}"' for number in range(12)]
    (root / "OphNet2024_surgery.csv").write_text("\n".join(["video_id,surgery", *rows]) + "\n")
    return root


@pytest.mark.parametrize(
    ("name", "write", "task"),
    [
        ("catreldet", _catreldet, "clips"),
        ("lensid", _lensid, "clips"),
        ("cadis-25", _cadis, "pictures"),
        ("cataract1k-instruments", _coco, "pictures"),
        ("ophnet-surgeries", _surgeries, "procedures"),
    ],
)
def test_datasets_of_files_are_scored_by_their_protocols(name: str, write: object, task: str, tmp_path: Path) -> None:
    assert callable(write)
    root = write(tmp_path / "data" / name)
    dataset = dataset_entry(name).read(root, with_videos=False)
    assert isinstance(dataset, FileDataset)
    folder = _embedded(tmp_path / "vectors", dataset)
    found = zeroshot_dataset(folder, name, root, tmp_path / "out", config=CONFIG)
    assert isinstance(found, FileResult)
    assert found.provenance.protocol == DATASETS[name].facts.protocol
    assert found.provenance.dataset == DATASETS[name].facts.source
    assert next(iter(found.summary.values())).mean == pytest.approx(1)
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    shared = {"provenance", "throughput", "classes", "summary", "chance", "styles", "videos", "protocols", "groups"}
    assert shared <= set(written)
    assert (written["task"], written["scored_files"]) == (task, len(dataset.files))
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        assert len(list(csv.reader(stream))) == len(dataset.files) + 1
    assert verify_result(tmp_path / "out") == ()
    assert verify_from_videos(tmp_path / "out", folder, name, root) == ()
    assert (tmp_path / "out" / "classes.png").is_file()
    if name == "catreldet":
        assert [one.figures["top1"].mean for one in found.groups["task"].values()] == [1.0] * 4


def test_segments_need_labels_of_segments(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video,seconds,cut\nv,0,1\nv,1,0\n")
    folder = tmp_path / "vectors"
    (folder / "frames").mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps({"name": "m", "fps": 1, "logit_scale": 10}))
    (folder / "classes.txt").write_text("cut\n")
    for name in ("classes", "frames/v"):
        np.save(folder / f"{name}.npy", np.ones((1, 3), dtype=np.float32))
    config = ZeroShotConfig(unit=ScoredUnit.SEGMENT)
    with pytest.raises(ValueError, match=r"unit=segment: p\.csv labels seconds, not segments"):
        zeroshot_dataset(folder, "presence-table", tmp_path / "p.csv", tmp_path / "out", config=config)
