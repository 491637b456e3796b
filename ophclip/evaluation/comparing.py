"""`ophclip compare`: two results on the same videos, their differences, and whether chance would give as much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ophclip.evaluation.clips import clip_topk
from ophclip.evaluation.file_results import file_figures
from ophclip.evaluation.intervals import Difference, Statistic, paired_difference
from ophclip.evaluation.matching.comparing import matching_differences
from ophclip.evaluation.matching.records import is_matching, read_matching
from ophclip.evaluation.operating import bar_figures, rule_of
from ophclip.evaluation.probes.comparing import probe_differences
from ophclip.evaluation.probes.reading import probe_file, read_probe
from ophclip.evaluation.protocols import CLIP_TOPK, INSTRUMENT_VIDEO_MAP, PROTOCOLS, Predictions, phase_figures
from ophclip.evaluation.reading import FILE_TASKS, PRESENCE, Written, read_result
from ophclip.evaluation.scored_files import file_table
from ophclip.evaluation.timelines import SMOOTHED, smoothed_lines

_SAME = {
    "protocol": "protocols",
    "fps": "frames per second",
    "split_sha256": "videos or labels (split hash)",
    "fit_split_sha256": "videos that were learned from (hash of fit_split)",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure of one protocol in two results."""

    protocol: str
    figure: str
    difference: Difference


def compare_results(first: Path, second: Path) -> tuple[Row, ...]:
    """Every figure of both results with the paired 95 % interval of the second minus the first, and its p value.

    Videos are drawn, and exchanged, with the seed and as many times as the first result's bootstrap says.

    Raises:
        ValueError: a result is not there, or they differ in task, protocol, fps, split or classes.
    """
    probes = [found for place in (first, second) if (found := probe_file(place))]
    if len(probes) == 1:
        raise ValueError(f"{first} and {second} cannot be compared: different tasks, one of them is a probe")
    if probes:
        return tuple(
            Row(protocol=protocol, figure=name, difference=difference)
            for protocol, name, difference in probe_differences(*map(read_probe, probes))
        )
    if is_matching(first) != is_matching(second):
        raise ValueError(f"{first} and {second} cannot be compared: different tasks, one of them is retrieval")
    if is_matching(first):
        return tuple(
            Row(protocol=protocol, figure=name, difference=difference)
            for protocol, name, difference in matching_differences(read_matching(first), read_matching(second))
        )
    one, other = read_result(first), read_result(second)
    _require_same(one, other)
    read = _presence_figures if one.task == PRESENCE else _file_figures if one.task in FILE_TASKS else _phase_figures
    figures = read(one, other)
    samples, seed = one.provenance.bootstrap_samples, one.provenance.seed
    return tuple(
        Row(protocol=protocol, figure=name, difference=paired_difference(figure, samples=samples, seed=seed))
        for protocol, given in figures.items()
        for name, figure in given.items()
    )


def _require_same(one: Written, other: Written) -> None:
    reason = ""
    if one.task != other.task:
        reason = f"tasks: {one.task}, {other.task}"
    for field, words in _SAME.items():
        values = getattr(one.provenance, field), getattr(other.provenance, field)
        if not reason and all(values) and values[0] != values[1]:
            reason = f"{words}: {values[0]}, {values[1]}"
    if not reason and one.classes != other.classes:
        odd = sorted(set(one.classes) ^ set(other.classes))
        reason = f"classes: {odd[0]!r} is in one only" if odd else "the order of classes"
    if reason:
        raise ValueError(
            f"{one.path} and {other.path} cannot be compared: different {reason}; evaluate both in the same way"
        )


def _phase_figures(one: Written, other: Written) -> dict[str, Mapping[str, Statistic]]:
    """Figures of the videos of one result, followed by those of the other in the same order.

    Causal and offline predictions are compared where both results have them, however each came by them.
    """
    first, second = (sorted(given.timelines, key=lambda line: line.video_id) for given in (one, other))
    names = [line.video_id for line in first]
    _require_videos(one, other, names, [line.video_id for line in second])
    for left, right in zip(first, second, strict=True):
        if not np.array_equal(left.truth_t, right.truth_t):
            raise ValueError(
                f"{one.path} and {other.path} cannot be compared: different truth of {left.video_id} by second; were "
                "the videos cut or encoded anew?"
            )
    lines = [*first, *second]
    figures = phase_figures(Predictions(lines=lines, classes=len(one.classes), fps=one.provenance.fps))
    for name in SMOOTHED:
        smoothed = smoothed_lines(lines, name)
        if len(smoothed) == len(lines):
            given = phase_figures(Predictions(lines=smoothed, classes=len(one.classes), fps=one.provenance.fps))
            figures |= {f"{protocol}, {name}": found for protocol, found in given.items()}
    sides = zip("12", (one, other), strict=True)
    clips = [replace(clip, video_id=side + clip.video_id) for side, given in sides for clip in given.clips]
    return {**figures, CLIP_TOPK: clip_topk(clips, [side + name for side in "12" for name in names])}


def _require_videos(
    one: Written, other: Written, names: Sequence[str], others: Sequence[str], word: str = "videos"
) -> None:
    if names != others:
        odd = sorted(set(names) ^ set(others))
        raise ValueError(
            f"{one.path} and {other.path} cannot be compared: different {word}, {odd[0]} is in one only; evaluate both "
            "on the same"
        )


def _presence_figures(one: Written, other: Written) -> dict[str, Mapping[str, Statistic]]:
    (names, first_vc), (others, second_vc) = (given.cells("average_precision") for given in (one, other))
    _require_videos(one, other, sorted(names), sorted(others))
    cells_vc = np.concatenate([first_vc[np.argsort(names)], second_vc[np.argsort(others)]])
    figures: dict[str, Mapping[str, Statistic]] = {
        INSTRUMENT_VIDEO_MAP: PROTOCOLS[INSTRUMENT_VIDEO_MAP].figures(cells_vc)
    }
    counts = [given.counts() for given in (one, other)]
    recall = one.provenance.fit_recall
    if all(counts) and recall == other.provenance.fit_recall:
        stacked_vc4 = np.stack([counts_c4 for part in counts for _, counts_c4 in sorted(part.items())])
        figures[f"{INSTRUMENT_VIDEO_MAP}, {rule_of(recall)}"] = bar_figures(stacked_vc4)
    return figures


def _file_figures(one: Written, other: Written) -> dict[str, Mapping[str, Statistic]]:
    first, second = (sorted(given.files, key=lambda file: file.file_id) for given in (one, other))
    _require_videos(one, other, [file.file_id for file in first], [file.file_id for file in second], "files")
    for left, right in zip(first, second, strict=True):
        if left.labels != right.labels or left.video_id != right.video_id:
            raise ValueError(f"{one.path} and {other.path} cannot be compared: different truth of {left.file_id}")
    sides = zip("12", (first, second), strict=True)
    files = [replace(file, video_id=side + file.video_id) for side, given in sides for file in given]
    task = FILE_TASKS[one.task]
    return dict(file_figures(file_table(files, one.classes, task), task))
