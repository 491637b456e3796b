"""Label Studio's timelines: tasks with predictions to import, and its JSON export to read.

A task's `data` holds `video` (what the browser plays), `video_id`, `file` and `fps`; the labelling configuration beside
it says `frameRate="$fps"`, because Label Studio counts frames by a rate and not by what the file holds. Frames are
counted from 1, both ends inclusive.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from ophclip.evaluation.tables import read_text
from ophclip.search.bridges.frames import steady_clock
from ophclip.search.bridges.records import (
    Judgement,
    Moment,
    frames_of,
    list_of,
    number_of,
    object_of,
    plain,
    text_of,
)

TASKS_NAME, CONFIG_NAME = "tasks.json", "config.xml"
_TYPE = "timelinelabels"
_CONTROL, _OBJECT = "moments", "video"


def label_studio_tasks(
    moments: Sequence[Moment], fps_of: Callable[[Path], float], model_version: str
) -> list[dict[str, Any]]:
    """One task a video, with its moments as one prediction.

    Args:
        moments: what was found.
        fps_of: frames a second that Label Studio is told for a file.
        model_version: names the model in Label Studio.
    """
    tasks: dict[str, dict[str, Any]] = {}
    for moment in moments:
        fps = fps_of(moment.path)
        task = tasks.setdefault(moment.video_id, _task(moment, fps, model_version))
        first, last = steady_clock(fps, moment.end_seconds).support(moment.start_seconds, moment.end_seconds)
        region = {
            "id": f"m{len(task['predictions'][0]['result']) + 1}",
            "type": _TYPE,
            "from_name": _CONTROL,
            "to_name": _OBJECT,
            "score": moment.score,
            "value": {"ranges": [{"start": first, "end": last}], _TYPE: [moment.query]},
        }
        task["predictions"][0]["result"].append(region)
    return list(tasks.values())


def _task(moment: Moment, fps: float, model_version: str) -> dict[str, Any]:
    path = moment.path.resolve()
    data = {
        "video": f"/data/local-files/?d={quote(path.as_posix().lstrip('/'))}",
        "video_id": moment.video_id,
        "file": path.name,
        "fps": fps,
    }
    return {"data": data, "predictions": [{"model_version": model_version, "result": []}]}


def label_studio_config(labels: Sequence[str]) -> str:
    """The labelling configuration that goes with the tasks."""
    rows = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in dict.fromkeys(labels))
    return (
        "<View>\n"
        f'  <TimelineLabels name="{_CONTROL}" toName="{_OBJECT}">\n{rows}  </TimelineLabels>\n'
        f'  <Video name="{_OBJECT}" value="$video" frameRate="$fps" timelineHeight="160"/>\n'
        "</View>\n"
    )


def read_label_studio(path: Path) -> tuple[Judgement, ...]:
    """What people annotated in a JSON export (also JSON-MIN); predictions that nobody touched are no labels.

    Raises:
        ValueError: one line that names file, task and region of what is damaged.
    """
    try:
        tree = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg}); export it again") from error
    return tuple(
        judgement
        for number, task in enumerate(list_of(tree, str(path)), 1)
        for judgement in _of_task(object_of(task, f"{path}, task {number}"), f"{path}, task {number}")
    )


def _of_task(task: Mapping[str, Any], where: str) -> Iterator[Judgement]:
    if "annotations" not in task and "data" not in task:
        yield from _of_flat_task(task, where)
        return
    data = object_of(task.get("data"), f"{where}: data")
    for place, one in enumerate(list_of(task.get("annotations"), f"{where}: annotations"), 1):
        annotation = object_of(one, f"{where}, annotation {place}")
        if annotation.get("was_cancelled"):
            continue
        for number, region in enumerate(list_of(annotation.get("result"), f"{where}, annotation {place}: result"), 1):
            spot = f"{where}, region {number}"
            fields = object_of(region, spot)
            if fields.get("type") == _TYPE:
                yield from _of_region(object_of(fields.get("value"), f"{spot}: value"), data, spot)


def _of_flat_task(task: Mapping[str, Any], where: str) -> Iterator[Judgement]:
    """JSON-MIN: the data's fields lie beside the regions, which go by the control's name."""
    for number, region in enumerate(list_of(task.get(_CONTROL, []), f"{where}: {_CONTROL}"), 1):
        spot = f"{where}, region {number}"
        yield from _of_region(object_of(region, spot), task, spot)


def _of_region(value: Mapping[str, Any], data: Mapping[str, Any], where: str) -> Iterator[Judgement]:
    fps = number_of(data, "fps", f"{where}: data")
    if fps <= 0:
        raise ValueError(f"{where}: data: fps is {fps:g}; expected frames a second")
    for one in list_of(value.get("ranges"), f"{where}: ranges"):
        given = object_of(one, f"{where}: ranges")
        first, last = frames_of((given.get("start"), given.get("end")), where)
        for label in list_of(value.get(_TYPE), f"{where}: {_TYPE}"):
            yield Judgement(
                label=plain(text_of({"label": label}, "label", where)),
                video=_file_name(data, where),
                start_seconds=(first - 1) / fps,
                end_seconds=last / fps,
                present=True,
                where=where,
            )


def _file_name(data: Mapping[str, Any], where: str) -> str:
    """The video's file: as the task says, else the end of its address."""
    if "file" in data:
        return text_of(data, "file", where)
    parts = urlsplit(text_of(data, "video", where))
    local = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    return PurePosixPath(local).name
