"""`ophclip verify`: a result is computed again, from its predictions and from the videos, and what differs is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ophclip.config import PresenceThreshold, ScoredUnit, ZeroShotConfig
from ophclip.evaluation.file_results import file_result
from ophclip.evaluation.leakage import look_for_leakage
from ophclip.evaluation.matching.records import is_matching, read_matching
from ophclip.evaluation.metrics import Ints
from ophclip.evaluation.opening import opened
from ophclip.evaluation.phases import phase_result
from ophclip.evaluation.presence import presence_result, presence_score
from ophclip.evaluation.probes.reading import probe_file, written_and_found
from ophclip.evaluation.reading import FILE_TASKS, PHASES, PRESENCE, Written, read_result, read_tree
from ophclip.evaluation.receipts import Given, Receipt, found_again, read_receipt
from ophclip.evaluation.records import Dataset, FileDataset, PhaseDataset, PresenceDataset, Task
from ophclip.evaluation.results import FileResult, PhaseResult, PresenceResult
from ophclip.evaluation.runs import asked
from ophclip.evaluation.scores import SCORES
from ophclip.evaluation.timelines import SMOOTHED, Timeline
from ophclip.evaluation.transitions import TRANSITIONS_NAME, read_transitions

if TYPE_CHECKING:
    from ophclip.evaluation.embedding import EmbeddingStore

SAME = 1e-9
"""Numbers made from the same predictions differ by rounding at most."""
SAME_FROM_VIDEOS = 1e-4
"""Numbers made by encoding the videos again: other processors add in another order."""
_UNREPEATABLE = ("throughput", "provenance.code_version", "given", "files")
_ABSENT = "absent"
_LONGEST = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Mismatch:
    """A place where what was written is not what was computed."""

    file: Path
    field: str
    written: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.file}: {self.field} is {_short(self.written)}, computed {_short(self.found)}"


def verify_result(place: Path) -> tuple[Mismatch, ...]:
    """Compute every figure again: of phases from `predictions.csv` and `clips.csv`, of presence from `scores.npz`, of
    retrieval from `ranks.csv`.

    Predictions must also be what scores highest. What cannot follow from those (provenance,
    throughput, summaries of single prompt styles, bars) is taken as it is. A probe is computed again from the
    predictions of every training set.

    Raises:
        ValueError: a file is missing, or is no result of this version.
    """
    if probe := probe_file(place):
        tree, found = written_and_found(probe)
        return tuple(_mismatches(probe, found, tree, SAME))
    if is_matching(place):
        matching = read_matching(place)
        return tuple(_mismatches(matching.path, matching.again().to_json(), matching.tree, SAME))
    written = read_result(place)
    if written.task == PRESENCE:
        return tuple(_mismatches(written.path, _presence_again(written).to_json(), written.tree, SAME))
    if written.task in FILE_TASKS:
        files = file_result(
            written.provenance,
            written.throughput,
            task=FILE_TASKS[written.task],
            classes=written.classes,
            files=written.files,
            styles=written.styles(),
        )
        files = replace(files, receipt=read_receipt(written.tree))
        return tuple(_mismatches(written.path, files.to_json(), written.tree, SAME))
    again = phase_result(
        written.provenance,
        written.throughput,
        written.classes,
        written.timelines,
        clips=written.clips,
        styles=written.styles(),
        attributes=written.attributes(),
        past_the_end=written.tree["past_the_end"],
    )
    again = replace(again, receipt=read_receipt(written.tree))
    differing = _mismatches(written.path, again.to_json(), written.tree, SAME)
    return (*differing, *_transition_mismatches(written), *_score_mismatches(written))


def _transition_mismatches(written: Written) -> Iterator[Mismatch]:
    """Whether the transitions beside a result are those that it names."""
    named = written.provenance.transitions_sha256
    if named:
        file = written.path.with_name(TRANSITIONS_NAME)
        found = read_transitions(file, written.classes).sha256
        if found != named:
            yield Mismatch(file=file, field="hash of the transitions", written=named, found=found)


def what_is_left(place: Path, asked: Given) -> tuple[Given, str]:
    """What a result is computed from again, by what is asked for and what it names; and in one line what is lacking."""
    if probe_file(place):
        return asked, "a probe is trained again by the same command into another folder"
    path, tree = read_tree(place)
    receipt = read_receipt(tree)
    given, lacking = found_again(receipt.given, path.parent, asked)
    files = {name: path.parent / file.path for name, file in receipt.files.items() if file.path}
    gone = [] if asked.root or asked.videos else [name for name, file in files.items() if not file.is_file()]
    if not lacking and gone:
        lacking = (
            f"{len(gone)} of {len(files)} videos are gone, the first {files[gone[0]]}; say with --root where they lie"
        )
    if not lacking and not given.dataset and not is_matching(place):
        lacking = "the result does not say what --dataset was; give it"
    return given, lacking


def verify_from_videos(
    place: Path, bundle: Path | str, name: str, root: Path, *, prompts: str = "", videos: tuple[Path, ...] = ()
) -> tuple[Mismatch, ...]:
    """Decode, encode and score the videos again with the settings that the result names.

    Raises:
        ValueError: result, model, dataset or prompts are not what they should be, or a video cannot be decoded.
    """
    if is_matching(place):
        return _matching_from_corpus(place, bundle, root)
    written = read_result(place)
    config = _config(written)
    question = asked(bundle, name, root, prompts, videos, config=config)
    from ophclip.evaluation.scoring import scored
    from ophclip.evaluation.similarity import open_store

    if isinstance(question.dataset, PhaseDataset) and written.task in FILE_TASKS:
        config.unit = ScoredUnit.SEGMENT
    if _task(question.dataset, config) != written.task:
        raise ValueError(f"{written.path}: a result of {written.task}, but --dataset {name} holds other labels")
    store = open_store(opened(question.model), config)
    again = scored(store, question.dataset, question.prompts, config, fit=question.fit)
    again = replace(again, receipt=_receipt_again(written, store))
    found = _mismatches(written.path, again.to_json(), written.tree, SAME_FROM_VIDEOS)
    return (*found, *_prediction_mismatches(written, again))


def _matching_from_corpus(place: Path, bundle: Path | str, corpus: Path) -> tuple[Mismatch, ...]:
    """Encode the samples again and rank them; of the ranks the figures are compared."""
    from ophclip.evaluation.matching.run import match_again

    written = read_matching(place)
    again = match_again(written, Path(bundle), str(corpus))
    return tuple(_mismatches(written.path, again.to_json(), written.tree, SAME_FROM_VIDEOS))


def _task(dataset: Dataset, config: ZeroShotConfig) -> str:
    if isinstance(dataset, FileDataset):
        return f"{dataset.task.value}s"
    if isinstance(dataset, PresenceDataset):
        return PRESENCE
    return PHASES if config.unit is ScoredUnit.SECOND else f"{Task.CLIP.value}s"


def _prediction_mismatches(written: Written, again: PhaseResult | PresenceResult | FileResult) -> tuple[Mismatch, ...]:
    if isinstance(again, PhaseResult):
        return _line_mismatches(written, again)
    return _file_mismatches(written, again) if isinstance(again, FileResult) else ()


def _file_mismatches(written: Written, again: FileResult) -> tuple[Mismatch, ...]:
    """Files of which a score, a label or the video is another, and files that are in one only."""
    place = written.path.with_name("predictions.csv")
    kept, made = ({file.file_id: file for file in files} for files in (written.files, again.files))
    found = []
    for name in sorted(kept.keys() | made.keys()):
        theirs, mine = kept.get(name), made.get(name)
        if theirs is None or mine is None:
            there = tuple(_ABSENT if one is None else "there" for one in (theirs, mine))
            found.append(Mismatch(file=place, field=name, written=there[0], found=there[1]))
            continue
        said = tuple((one.video_id, one.group, one.labels) for one in (theirs, mine))
        if said[0] != said[1]:
            found.append(Mismatch(file=place, field=f"truth of {name}", written=said[0], found=said[1]))
        apart_c = np.abs(theirs.scores_c - mine.scores_c)
        if apart_c.max() > SAME_FROM_VIDEOS:
            worst = int(apart_c.argmax())
            scores = float(theirs.scores_c[worst]), float(mine.scores_c[worst])
            field = f"{written.classes[worst]} of {name}"
            found.append(Mismatch(file=place, field=field, written=scores[0], found=scores[1]))
    return tuple(found)


def _receipt_again(written: Written, store: EmbeddingStore) -> Receipt:
    """What the bundle says now of the videos' names and content; copies that pictures showed are taken as they are."""
    receipt = read_receipt(written.tree)
    if receipt.leakage.thresholds:
        return receipt
    hashes = {video_id: file.sha256 for video_id, file in receipt.files.items()}
    return replace(receipt, leakage=look_for_leakage(store.model.training, hashes))


