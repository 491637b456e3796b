"""Where a chain begins: a second of a result, or a moment of a search index, with what it names further."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ophclip.evaluation.matching.records import RETRIEVAL, read_matching
from ophclip.evaluation.protocols import PROTOCOLS
from ophclip.evaluation.reading import FILE_TASKS, PHASES, PRESENCE, Written, read_result, read_tree
from ophclip.evaluation.receipts import Given, read_receipt
from ophclip.evaluation.timelines import SMOOTHED
from ophclip.models.description import OPEN_CLIP_PREFIX
from ophclip.search.catalogue import CATALOGUE_NAME, Catalogue
from ophclip.tracing.records import Link, broken, holds


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The moment that is traced; of a search hit also the query and its score."""

    place: Path
    video_id: str
    second: float
    query: str = ""
    score: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The first link, and what it says of the others. Paths are as seen from here."""

    link: Link
    sha256: str = ""
    """Of the video's file, as it was."""
    path: Path | None = None
    bundle: Path | str | None = None
    """A folder, or a word such as `open_clip:NAME,FILE`."""
    weights_sha256: str = ""
    model: str = ""
    corpora: tuple[Path, ...] = ()
    classes: tuple[str, ...] = ()
    """Classes of a result whose sentences are shown: what was predicted and what was true."""
    result: Written | None = None
    given: Given = field(default_factory=Given)


