"""Moments come back from every tool as they went there, to a frame, whatever the frame rate does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophclip.evaluation.datasets import read_phase_table, read_presence_table
from ophclip.evaluation.scored_files import ScoredFile, read_scored_files, write_scored_files
from ophclip.evaluation.tables import guarded, unguarded
from ophclip.evaluation.timelines import Timeline, read_timelines, write_timelines
from ophclip.search.bridges.fiftyone import DATA_NAME, LABELS_NAME, fiftyone_files, read_fiftyone
from ophclip.search.bridges.frames import FrameClock, steady_clock
from ophclip.search.bridges.label_studio import label_studio_tasks, read_label_studio
from ophclip.search.bridges.labels import phase_table, presence_table
from ophclip.search.bridges.records import Judgement, Moment
from ophclip.search.bridges.seconds import moments_table, read_seconds

STEPS = st.lists(st.integers(1, 3000), min_size=2, max_size=60)
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
in_a_folder = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _clock(steps_ms: Sequence[int]) -> FrameClock:
    seconds = np.concatenate([[0.0], np.cumsum(steps_ms[:-1]) / 1000])
    return FrameClock(seconds, float(seconds[-1] + steps_ms[-1] / 1000))


@given(STEPS, st.data())
def test_frames_to_seconds_and_back_is_exact(steps_ms: list[int], data: st.DataObject) -> None:
    clock = _clock(steps_ms)
    first = data.draw(st.integers(1, len(steps_ms)))
    last = data.draw(st.integers(first, len(steps_ms)))
    span = clock.span(first, last)
    assert span is not None
    assert clock.support(*span) == (first, last)
    assert clock.span(len(steps_ms) + 1, len(steps_ms) + 2) is None
    assert clock.span(first, len(steps_ms) + 5) == clock.span(first, len(steps_ms))


@given(STEPS, st.data())
def test_the_support_is_what_a_loop_over_frames_says(steps_ms: list[int], data: st.DataObject) -> None:
    clock = _clock(steps_ms)
    end_ms = sum(steps_ms)
    # Apart from frame times by more than the tolerance, as whole milliseconds and a half.
    start = data.draw(st.integers(0, end_ms - 1)) / 1000 + 0.0005
    end = start + data.draw(st.integers(1, end_ms)) / 1000
    ends = [*clock.seconds_f[1:], clock.end_seconds]
    shown = [n for n, (on, off) in enumerate(zip(clock.seconds_f, ends, strict=True), 1) if on < end and off > start]
    assert clock.support(start, end) == (shown[0], shown[-1])


@given(st.sampled_from([5.0, 12.5, 23.976, 25.0, 29.97, 59.94]), st.integers(1, 5000), st.integers(0, 500))
def test_steady_frames_round_trip(fps: float, first: int, more: int) -> None:
    clock = steady_clock(fps, (first + more + 1) / fps)
    span = clock.span(first, first + more)
    assert span is not None
    assert clock.support(*span) == (first, first + more)


def _moments(folder: Path, spans: list[tuple[str, float, float]]) -> list[Moment]:
    path = folder / "case 1.mp4"
    path.touch()
    return [
        Moment(query=label, video_id="case_1", path=path, start_seconds=start, end_seconds=end, score=-0.25)
        for label, start, end in spans
    ]


SPANS = st.lists(
    st.tuples(LABELS, st.integers(0, 40_000), st.integers(1, 9_000)),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one[1],
)


@in_a_folder
@given(SPANS, STEPS)
def test_fiftyone_and_label_studio_give_back_the_frames(
    tmp_path: Path, spans: list[tuple[str, int, int]], steps_ms: list[int]
) -> None:
    clock = _clock(steps_ms)
    inside = [(label, start / 1000 % clock.end_seconds, start / 1000 % clock.end_seconds + more / 1000)
              for label, start, more in spans]  # fmt: skip
    moments = _moments(tmp_path, inside)
    for name, tree in fiftyone_files(moments, lambda _: clock).items():
        (tmp_path / name).write_text(json.dumps(tree))
    found = read_fiftyone(tmp_path, lambda _: clock, {})
    assert [clock.support(one.start_seconds, one.end_seconds) for one in found] == [
        clock.support(one.start_seconds, one.end_seconds) for one in moments
    ]
    assert [(one.label, one.video) for one in found] == [(one.query, "case 1.mp4") for one in moments]
    tasks = label_studio_tasks(moments, lambda _: 25.0, "m")
    for task in tasks:
        task["annotations"] = task.pop("predictions")
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    frames = steady_clock(25.0, 300.0)
    back = read_label_studio(tmp_path / "export.json")
    assert [frames.support(one.start_seconds, one.end_seconds) for one in back] == [
        frames.support(one.start_seconds, one.end_seconds) for one in moments
    ]
    assert [(one.label, one.video) for one in back] == [(one.query, "case 1.mp4") for one in moments]


@in_a_folder
@given(SPANS)
def test_csv_gives_back_every_digit_and_no_formula(tmp_path: Path, spans: list[tuple[str, int, int]]) -> None:
    exact = [(f"={label}", start / 7, start / 7 + more / 11) for label, start, more in spans]
    moments = _moments(tmp_path, exact)
    text = moments_table(moments, {})
    (tmp_path / "t.csv").write_text(text.replace(",\n", ",UP\n"))
    found = read_seconds(tmp_path / "t.csv", {})
    assert [(one.label, one.start_seconds, one.end_seconds) for one in found] == exact
    cells = [line.split(",")[0].strip('"') for line in text.splitlines()[1:]]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t")]


@given(st.text())
def test_guarded_cells_come_back(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_predictions_hold_no_formula_and_come_back(tmp_path: Path) -> None:
    classes = ("=HYPERLINK(1)", "+1", "'=x", "plain")
    files = [
        ScoredFile(file_id=f"-{label}", video_id=f"@{label}", labels=(label,), scores_c=np.array([-0.5, 0.1, 0.2, 0.3]))
        for label in classes
    ]
    write_scored_files(tmp_path / "p.csv", files, classes)
    assert not [line for line in (tmp_path / "p.csv").read_text().splitlines() if line[0] in "=+-@"]
    found = read_scored_files(tmp_path / "p.csv", classes)
    assert [(one.file_id, one.video_id, one.labels) for one in found] == [
        (one.file_id, one.video_id, one.labels) for one in files
    ]
    ids_t = np.array([0, 1, 2, 3])
    line = Timeline(video_id="=v", seconds_t=np.arange(4.0), truth_t=ids_t, predicted_t=ids_t, confidence_t=None)
    write_timelines(tmp_path / "t.csv", [line], classes)
    (back,) = read_timelines(tmp_path / "t.csv", classes)
    assert back.video_id == "=v"
    assert back.truth_t.tolist() == back.predicted_t.tolist() == [0, 1, 2, 3]
    cells = [cell for row in (tmp_path / "t.csv").read_text().splitlines() for cell in row.split(",")]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]


def _said(label: str, start: float, end: float, *, present: bool = True, video: str = "a.mp4") -> Judgement:
    return Judgement(label=label, video=video, start_seconds=start, end_seconds=end, present=present, where="f, item 1")


def test_tables_are_what_the_readers_of_datasets_take(tmp_path: Path) -> None:
    said = [
        _said("forceps", 1.0, 3.5),
        _said("forceps", 2.0, 3.0, present=False),
        _said("hook", 5.2, 5.6),
        _said("hook", 1.0, 2.0, present=False, video="b.mp4"),
    ]
    table = presence_table(said)
    assert (table.videos, table.rows, table.contradictions) == (2, 5, 1)
    (tmp_path / "presence.csv").write_text(table.text)
    dataset = read_presence_table(tmp_path / "presence.csv", with_videos=False)
    first, second = dataset.videos
    assert dataset.classes == ("forceps", "hook")
    assert first.seconds_n.tolist() == [1.0, 2.0, 3.0, 5.4]
    np.testing.assert_array_equal(first.present_nc[:, 0], [1, np.nan, 1, np.nan])
    np.testing.assert_array_equal(second.present_nc, [[np.nan, 0]])
    whole = presence_table(said[:1], whole_seconds={"a.mp4": 4.2})
    assert whole.text == "video,seconds,forceps\na.mp4,0,0\na.mp4,1,1\na.mp4,2,1\na.mp4,3,1\na.mp4,4,0\n"
    (tmp_path / "phases.csv").write_text(phase_table(said).text)
    phases = read_phase_table(tmp_path / "phases.csv", with_videos=False)
    assert [(part.label, part.start_seconds, part.end_seconds) for part in phases.videos[0].segments] == [
        ("forceps", 1.0, 3.5), ("hook", 5.2, 5.6)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="f, item 1: 'x' where f, item 1 says 'y'"):
        phase_table([_said("y", 0.0, 1.0), _said("x", 0.0, 1.0)])
    with pytest.raises(ValueError, match="nothing is said to be there"):
        phase_table([_said("y", 0.0, 1.0, present=False)])


TASK = {"data": {"file": "a.mp4", "fps": 25}, "annotations": [{"result": []}]}
REGION = {"type": "timelinelabels", "value": {"ranges": [{"start": 3, "end": 5}], "timelinelabels": ["x"]}}


def _region(**changes: object) -> list[object]:
    value = {**REGION["value"], **changes}  # type: ignore[dict-item]
    return [{**TASK, "annotations": [{"result": [{**REGION, "value": value}]}]}]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, r"export\.json: expected a list, found \{\}"),
        ([3], r"export\.json, task 1: expected a JSON object, found 3"),
        ([{"data": {}}], r"task 1: annotations: expected a list, found missing"),
        (_region(ranges=[{"start": 5, "end": 3}]), r"task 1, region 1: frames \[5, 3\]; expected the first and the"),
        (_region(ranges=[{"start": 0, "end": 3}]), r"frames \[0, 3\]; expected .* counted from 1"),
        (_region(ranges=[{"start": 1.5, "end": 3}]), r"frames \[1\.5, 3\]"),
        (_region(timelinelabels=[""]), r'region 1: label is ""; expected a text'),
        ([{**_region()[0], "data": {"file": "a.mp4"}}], r"data: fps is missing; expected a number"),
        ([{**_region()[0], "data": {"file": "a.mp4", "fps": 0}}], r"fps is 0; expected frames a second"),
    ],
)  # fmt: skip
def test_a_damaged_label_studio_export_is_named_by_file_and_item(tmp_path: Path, tree: object, message: str) -> None:
    (tmp_path / "export.json").write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=message):
        read_label_studio(tmp_path / "export.json")
    (tmp_path / "export.json").write_text(json.dumps(tree)[:-1])
    with pytest.raises(ValueError, match=r"export\.json, line 1: not JSON"):
        read_label_studio(tmp_path / "export.json")


def test_what_label_studio_leaves_out_is_no_label(tmp_path: Path) -> None:
    whole = _region()[0]
    assert isinstance(whole, dict)
    cancelled = {**whole, "annotations": [{**whole["annotations"][0], "was_cancelled": True}]}
    other = {
        **TASK,
        "annotations": [{"result": [{"type": "choices", "value": {}}]}],
        "predictions": whole["annotations"],
    }
    flat = {"video": "/data/local-files/?d=films/b%201.mp4", "fps": 10, "moments": [REGION["value"]]}
    (tmp_path / "export.json").write_text(json.dumps([cancelled, other, whole, flat]))
    found = read_label_studio(tmp_path / "export.json")
    assert [(one.video, one.start_seconds, one.end_seconds) for one in found] == [
        ("a.mp4", 0.08, 0.2), ("b 1.mp4", 0.2, 0.5)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], r"labels\.json: expected a JSON object"),
        ({"labels": {"v": [{"label": "x"}]}}, r"video v, item 1: support: expected a list, found missing"),
        ({"labels": {"v": [{"label": "x", "support": [9, 10]}]}}, r"video v, item 1: frame 9 is past the end"),
        ({"labels": {"v": [{"label": 2, "support": [1, 1]}]}, "classes": ["a"]}, r"label is 2; classes has 1"),
        ({"labels": {"v": [{"label": 0, "support": [1, 1]}]}}, r"label is a number, so classes: expected a list"),
        ({"labels": {"u": [{"label": "x", "support": [1, 1]}]}}, r"video u, item 1: the file of u is not found"),
        ({"labels": {"v": [{"label": "x", "timestamps": [3, 1]}]}}, r"start 3 and end 1; expected 0 or more"),
        ({"labels": {"v": 4}}, r"video v: expected a list, found 4"),
    ],
)  # fmt: skip
def test_a_damaged_fiftyone_export_is_named_by_file_and_item(tmp_path: Path, tree: object, message: str) -> None:
    (tmp_path / LABELS_NAME).write_text(json.dumps(tree))
    (tmp_path / "v.mp4").touch()
    (tmp_path / DATA_NAME).write_text(json.dumps({"v": "v.mp4"}))
    with pytest.raises(ValueError, match=message):
        read_fiftyone(tmp_path, lambda _: steady_clock(1.0, 4.0), {})


def test_fiftyones_own_export_has_places_in_a_list_of_classes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "v.mp4").touch()
    rows = [{"label": 1, "support": [2, 3], "confidence": 0.1}, {"label": 0, "timestamps": [0.5, 1.5]}]
    (tmp_path / LABELS_NAME).write_text(json.dumps({"classes": ["a", "b"], "labels": {"v": rows}}))
    found = read_fiftyone(tmp_path, lambda _: steady_clock(2.0, 4.0), {})
    assert [(one.label, one.start_seconds, one.end_seconds) for one in found] == [("b", 0.5, 1.5), ("a", 0.5, 1.5)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("q,,v,1,2,0.1,maybe", r"t\.csv, line 2: verdict is 'maybe'; expected up, down or empty"),
        ("q,,v,2,1,0.1,up", r"t\.csv, line 2: from 2 to 1 s"),
        ("q,,v,x,1,0.1,up", r"t\.csv, line 2: start_seconds is 'x'"),
        (",,v,1,2,0.1,up", r"t\.csv, line 2: no label, instrument or query"),
    ],
)
def test_a_damaged_table_is_named_by_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    head = "query,instrument,video_id,start_seconds,end_seconds,score,verdict\n"
    (tmp_path / "t.csv").write_text(f"{head}{row}\n")
    with pytest.raises(ValueError, match=message):
        read_seconds(tmp_path / "t.csv", {})


def test_feedback_of_the_page_is_read_by_its_verdicts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "query,instrument,video_id,start_seconds,end_seconds,score,verdict\n"
        "IOL injector,lens injector,v,1,2,0.3,up\nIOL injector,lens injector,v,4,5,0.3,down\nhook,,v,4,5,0.3,\n"
    )
    found = read_seconds(tmp_path / "t.csv", {"v": Path("/films/Case 7.mp4")})
    assert [(one.label, one.video, one.present) for one in found] == [
        ("lens injector", "Case 7.mp4", True), ("lens injector", "Case 7.mp4", False)
    ]  # fmt: skip