def _config(written: Written) -> ZeroShotConfig:
    names = ("split", "fit_split", "fps", "window_seconds", "fit_recall", "bootstrap_samples", "chance_samples", "seed")
    smoothing = written.provenance.smoothing
    if smoothing.transitions:
        smoothing = replace(smoothing, transitions=str(written.path.with_name(TRANSITIONS_NAME)))
    config = ZeroShotConfig(smoothing=smoothing, **{name: getattr(written.provenance, name) for name in names})
    if written.task == PRESENCE:
        config.threshold = PresenceThreshold(written.tree["threshold"])
    return config


def _presence_again(written: Written) -> PresenceResult:
    """A result of presence from its labels, scores and bars."""
    if not written.scores or any(video.present_tc is None for video in written.scores):
        raise ValueError(f"{written.path.with_name(SCORES)}: expected labels and scores, and there are none")
    threshold, point = PresenceThreshold(written.tree["threshold"]), written.tree["operating_point"]
    again = presence_result(
        written.provenance,
        written.throughput,
        written.classes,
        {video.video_id: presence_score(video, threshold) for video in written.scores},
        threshold=threshold,
        styles=written.style_figures(),
        past_the_end=written.tree["past_the_end"],
        bars_c=None if point is None else np.array([np.nan if bar is None else bar for bar in point["bars"].values()]),
    )
    return replace(again, receipt=read_receipt(written.tree))