def read_asked(place: Path, video: str, second: float | None) -> Asked:
    """The moment that was asked for: an id and a second, or a hit as `ophclip search --json` prints it.

    Raises:
        ValueError: neither.
    """
    if not video.lstrip().startswith("{"):
        if second is None:
            raise ValueError(f"trace: give the second of {video}, or a hit as `ophclip search --json` prints it")
        return Asked(place=place, video_id=video, second=second)
    try:
        hit = json.loads(video)
        peak = hit.get("peak_seconds", (hit["start_seconds"] + hit["end_seconds"]) / 2)
        return Asked(
            place=place,
            video_id=str(hit["video_id"]),
            second=float(peak) if second is None else second,
            query=str(hit.get("query", "")),
            score=float(hit["score"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"trace: no hit as `ophclip search --json` prints it ({error})") from error


def find_origin(asked: Asked) -> Origin:
    """The first link of the chain.

    Raises:
        ValueError: neither a result nor an index lies there.
    """
    if (asked.place / CATALOGUE_NAME).is_file():
        return _of_index(asked)
    path, tree = read_tree(asked.place)
    task = tree.get("task")
    if task == RETRIEVAL:
        return _of_matching(asked)
    if task not in (PHASES, PRESENCE, *FILE_TASKS):
        raise ValueError(f"{path}: a result of {task} has no rows to trace; give one of zeroshot or of retrieval")
    return _of_result(asked)


def _of_index(asked: Asked) -> Origin:
    with closing(Catalogue.open(asked.place / CATALOGUE_NAME)) as catalogue:
        about, video = catalogue.about, catalogue.videos().get(asked.video_id)
        windows = catalogue.windows_at(asked.video_id, asked.second)
        corpora = tuple((asked.place / corpus).resolve() for corpus in catalogue.corpora)
    rest: dict[str, Any] = {
        "bundle": (asked.place / about["bundle"]).resolve(),
        "weights_sha256": about["weights_sha256"],
        "model": about.get("model", ""),
        "corpora": corpora,
    }
    if video is None:
        return Origin(link=broken("moment", f"{asked.video_id} is not in the index {asked.place}"), **rest)
    facts: dict[str, Any] = {
        "query": asked.query,
        "score": asked.score,
        "windows": [
            {"start_seconds": one.start_seconds, "end_seconds": one.end_seconds, "id": one.span_id,
             "narrations": list(one.narrations)}
            for one in windows
        ],
        "title": video.title,
        "license": video.license,
        "window_seconds": about["window_seconds"],
        "fps": about["fps"],
    }  # fmt: skip
    link = holds("moment", **facts)
    if not windows:
        link = broken("moment", f"no window of {asked.video_id} holds {asked.second:g} s", **facts)
    return Origin(link=link, sha256=video.sha256, path=(asked.place / video.path).resolve(), **rest)


def _of_result(asked: Asked) -> Origin:
    result = read_result(asked.place)
    receipt, folder = read_receipt(result.tree), result.path.parent
    file = receipt.files.get(asked.video_id)
    rows = {PHASES: _phase_row, PRESENCE: _presence_row}
    link, classes = rows.get(result.task, _file_row)(result, asked)
    return Origin(
        link=link,
        sha256=file.sha256 if file else "",
        path=(folder / file.path).resolve() if file and file.path else None,
        bundle=_bundle(folder, receipt.given),
        weights_sha256=result.provenance.weights_sha256,
        model=result.provenance.model_name,
        classes=classes,
        result=result,
        given=receipt.given,
    )


def _phase_row(result: Written, asked: Asked) -> tuple[Link, tuple[str, ...]]:
    line = next((one for one in result.timelines if one.video_id == asked.video_id), None)
    facts = _about(result.tree)
    if line is None:
        known = ", ".join(one.video_id for one in result.timelines[:3])
        return broken("row", f"{asked.video_id} is not in {result.path}, which holds {known}, ...", **facts), ()
    before = np.flatnonzero(line.seconds_t <= asked.second + 1e-6)
    if not len(before):
        return broken("row", f"{asked.video_id} has no scored second at or before {asked.second:g} s", **facts), ()
    place = before[-1]
    if asked.second >= line.seconds_t[place] + 1 / result.provenance.fps + 1e-6:
        told = f"{asked.second:g} s lies behind the last scored second of {asked.video_id}, {line.seconds_t[place]:g} s"
        return broken("row", told, **facts), ()
    names = ("unlabelled", *result.classes)
    truth, predicted = names[line.truth_t[place] + 1], names[line.predicted_t[place] + 1]
    facts |= {
        "second": float(line.seconds_t[place]),
        "truth": truth,
        "predicted": predicted,
        "confidence": None if line.confidence_t is None else float(line.confidence_t[place]),
        **{name: names[one.predicted_t[place] + 1] for name in SMOOTHED if (one := line.smoothed(name)) is not None},
    }
    shown = (name for name in dict.fromkeys((predicted, truth)) if name in result.classes)
    return holds("row", **facts), tuple(shown)


def _presence_row(result: Written, asked: Asked) -> tuple[Link, tuple[str, ...]]:
    facts = _about(result.tree)
    row = next((one for one in result.tree["videos"] if one["video_id"] == asked.video_id), None)
    if row is None:
        return broken("row", f"{asked.video_id} is not in {result.path}", **facts), ()
    return holds("row", **facts, average_precision=row["average_precision"]), result.classes


def _file_row(result: Written, asked: Asked) -> tuple[Link, tuple[str, ...]]:
    """Files that are labelled as a whole: one by its id, or all that were taken from a video."""
    facts = _about(result.tree)
    own = [file for file in result.files if asked.video_id in (file.file_id, file.video_id)]
    named = [file for file in own if file.file_id == asked.video_id] or own
    if not named:
        return broken("row", f"{asked.video_id} is not in {result.path}", **facts), ()
    best = [result.classes[int(file.scores_c.argmax())] for file in named]
    facts["files"] = [
        {"file": file.file_id, "truth": ", ".join(file.labels), "highest": label, "score": float(file.scores_c.max())}
        for file, label in zip(named, best, strict=True)
    ]
    return holds("row", **facts), tuple(dict.fromkeys([*best, *(label for file in named for label in file.labels)]))


def _bundle(folder: Path, given: Given) -> Path | str | None:
    if given.bundle.startswith(OPEN_CLIP_PREFIX):
        return given.bundle
    return (folder / given.bundle).resolve() if given.bundle else None


def _of_matching(asked: Asked) -> Origin:
    written = read_matching(asked.place)
    receipt, folder = read_receipt(written.tree), written.path.parent
    file, given = receipt.files.get(asked.video_id), receipt.given
    facts = _about(written.tree)
    rows = [
        {"protocol": one.protocol, "direction": one.direction, "sample": one.keys[place],
         "rank": int(one.rank_q[place]), "right": int(one.right_q[place]), "candidates": int(one.candidates_q[place])}
        for one in written.ranks for place in np.flatnonzero([name == asked.video_id for name in one.video_ids])
    ]  # fmt: skip
    link = holds("row", **facts, ranks=rows)
    if file is None or not rows:
        link = broken("row", f"{asked.video_id} is not in {written.path}", **facts)
    return Origin(
        link=link,
        sha256=file.sha256 if file else "",
        bundle=_bundle(folder, given),
        weights_sha256=written.provenance.weights_sha256,
        model=written.provenance.model_name,
        corpora=() if "://" in given.root else ((folder / given.root).resolve(),),
        given=given,
    )


def only_samples(origin: Origin, keys: Sequence[str]) -> Origin:
    """Of a result of retrieval, the ranks of the samples that hold the second."""
    ranks = origin.link.facts.get("ranks")
    if ranks is None or not keys:
        return origin
    kept = [row for row in ranks if row["sample"] in keys]
    return replace(origin, link=replace(origin.link, facts={**origin.link.facts, "ranks": kept}))


def _about(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What every result says: by which protocol it was scored, and how surely."""
    provenance = tree["provenance"]
    protocol = provenance["protocol"]
    written = tree.get("protocols", {}).get(protocol, {}).get("rule", "")
    known = PROTOCOLS.get(protocol)
    return {
        "task": tree["task"],
        "protocol": protocol,
        "rule": written or (known.rule if known else ""),
        "dataset": provenance.get("dataset", {}).get("name", "corpus"),
        "part": provenance.get("split", ""),
        "dataset_license": provenance.get("dataset", {}).get("license", ""),
        "split_sha256": provenance["split_sha256"],
        "leakage": tree.get("leakage", {}).get("told", "the result does not say"),
        "code_version": provenance["code_version"],
    }
