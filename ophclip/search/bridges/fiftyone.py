"""FiftyOne's temporal detections: a folder that `fiftyone.types.FiftyOneTemporalDetectionDataset` imports and exports.

FOLDER/labels.json   {"labels": {VIDEO: [{"label", "support": [first, last], "confidence", "attributes"}]}}
FOLDER/data.json     {VIDEO: path of its file}; FiftyOne's own exports have the files in FOLDER/data instead
Frames are those of the file, counted from 1, both inclusive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ophclip.evaluation.tables import read_text
from ophclip.search.bridges.frames import Clocks
from ophclip.search.bridges.records import (
    Judgement,
    Moment,
    frames_of,
    list_of,
    object_of,
    plain,
    span_of,
    text_of,
)

LABELS_NAME, DATA_NAME = "labels.json", "data.json"


def fiftyone_files(moments: Sequence[Moment], clocks: Clocks) -> dict[str, Any]:
    """The trees of both files, by name.

    Raises:
        ValueError: a video cannot be read.
    """
    labels: dict[str, list[dict[str, Any]]] = {}
    for moment in moments:
        support = clocks(moment.path).support(moment.start_seconds, moment.end_seconds)
        row = {"label": moment.query, "support": list(support), "confidence": moment.score}
        labels.setdefault(moment.video_id, []).append(row)
    return {LABELS_NAME: {"labels": labels}, DATA_NAME: {one.video_id: str(one.path.resolve()) for one in moments}}


def read_fiftyone(path: Path, clocks: Clocks, files: Mapping[str, Path]) -> tuple[Judgement, ...]:
    """What stands in a folder, or in its labels.json; `files` says where videos lie that it does not name itself.

    Raises:
        ValueError: one line that names file, video and item of what is damaged, or a video that is not found.
    """
    place = path / LABELS_NAME if path.is_dir() else path
    tree = _tree(place)
    classes = tree.get("classes")
    known = {**files, **_media(place.parent)}
    judgements = []
    for video, items in object_of(tree.get("labels"), f"{place}: labels").items():
        for number, item in enumerate(list_of(items if items is not None else [], f"{place}, video {video}"), 1):
            where = f"{place}, video {video}, item {number}"
            judgements.append(_judgement(object_of(item, where), _file_of(video, known, where), where, classes, clocks))
    return tuple(judgements)


def _file_of(video: str, files: Mapping[str, Path], where: str) -> Path:
    path = files.get(video, Path(video))
    if not path.is_file():
        raise ValueError(f"{where}: the file of {video} is not found; name its folder with --videos")
    return path


def _judgement(fields: Mapping[str, Any], path: Path, where: str, classes: Any, clocks: Clocks) -> Judgement:
    if "timestamps" in fields:
        seconds = list_of(fields["timestamps"], f"{where}: timestamps")
        start, end = span_of(dict(zip(("start", "end"), seconds, strict=False)), "start", "end", where)
    else:
        first, last = frames_of(list_of(fields.get("support"), f"{where}: support"), where)
        span = clocks(path).span(first, last)
        if span is None:
            raise ValueError(f"{where}: frame {first} is past the end of {path}; is it another file?")
        start, end = span
    return Judgement(
        label=_label(fields, classes, where),
        video=path.name,
        start_seconds=start,
        end_seconds=end,
        present=True,
        where=where,
    )


def _label(fields: Mapping[str, Any], classes: Any, where: str) -> str:
    """A label's name; where the file has a list of classes, numbers are places in it."""
    value = fields.get("label")
    if isinstance(value, int) and not isinstance(value, bool):
        names = list_of(classes, f"{where}: label is a number, so classes")
        if not 0 <= value < len(names):
            raise ValueError(f"{where}: label is {value}; classes has {len(names)} names")
        value = names[value]
    return plain(text_of({"label": value}, "label", where))


def _media(folder: Path) -> dict[str, Path]:
    """Files of videos by name: as data.json says, and as they lie in `data`."""
    found = {path.stem: path for path in sorted((folder / "data").glob("*")) if path.is_file()}
    manifest = folder / DATA_NAME
    if manifest.is_file():
        given = _tree(manifest)
        found |= {name: folder / text_of(given, name, str(manifest)) for name in given}
    return found


def _tree(path: Path) -> Mapping[str, Any]:
    try:
        return object_of(json.loads(read_text(path)), str(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: not JSON ({error.msg}); export it again") from error
