"""Readers of every other owner's layout: real lists and masks, and what is damaged, odd or not simulated."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ophclip.evaluation.datasets import (
    DATASETS,
    read_autolaparo,
    read_cadis,
    read_cat21,
    read_cataract1k,
    read_cataract1k_clips,
    read_cataract1k_instruments,
    read_cataracts,
    read_cataracts_tools,
    read_catinstseg,
    read_catreldet,
    read_cholec80,
    read_insegcat,
    read_lensid,
    read_ophnet_operations,
    read_ophnet_surgeries,
)
from ophclip.evaluation.datasets.cataracts import TOOLS
from ophclip.evaluation.datasets.masks import mask_values
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.records import FileDataset, LabelSegment, PhaseDataset
from ophclip.evaluation.splits import only


def _spans(dataset: PhaseDataset, video: int = 0) -> list[tuple[float, float, str]]:
    return [(part.start_seconds, part.end_seconds, part.label) for part in dataset.videos[video].segments]


def _labels(dataset: FileDataset) -> dict[str, tuple[str, ...]]:
    return {file.file_id: file.labels for file in dataset.files}


def _write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _refused(message: str, read: object, *args: object, **options: object) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match=message) as caught:
        read(*args, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("cataract101", "cataract101"),
        ("cataract1k", "cataract1k/phase"),
        ("cataract1k-clips", "cataract1k/phase"),
        ("ophnet", "ophnet"),
    ],
)
def test_real_class_lists_have_prompts_that_tell_their_classes_apart(real_data: Path, name: str, folder: str) -> None:
    facts, dataset = DATASETS[name].facts, DATASETS[name].read(real_data / folder, with_videos=False)
    assert len(dataset.classes) == facts.classes
    builtin_prompts(facts.prompts).for_labels(dataset.classes, distinct=True)


@pytest.mark.parametrize("name", DATASETS)
def test_what_is_known_of_a_dataset_is_said(name: str) -> None:
    facts = DATASETS[name].facts
    for said in (facts.source.name, facts.source.license, facts.source.citation, facts.source.obtain):
        assert said
        assert "\n" not in said
    if facts.prompts:
        builtin_prompts(facts.prompts)


def test_real_cataract1k_clips_tell_phases_with_gaps_and_without_overlaps(real_data: Path) -> None:
    root = real_data / "cataract1k" / "phase"
    whole, clips = read_cataract1k(root, with_videos=False), read_cataract1k_clips(root, with_videos=False)
    assert {split: len(only(whole, split).videos) for split in ("train", "val")} == {"train": 39, "val": 11}
    assert len(clips.files) == sum(len(video.segments) for video in whole.videos) == 829
    pairs = [pair for video in whole.videos for pair in pairwise(video.segments)]
    assert sum(after.start_seconds < before.end_seconds for before, after in pairs) == 0
    assert sum(after.start_seconds > before.end_seconds for before, after in pairs) == 779
    assert sum(file.labels == ("Capsule polishing",) for file in clips.files) == 65
    first = next(video for video in whole.videos if video.video_id == "case_4687")
    assert first.segments[0] == LabelSegment(start_seconds=13.28, end_seconds=16.9, label="Incision")
    _refused(r"case_4687_segment_01_incision_013\.280-016\.900\.mp4: expected this clip", read_cataract1k_clips, root)


def test_real_ophnet_operations_and_surgeries(real_data: Path) -> None:
    operations = read_ophnet_operations(real_data / "ophnet", with_videos=False)
    pairs = [pair for video in operations.videos for pair in pairwise(video.segments)]
    assert sum(len(video.segments) for video in operations.videos) == 17508
    assert (len(operations.videos), len(operations.classes), operations.classes[106]) == (743, 107, "Others")
    assert sum(after.start_seconds < before.end_seconds for before, after in pairs) == 218
    surgeries = read_ophnet_surgeries(real_data / "ophnet", with_videos=False)
    assert (len(surgeries.files), sum(len(file.labels) for file in surgeries.files)) == (1969, 3807)
    assert _labels(surgeries)["case_0358"] == ("surgery 28",)
    assert len(surgeries.classes) == 80


def test_real_masks_of_cataract1k_are_of_foreground_only(real_data: Path) -> None:
    masks = sorted((real_data / "cataract1k" / "labels").glob("*.png"))
    assert len(masks) == 10
    for mask in masks[::3]:
        assert mask_values(mask) == {0, 1}
    with pytest.raises(ValueError, match="a coloured picture; expected a mask"):
        mask_values(real_data / "cataract1k" / "images" / masks[0].name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0,Incision\n1,Mittagspause\n", r"case_01\.csv, line 2: label 'Mittagspause' is none of Incision"),
        ("0,Incision\n0,Rhexis\n", r"line 2: frame 0 stands in line 1 already"),
        ("0,Incision\n1,Rhexis\n0,Incision\n", r"line 3: the row of line 1 stands there again"),
        ("0.5,Incision\n", r"line 1: frame is '0\.5' and must be a whole number"),
        ("-1,Incision\n", r"line 1: frame is -1; frames are counted from 0"),
        ("0,Incision\n1\n", r"line 2: the row is shorter"),
    ],
)
def test_damaged_cat21_tables_are_refused_with_file_and_line(tmp_path: Path, text: str, says: str) -> None:
    _write(tmp_path / "labels" / "case_01.csv", text)
    _refused(says, read_cat21, tmp_path, with_videos=False)


def test_frames_that_are_missing_leave_a_gap_and_frames_sampled_evenly_none(tmp_path: Path) -> None:
    _write(tmp_path / "case_1.csv", "0,Incision\n25,Incision\n50,Rhexis\n")
    assert _spans(read_cat21(tmp_path, with_videos=False)) == [(0.0, 2.0, "Incision"), (2.0, 3.0, "Rhexis")]
    _write(tmp_path / "case_1.csv", "0,Incision\n1,Incision\n2,Incision\n50,Incision\n")
    assert _spans(read_cat21(tmp_path, with_videos=False)) == [(0.0, 0.12, "Incision"), (2.0, 2.04, "Incision")]


def test_cataract1k_reads_a_misspelt_phase_in_any_order_and_no_other(tmp_path: Path) -> None:
    table = tmp_path / "annotations" / "case_5013" / "case_5013_annotations_phases.csv"
    header = "caseId,comment,frame,endFrame,sec,endSec"
    _write(table, f"{header}\n5013,Capsule Pulishing,1600,1700,26.7,28.3\n5013,Incision,240,408,4.004,6.807\n")
    spans = _spans(read_cataract1k(tmp_path, with_videos=False))
    assert spans == [(4.004, 6.807, "Incision"), (26.7, 28.3, "Capsule polishing")]
    _write(table, f"{header}\n5013,Lunch,1,2,0.1,0.2\n")
    _refused(r"phases\.csv, line 2: phase 'Lunch' is none of Incision", read_cataract1k, tmp_path, with_videos=False)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("d/case_1_segment_01_incision_000.0-001.0.mp4 1", "the name says 'incision' and the label 'viscoelastic'"),
        ("d/case_1_segment_01_incision_000.0-001.0.mp4 7", "label '7' is none of"),
        ("d/case_1_incision.mp4 0", "expected a clip called case_N"),
        ("d/case_1_segment_01_incision_003.0-001.0.mp4 0", "ends at 1 s, not after its start at 3 s"),
    ],
)
def test_a_list_of_clips_that_contradicts_itself_is_refused(tmp_path: Path, line: str, says: str) -> None:
    _write(tmp_path / "label_map.json", json.dumps({"incision": 0, "viscoelastic": 1}))
    _write(tmp_path / "val.csv", f"{line}\n")
    _refused(rf"val\.csv, line 1: .*{says}", read_cataract1k_clips, tmp_path, with_videos=False)


@pytest.mark.parametrize(
    ("row", "says"), [("1,19", r"Steps '19' is none of 0"), ("0,1", r"Frame is 0; frames are counted from 1")]
)
def test_damaged_cataracts_steps_are_refused(tmp_path: Path, row: str, says: str) -> None:
    _write(tmp_path / "ground_truth" / "CATARACTS_2020" / "dev_gt" / "test01.csv", f"Frame,Steps\n{row}\n")
    _refused(rf"test01\.csv, line 2: {says}", read_cataracts, tmp_path, with_videos=False)


def test_cataracts_tools_are_read_once_a_second_whatever_the_order_of_columns(tmp_path: Path) -> None:
    table = tmp_path / "ground_truth" / "CATARACTS_2018" / "images" / "micro_train_gt" / "train01.csv"
    columns = [tool.lower() for tool in reversed(TOOLS)]
    rows = "".join(f"{frame}{',1' if frame == 31 else ',0'}{',0' * 20}\n" for frame in range(1, 62))
    _write(table, f"Frame,{','.join(columns)}\n{rows}")
    video = read_cataracts_tools(tmp_path, with_videos=False).videos[0]
    assert video.seconds_n.tolist() == [0.0, 1.0, 2.0]
    assert video.present_nc.shape == (3, 21)
    assert np.argwhere(video.present_nc).tolist() == [[1, TOOLS.index("Vannas scissors")]]
    _write(table, f"Frame,{','.join([*columns[:-1], 'spoon'])}\n1{',0' * 21}\n")
    _refused(r"train01\.csv: expected a frame column and the 21 tools; 'spoon'", read_cataracts_tools, tmp_path)
    _write(table, f"Frame,{','.join(columns)}\n1{',0' * 21}\n1{',0' * 20},1\n")
    _refused(r"train01\.csv, line 3: Frame 1 stands there already", read_cataracts_tools, tmp_path)
    _write(table, f"Frame,{','.join(columns)}\n1{',0' * 20},0.5\n")
    _refused(r"train01\.csv, line 2: biomarker is '0\.5'; expected 0, 1", read_cataracts_tools, tmp_path)


def test_clips_whose_folders_do_not_tell_class_and_split_are_refused(tmp_path: Path) -> None:
    relevant, lens = tmp_path / "reldet", tmp_path / "lens"
    _write(relevant / "Rhexis" / "d.mp4")
    _refused(r"d\.mp4: expected one folder train or test", read_catreldet, relevant)
    _write(lens / "train" / "e.mp4")
    _refused(r"e\.mp4: expected one folder on the way to it named after", read_lensid, lens)
    _refused("no clip in it", read_lensid, tmp_path / "empty")


def _cadis(root: Path, video: int, values: list[int], *, picture: bool = True) -> None:
    name = f"Video{video}_frame000090.png"
    mask = np.zeros((4, len(values)), dtype=np.uint8)
    mask[0] = values
    for folder in ("Labels", "Images"):
        (root / f"Video{video:02d}" / folder).mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(root / f"Video{video:02d}" / "Labels" / name)
    if picture:
        _write(root / f"Video{video:02d}" / "Images" / name)


def test_cadis_masks_tell_instruments_by_task(tmp_path: Path) -> None:
    _cadis(tmp_path, 1, [0, 12, 28])
    _cadis(tmp_path, 5, [6, 32])
    _cadis(tmp_path, 22, [4, 5, 26])
    raw = read_cadis(tmp_path)
    assert [file.split for file in raw.files] == ["train", "val", "test"]
    assert [file.labels for file in raw.files] == [
        ("Primary Knife", "Primary Knife Handle"), ("Hydrodissection Cannula Handle",), ("Needle Holder",),
    ]  # fmt: skip
    assert [file.labels for file in read_cadis(tmp_path, task=17).files] == [("Primary Knife",), ("Cannula",), ()]
    assert [file.labels for file in read_cadis(tmp_path, task=25).files] == [("Primary Knife",), (), ()]
    assert [file.labels for file in read_cadis(tmp_path, task=8).files] == [("Instrument",)] * 3
    assert [len(DATASETS[f"cadis-{task}"].read(tmp_path).classes) for task in (8, 17, 25, 36)] == [1, 10, 18, 29]
    for task in (8, 17, 25, 36):
        builtin_prompts("cataract_tools").for_labels(read_cadis(tmp_path, task=task).classes)


def test_cadis_refuses_masks_that_are_none(tmp_path: Path) -> None:
    _cadis(tmp_path, 1, [0, 36])
    _refused(r"Video1_frame000090\.png: a value of 36; expected raw classes from 0 to 35", read_cadis, tmp_path)
    _cadis(tmp_path, 1, [0, 7])
    _write(tmp_path / "Video01" / "Labels" / "Video1_frame000100.png")
    _refused(r"expected the picture of this mask", read_cadis, tmp_path)
    _refused(r"frame000100\.png: not a picture that can be read", read_cadis, tmp_path, with_videos=False)
    _refused(r"Video01/Labels: expected masks in it", read_cadis, tmp_path / "nowhere")


def _coco(path: Path, names: list[str], pictures: dict[str, list[int]]) -> Path:
    marks = [{"image_id": i, "category_id": mark} for i, marks in enumerate(pictures.values()) for mark in marks]
    tree = {
        "images": [{"id": index, "file_name": name} for index, name in enumerate(pictures)],
        "annotations": marks,
        "categories": [{"id": index, "name": name} for index, name in enumerate(names)],
    }
    return _write(path, json.dumps(tree))


def test_coco_pictures_hold_the_instruments_that_are_marked_in_them(tmp_path: Path) -> None:
    one = tmp_path / "one"
    _coco(one / "train.json", ["slit knife", "phaco tip", "eye retractors"], {"a.jpg": [1, 1, 0], "b.jpg": []})
    for name in ("a.jpg", "b.jpg"):
        _write(one / "pictures" / name)
    dataset = read_catinstseg(one)
    assert _labels(dataset) == {"a.jpg": ("Slit knife", "Phaco tip"), "b.jpg": ()}
    assert dataset.files[0].path == one / "pictures" / "a.jpg"
    assert dataset.files[0].split == "train"
    _coco(one / "train.json", ["i1", "i20"], {"a.jpg": [1]})
    assert _labels(read_catinstseg(one)) == {"a.jpg": ("Eye retractors",)}
    two = tmp_path / "two"
    _coco(two / "all.json", ["Visco. cannula", "Viter. handpiece", "Mendez Ring"], {"Video2_frame1.png": [0, 2]})
    found = read_insegcat(two, with_videos=False)
    assert (found.files[0].labels, found.files[0].video_id) == (("Viscoelastic cannula",), "Video2")


def test_coco_of_cataract1k_leaves_anatomy_out(tmp_path: Path) -> None:
    path = tmp_path / "Coco-Annotations" / "case_5013" / "annotations" / "instances.json"
    names = ["Cornea", "Katena Forceps", "cornea1", "Lens Injector", "Irrigation-Aspiration", "Capsulorhexis Forceps",
             "Spatula", "pupil1", "Phacoemulsification Tip", "Incision Knife", "Pupil", "Slit Knife", "Lens",
             "Capsulorhexis Cystotome", "Gauge"]  # fmt: skip
    _coco(path, names, {"case5013_57.png": [0, 10, 9], "frame9.png": [2, 7, 12, 8]})
    files = read_cataract1k_instruments(tmp_path, with_videos=False).files
    assert [(file.labels, file.video_id) for file in files] == [
        (("Slit/incision knife",), "case5013"), (("Phaco tip",), "case_5013"),
    ]  # fmt: skip


def test_damaged_coco_files_are_refused(tmp_path: Path) -> None:
    path = _coco(tmp_path / "all.json", ["spoon"], {"a.jpg": [0]})
    _refused(r"all\.json: category 'spoon' is none of", read_catinstseg, tmp_path)
    _coco(path, ["spatula"], {"a.jpg": [0]})
    _refused(r"a\.jpg: expected this picture of .*all\.json", read_catinstseg, tmp_path)
    _write(tmp_path / "x" / "a.jpg")
    _write(tmp_path / "y" / "a.jpg")
    _refused(r"picture a\.jpg may be .* or .*; keep one", read_catinstseg, tmp_path)
    _coco(path, ["spatula"], {"a.jpg": [3]})
    _refused(r"an annotation of category 3, which is not in its list", read_catinstseg, tmp_path)
    _write(path, '{"images": [],\n "annotations"')
    _refused(r"all\.json, line 2: not JSON", read_catinstseg, tmp_path)
    _write(path, '{"images": [{"id": 1}], "annotations": [], "categories": []}')
    _refused(r"all\.json: an entry is not as COCO has it \('file_name'\)", read_catinstseg, tmp_path)
    path.unlink()
    _refused(r"no COCO file", read_catinstseg, tmp_path)


def test_frame_tables_map_phases_by_name_and_numbers_only_by_a_map(tmp_path: Path) -> None:
    rows = [(f"frames/video41/video41_{25 * second:06d}.png", 5 if second < 2 else 6) for second in range(4)]
    _write(tmp_path / "test.csv", "path,label\n" + "".join(f"{path},{label}\n" for path, label in rows))
    _refused(r"test\.csv, line 2: label 5 is a number, .*label_map\.json", read_cholec80, tmp_path, with_videos=False)
    _write(tmp_path / "label_map.json", json.dumps({"CleaningCoagulation": 6, "GallbladderRetraction": 5}))
    dataset = read_cholec80(tmp_path, with_videos=False)
    assert _spans(dataset) == [(0.0, 2.0, "Gallbladder retraction"), (2.0, 4.0, "Cleaning and coagulation")]
    assert (dataset.videos[0].video_id, dataset.videos[0].split) == ("video41", "test")
    _write(tmp_path / "val.csv", "path,label\nvideo41/video41_000900.png,Preparation\n")
    _refused(r"test\.csv, line 2: video41 is in val and in test", read_cholec80, tmp_path, with_videos=False)


def test_a_path_without_video_and_number_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "train.csv", "path,label\nfolder/frame.jpg,Washing\n")
    _refused(r"line 2: expected a path that ends in VIDEO/NAME_NUMBER", read_autolaparo, tmp_path, with_videos=False)


def test_damaged_ophnet_tables_of_operations_and_surgeries_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "OphNet2024_loca_challenge.csv", "video_id,start,end,split,operation_id\nc,0,1,test,1\n")
    _write(tmp_path / "operation_names.csv", "operation_id,name\n0,Wiping\n")
    _refused(r"line 2: operation_id '1': no name in", read_ophnet_operations, tmp_path, with_videos=False)
    _write(tmp_path / "OphNet2024_surgery.csv", '\ufeffvideo_id,surgery\nc,"2,0,2"\n')
    _refused(r"line 2: a surgery of c stands there twice", read_ophnet_surgeries, tmp_path, with_videos=False)
    _write(tmp_path / "OphNet2024_surgery.csv", 'video_id,surgery\nc,"2,0"\nd,80\n')
    _refused(r"line 3: surgery '80': expected a number", read_ophnet_surgeries, tmp_path, with_videos=False)