def _score_mismatches(written: Written) -> Iterator[Mismatch]:
    """The first second of each video that is not predicted to be what scored highest."""
    kept = {video.video_id: video for video in written.scores}
    labels = ("unlabelled", *written.classes)
    for line in written.timelines:
        video = kept.get(line.video_id)
        if video is None or len(video.seconds_t) != len(line.seconds_t):
            seconds = _ABSENT if video is None else len(video.seconds_t)
            field = f"seconds of {line.video_id}"
            yield Mismatch(file=written.path.with_name(SCORES), field=field, written=seconds, found=len(line.seconds_t))
            continue
        highest_t = video.scores_tc.argmax(axis=1)
        for place in np.flatnonzero(highest_t != line.predicted_t)[:1]:
            yield Mismatch(
                file=written.path.with_name("predictions.csv"),
                field=f"predicted of {line.video_id} at {line.seconds_t[place]:g} s",
                written=labels[line.predicted_t[place] + 1],
                found=labels[highest_t[place] + 1],
            )


def _mismatches(file: Path, found: Any, written: Any, tolerance: float, field: str = "") -> Iterator[Mismatch]:
    """Where two trees differ, by path; a row of a list is called by its video."""
    if field in _UNREPEATABLE:
        return
    if isinstance(found, Mapping) and isinstance(written, Mapping):
        for key in sorted(found.keys() | written.keys()):
            inner = f"{field}.{key}" if field else str(key)
            yield from _mismatches(file, found.get(key, _ABSENT), written.get(key, _ABSENT), tolerance, inner)
    elif isinstance(found, list) and isinstance(written, list):
        for place, (one, other) in enumerate(zip_longest(found, written, fillvalue=_ABSENT)):
            name = one.get("video_id", place) if isinstance(one, Mapping) else place
            yield from _mismatches(file, one, other, tolerance, f"{field}[{name}]")
    elif not _equal(found, written, tolerance):
        yield Mismatch(file=file, field=field, written=written, found=found)


def _equal(found: Any, written: Any, tolerance: float) -> bool:
    if isinstance(found, int | float) and isinstance(written, int | float):
        return abs(found - written) <= tolerance
    return bool(found == written)


def _line_mismatches(written: Written, again: PhaseResult) -> tuple[Mismatch, ...]:
    """The first second of each video whose truth or any of whose predictions is another."""
    file = written.path.with_name("predictions.csv")
    kept = {line.video_id: line for line in written.timelines}
    found = []
    for line in again.timelines:
        other = kept.get(line.video_id)
        if other is None or not np.array_equal(line.seconds_t, other.seconds_t):
            seconds = _ABSENT if other is None else len(other.seconds_t)
            found.append(
                Mismatch(file=file, field=f"seconds of {line.video_id}", written=seconds, found=len(line.seconds_t))
            )
            continue
        for name, mine in _columns(line).items():
            theirs = _columns(other).get(name)
            if theirs is None:
                continue
            for place in np.flatnonzero(mine != theirs)[:1]:
                field = f"{name} of {line.video_id} at {line.seconds_t[place]:g} s"
                labels = ("unlabelled", *written.classes)
                found.append(
                    Mismatch(file=file, field=field, written=labels[theirs[place] + 1], found=labels[mine[place] + 1])
                )
    return tuple(found)


def _columns(line: Timeline) -> dict[str, Ints]:
    """Truth and predictions of one video [T] as they are called in `predictions.csv`."""
    smoothed = {name: found.predicted_t for name in SMOOTHED if (found := line.smoothed(name)) is not None}
    return {"truth": line.truth_t, "predicted": line.predicted_t, **smoothed}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
