"""Searches on a simulated world judged by its truth: is the instrument there, and does the heat map lie on it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ingest.atomic import write_bytes
from ingest.media import frames_at
from ophclip.demo.plan import Plan
from ophclip.evaluation.pointing import Boxes, box_within, judged_place, read_boxes

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded
    from ophclip.search.hits import Hit

HITS = 5
"""Hits of each query: precision at 5."""


def judge_hits(
    plan: Plan, site: str, text: str, hits: Sequence[Hit], rows: Sequence[dict[str, Any]], *, loaded: Loaded
) -> dict[str, float]:
    """Precision of one query and its chance; each of `rows` is told whether its hit is right, and where it points."""
    from ophclip.evaluation.datasets import read_presence_table
    from ophclip.evaluation.prompts import builtin_prompts
    from ophclip.evaluation.retrieval import precision_at_k, truth_label
    from ophclip.search.queries import query_vector_of_text

    folder = plan.held_out(site) / "instruments"
    truth = read_presence_table(folder / "presence.csv", tuple(sorted(plan.held_out(site).glob("*/videos"))))
    label = truth_label(text, truth.classes, builtin_prompts("instruments"))
    judgement = precision_at_k(hits, truth, label, HITS)
    boxes, query_d = read_boxes(folder / "boxes.csv"), query_vector_of_text(loaded, text)
    for row, hit, right in zip(rows, hits, judgement.right, strict=True):
        row["right"] = right
        if right:
            row["pointed"] = _pointed(plan, loaded, hit, query_d, boxes=boxes, label=label)
    return {"precision": judgement.precision, "chance": judgement.chance}


def summary_of(judged: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The queries and what they come to: precision at 5, and how often heat maps of right hits point at the box."""
    pointed = [hit["pointed"] for query in judged for hit in query["hits"] if hit["pointed"]]
    shares = {key: float(np.mean([one[key] for one in pointed])) for key in ("right", "chance", "centre") if pointed}
    return {
        "queries": list(judged),
        "precision_at_5": sum(query["precision"] for query in judged) / len(judged),
        "chance": sum(query["chance"] for query in judged) / len(judged),
        "pointing": {"hits": len(pointed), **shares},
    }


def keep_picture(plan: Plan, jpeg: bytes) -> str:
    """Write a picture beside the results; returns its name, which is made of its content."""
    name = hashlib.sha256(jpeg).hexdigest()[:24] + ".jpg"
    write_bytes(plan.result("thumbnails", name), jpeg)
    return name


def _pointed(
    plan: Plan, loaded: Loaded, hit: Hit, query_d: NDArray[np.float32], *, boxes: Boxes, label: str
) -> dict[str, Any] | None:
    """The heat map at the second of a hit that is nearest to its peak and has a box of the instrument, judged by it."""
    from ophclip.search.heat_map import heat_map, overlay_jpeg

    box = box_within(boxes.get((hit.video_id, label), ()), hit.start_seconds, hit.end_seconds, hit.peak_seconds)
    if box is None:
        return None
    pixels_hwc = frames_at(Path(hit.path), [box.seconds]).pixels_thwc[0]
    heat = heat_map(loaded, pixels_hwc, query_d)
    judged = judged_place(box, *heat.peak_xy, pixels_hwc.shape[1], pixels_hwc.shape[0])
    overlay = keep_picture(plan, overlay_jpeg(pixels_hwc, heat))
    return {
        "seconds": box.seconds,
        "right": judged.right,
        "chance": judged.chance,
        "centre": judged.centre,
        "overlay": overlay,
    }
