"""Where a chain begins in a probe: what heads that learned from so much said of a second."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ophclip.evaluation.probes.figures import Line
from ophclip.evaluation.probes.reading import WrittenProbe
from ophclip.evaluation.receipts import read_receipt
from ophclip.evaluation.records import UNLABELLED
from ophclip.tracing.records import Link, broken, holds


def probe_row(probe: WrittenProbe, video_id: str, second: float) -> Link:
    """Truth at the last labelled second at or before this one, and what each head and budget made of it."""
    facts, truth = _about(probe), probe.truth
    if video_id not in truth.video_ids:
        return broken("row", f"{video_id} is no test video of {probe.path}: {', '.join(truth.video_ids[:3])}", **facts)
    number = truth.video_ids.index(video_id)
    seconds_t = truth.by_video(truth.seconds_n)[number]
    before = np.flatnonzero(seconds_t <= second + 1e-6)
    step = 1 / probe.header.options["fps"]
    if not len(before) or second >= seconds_t[before[-1]] + step + 1e-6:
        return broken("row", f"{video_id} has no labelled second at {second:g} s", **facts)
    place = sum(truth.lengths[:number]) + int(before[-1])
    names = ("unlabelled", *probe.header.classes)
    labels = truth.labels[place]
    if truth.exclusive:
        said = names[int(labels) - UNLABELLED]
    else:
        said = ", ".join(names[1 + int(column)] for column in np.flatnonzero(labels == 1)) or "none of the classes"
    rows = [_answer(line, place, names, exclusive=truth.exclusive) for line in probe.own]
    return holds("row", **facts, second=float(seconds_t[before[-1]]), truth=said, predictions=rows)


def _answer(line: Line, place: int, names: tuple[str, ...], *, exclusive: bool) -> dict[str, Any]:
    """The class that most draws give, or of presence the one whose score is highest on average."""
    about: dict[str, Any] = {"head": line.head, "learned_from": line.budget.name}
    drawn = [one.predicted[place] for one in line.cells]
    if exclusive:
        ((number, votes),) = Counter(int(one) for one in drawn).most_common(1)
        return {**about, "predicted": names[1 + number], "draws": f"{votes} of {len(drawn)}"}
    scores_c = np.mean(drawn, axis=0)
    return {**about, "highest": names[1 + int(scores_c.argmax())], "score": float(scores_c.max())}


def _about(probe: WrittenProbe) -> dict[str, Any]:
    provenance = probe.header.provenance
    return {
        "task": "probe",
        "protocol": provenance["protocol"],
        "dataset": provenance["dataset"]["name"],
        "dataset_license": provenance["dataset"]["license"],
        "split_sha256": provenance["split"]["sha256"],
        "leakage": read_receipt(probe.tree).leakage.told,
        "code_version": provenance["code_version"],
    }


def probed_file(probe: WrittenProbe, video_id: str) -> tuple[str, Path | None]:
    """SHA-256 and path of a test video as the probe's receipt has them."""
    file = read_receipt(probe.tree).files.get(video_id)
    path = (probe.path.parent / file.path).resolve() if file and file.path else None
    return (file.sha256 if file else ""), path
