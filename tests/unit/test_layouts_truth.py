"""Simulated trees of every dataset, without their media: readers find the simulator's own truth in them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from simulated_takes import action_at, label_at, planned, tree_of, write_unfilmed

from ophclip.evaluation.checking import label_counts
from ophclip.evaluation.datasets import DATASETS
from ophclip.evaluation.datasets.masks import RAW_INSTRUMENTS
from ophclip.evaluation.prompts import builtin_prompts
from ophclip.evaluation.records import FileDataset, PhaseDataset, PresenceDataset, Task, class_ids_at
from ophclip.simulate.language import Instrument
from ophclip.simulate.layouts import LAYOUTS, labels, write_layouts
from ophclip.simulate.layouts.pictures import CADIS_ANATOMY, CADIS_VALUES
from ophclip.simulate.layouts.takes import Cut, Film, Mask, Still, Take
from ophclip.simulate.scene import Anatomy
from ophclip.simulate.tools import draw

PHASES = [name for name, entry in DATASETS.items() if entry.facts.task is Task.PHASE]
CLIPS = [name for name, entry in DATASETS.items() if entry.facts.task is Task.CLIP]
PICTURES = [name for name, entry in DATASETS.items() if entry.facts.task is Task.PICTURE and name != "cadis-8"]
OF_PICTURES = {
    "catinstseg": labels.CATINSTSEG, "insegcat": labels.INSEGCAT, "cataract1k-instruments": labels.CATARACT1K_TOOLS,
}  # fmt: skip


@pytest.fixture(scope="module")
def takes() -> tuple[Take, ...]:
    return planned(Path("world"), pace=0.25)[1]


def test_every_dataset_has_a_layout() -> None:
    assert list(LAYOUTS) == list(DATASETS)


@pytest.mark.parametrize("name", PHASES)
def test_phases_are_those_of_the_program_at_every_second(name: str, takes: tuple[Take, ...], tmp_path: Path) -> None:
    tree = tree_of(name, takes)
    write_unfilmed(tmp_path, tree)
    dataset = DATASETS[name].read(tmp_path / LAYOUTS[name].table)
    assert isinstance(dataset, PhaseDataset)
    films = {tmp_path / path: content.take for path, content in tree.items() if isinstance(content, Film)}
    assert {video.path for video in dataset.videos} == set(films)
    for video in dataset.videos:
        take = films[video.path]
        seconds_t = np.arange(0, take.duration_seconds, 0.5)
        said = [("", *dataset.classes)[index + 1] for index in class_ids_at(video.segments, dataset.classes, seconds_t)]
        # Boundaries are rounded, to a frame at most.
        edges = np.array([edge for action in take.case.program.actions() for edge in _edges(action)])
        clear = [bool((np.abs(edges - second) > 0.11).all()) for second in seconds_t]
        expected = [label_at(name, take, second) for second in seconds_t]
        assert [s for s, far in zip(said, clear, strict=True) if far] == [
            s for s, far in zip(expected, clear, strict=True) if far
        ]  # fmt: skip
        assert sum(clear) > 5
        assert max(part.end_seconds for part in video.segments) < take.duration_seconds + 0.05


def _edges(action: object) -> tuple[float, float]:
    return action.start_seconds, action.end_seconds  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", CLIPS)
def test_clips_are_of_what_is_done_in_them(name: str, takes: tuple[Take, ...], tmp_path: Path) -> None:
    tree = tree_of(name, takes)
    write_unfilmed(tmp_path, tree)
    dataset = DATASETS[name].read(tmp_path)
    assert isinstance(dataset, FileDataset)
    verbs = {"cataract1k-clips": labels.CATARACT1K, "catreldet": labels.CATRELDET, "lensid": labels.LENSID}[name]
    named = {verb: label for label, group in verbs.items() for verb in group}
    for file in dataset.files:
        cut = tree[file.path.relative_to(tmp_path).as_posix()]
        assert isinstance(cut, Cut)
        shown = {
            action_at(cut.take, second, named) for second in np.arange(cut.start_seconds, cut.end_seconds - 1e-6, 0.05)
        }
        assert shown == {file.labels[0] if file.labels != ("Rest",) else ""}
        assert name != "catreldet" or file.labels[0] in (file.group, "Rest")
    assert {file.split for file in dataset.files} == ({"val", "train"} if "1k" in name else {"test", "train"})
    assert {label for label, count in label_counts(dataset).items() if count} == LAYOUTS[name].shown


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_hold_the_instruments_that_are_seen(name: str, takes: tuple[Take, ...], tmp_path: Path) -> None:
    takes = takes[:1]
    tree = tree_of(name, takes)
    write_unfilmed(tmp_path, tree)
    dataset = DATASETS[name].read(tmp_path)
    assert isinstance(dataset, FileDataset)
    names = OF_PICTURES.get(name, labels.CADIS)
    owners = {"Slit Knife": "Slit/incision knife", "Incision Knife": "Slit/incision knife"}
    owners |= {"Phacoemulsification Tip": "Phaco tip"}
    prompts, found = builtin_prompts(DATASETS[name].facts.prompts), 0
    for file in dataset.files:
        still = tree[file.path.relative_to(tmp_path).as_posix()]
        assert isinstance(still, Still)
        seen = [item.instrument for item in still.take.scene.seen(float(still.second)) if item.instrument in names]
        expected = {prompts.for_labels([owners.get(names[one], names[one])]).classes[0].name for one in seen}
        if name != "cadis-17":
            assert {prompts.for_labels([label]).classes[0].name for label in file.labels} == expected
        assert bool(file.labels) == bool(seen)
        found += len(file.labels)
    assert len(dataset.files) == len(takes[0].whole_seconds)
    assert found > 8


def test_presence_is_what_is_seen_and_named(takes: tuple[Take, ...], tmp_path: Path) -> None:
    for name, named in (
        ("presence-table", {one: one.value for one in Instrument}), ("cataracts-tools", labels.CATARACTS_TOOLS),
    ):  # fmt: skip
        tree = tree_of(name, takes[:2])
        write_unfilmed(tmp_path / name, tree)
        dataset = DATASETS[name].read(tmp_path / name / LAYOUTS[name].table)
        assert isinstance(dataset, PresenceDataset)
        films = {tmp_path / name / path: one.take for path, one in tree.items() if isinstance(one, Film)}
        for video in dataset.videos:
            take = films[video.path]
            assert video.seconds_n.tolist() == list(take.whole_seconds)
            for second, present_c in zip(video.seconds_n, video.present_nc, strict=True):
                seen = {named[item.instrument] for item in take.scene.seen(float(second)) if item.instrument in named}
                assert {dataset.classes[place] for place in np.flatnonzero(present_c)} == seen


def test_masks_are_the_pixels_that_instruments_are_drawn_on(takes: tuple[Take, ...]) -> None:
    checked = 0
    for take in takes[:2]:
        scene = take.scene
        for second in map(float, take.whole_seconds):
            flat = np.full((scene.height, scene.width, 3), 127, np.uint8)
            for pose in scene.timeline.poses(second):
                draw(flat, pose, scene._view(scene._camera.moment(second)), take.case.program.site)
            drawn, masks = (flat != 127).any(axis=2), scene.silhouettes(second)
            together = np.sum([mask for _, mask in masks], axis=0) if masks else np.zeros_like(drawn)
            assert np.max(together) <= 1
            if {instrument for instrument, _ in masks} == {pose.instrument for pose in scene.timeline.poses(second)}:
                mask = (together > 0).astype(np.uint8)
                assert drawn[mask > 0].all()
                # What is painted beyond it is the soft edge of a line, and a point thinner than half a pixel.
                reached = drawn & (cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0)
                assert reached.sum() >= 0.97 * drawn.sum()
                checked += bool(masks)
    assert checked > 15


def test_cadis_masks_hold_anatomy_behind_every_known_instrument(takes: tuple[Take, ...]) -> None:
    tree, known = tree_of("cadis-36", takes[:1]), set(CADIS_VALUES.values()) | set(CADIS_ANATOMY.values())
    values = set()
    for content in tree.values():
        if isinstance(content, Mask):
            mask_hw = content.paint()
            assert mask_hw.shape == (96, content.take.case.width_px)
            values |= set(np.unique(mask_hw).tolist())
    assert values <= known
    assert set(CADIS_ANATOMY.values()) <= values
    assert {RAW_INSTRUMENTS[value] for value in values if value in RAW_INSTRUMENTS} > {"Lens Injector", "Primary Knife"}
    scene = takes[0].scene
    anatomy_hw, rendered = scene.anatomy(0.0), scene.render(0.0)
    pupil, white = (rendered[anatomy_hw == part].mean(axis=0) for part in (Anatomy.PUPIL, Anatomy.WHITE))
    assert white[2] > pupil[2] + 20


def test_regions_of_coco_are_the_masks(takes: tuple[Take, ...]) -> None:
    tree = tree_of("insegcat", takes[:1])
    (book,) = (json.loads(text) for text in tree.values() if isinstance(text, str))
    pictures = {picture["id"]: tree[f"images/{picture['file_name']}"] for picture in book["images"]}
    tools = {category["id"]: category["name"] for category in book["categories"]}
    assert len(book["annotations"]) > 8
    for mark in book["annotations"]:
        still = pictures[mark["image_id"]]
        assert isinstance(still, Still)
        counts = mark["segmentation"]["counts"]
        pixels = np.repeat(np.arange(len(counts)) % 2, counts).reshape(mark["segmentation"]["size"], order="F")
        same = [
            mask for instrument, mask in still.take.scene.silhouettes(float(still.second))
            if labels.INSEGCAT.get(instrument) == tools[mark["category_id"]] and np.array_equal(mask, pixels)
        ]  # fmt: skip
        assert len(same) == 1
        x, y, width, height = mark["bbox"]
        assert mark["area"] == pixels.sum() == pixels[y : y + height, x : x + width].sum()
        assert pixels[y].any()
        assert pixels[:, x + width - 1].any()


def test_names_agree_with_the_shipped_lexicons() -> None:
    general = {Instrument.SINSKEY_HOOK, Instrument.VISCOELASTIC_CANNULA}
    for prompts, named in (("cataract_tools", labels.CATARACTS_TOOLS), ("instruments", labels.CATINSTSEG)):
        lexicon = builtin_prompts(prompts)
        for instrument, label in named.items():
            if instrument not in general:
                one, other = lexicon.for_labels([instrument.value, label]).classes
                assert one.name == other.name, (instrument, label)


def test_what_is_never_shown_is_written_down(takes: tuple[Take, ...], tmp_path: Path) -> None:
    said = (Path(__file__).parents[2] / "docs" / "layouts.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in said.splitlines() if line.startswith("| `")}
    assert list(rows) == list(LAYOUTS)
    for name in LAYOUTS:
        write_unfilmed(tmp_path / name, tree_of(name, takes[:2]))
        dataset = DATASETS[name].read(tmp_path / name / LAYOUTS[name].table)
        counted = {label for label, count in label_counts(dataset).items() if count}
        assert counted <= LAYOUTS[name].shown
        absent = [label for label in dataset.classes if label not in LAYOUTS[name].shown]
        if name == "phase-table":
            continue
        if prompts := DATASETS[name].facts.prompts:
            one_each = DATASETS[name].facts.task in (Task.PHASE, Task.CLIP)
            builtin_prompts(prompts).for_labels(dataset.classes, distinct=one_each)
        told = rows[name].split("|")[4].strip().split(", ") if rows[name].split("|")[4].strip() else []
        assert told == absent


def test_a_name_that_no_dataset_has_is_refused(tmp_path: Path) -> None:
    config, _ = planned(tmp_path, pace=0.25)
    with pytest.raises(ValueError, match=r"no dataset named 'cat22', did you mean 'cat21'\?"):
        write_layouts(tmp_path, config, ["cat22"])
    alone, _ = planned(tmp_path, pace=0.25, held_out=1)
    with pytest.raises(ValueError, match=r"layout ophnet: no held-out video of trabeculectomy or penetrating kerato"):
        write_layouts(tmp_path, alone, ["ophnet"])
