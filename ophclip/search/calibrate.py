"""`ophclip calibrate`: from labelled presence of instruments in indexed videos to `calibration.json`.

Shapes: N labelled windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ingest.shards import sha256_of
from ophclip.evaluation.calibration import expected_calibration_error
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.records import PresenceDataset, PresenceVideo, presence_split_hash
from ophclip.evaluation.runs import read_dataset
from ophclip.search.calibration import (
    Calibration,
    HeldOut,
    Instrument,
    Judged,
    Platt,
    sentences_sha256,
    write_calibration,
)
from ophclip.search.index import SearchIndex
from ophclip.search.queries import instrument_named

FOLDS = 5
LEAST_OF_EACH = 30
"""Windows with and windows without an instrument that it must have for a curve of its own."""
LEAST_VIDEOS = 3
"""Videos that it must be seen in for that."""
_FREE = 1e6
"""Inverse of the penalty on two numbers, for which hundreds of windows speak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Labelled windows of one instrument: cosine, presence 0 or 1, and which video."""

    scores_n: Floats
    present_n: Floats
    videos_n: NDArray[np.int64]

    def part(self, kept_n: NDArray[np.bool_]) -> Seen:
        """Some of the windows."""
        return Seen(scores_n=self.scores_n[kept_n], present_n=self.present_n[kept_n], videos_n=self.videos_n[kept_n])

    def enough(self) -> bool:
        """Whether there are labels for a curve of its own."""
        positives = self.present_n.sum()
        seen_in = len(np.unique(self.videos_n[self.present_n > 0]))
        return bool(min(positives, len(self.present_n) - positives) >= LEAST_OF_EACH and seen_in >= LEAST_VIDEOS)


def calibrate(index: SearchIndex, dataset: str, root: Path, videos: tuple[Path, ...] = ()) -> Calibration:
    """Learn from every indexed video of a presence dataset, judge on videos left out in turn, write the result.

    Raises:
        ValueError: the dataset cannot be read or labels no presence, fewer than two of its videos are in the index, or
            no label names an instrument.
    """
    read = read_dataset(dataset, root, videos)
    if not isinstance(read, PresenceDataset):
        raise ValueError(f"calibrate: {dataset} labels phases; expected presence of instruments")
    held = _indexed(index, read)
    if len(held) < 2:
        raise ValueError(
            f"calibrate: {len(held)} of the {len(read.videos)} labelled videos are in {index.folder}; expected two or "
            "more; add them with `ophclip index`"
        )
    seen, left_out = _windows(index, read, held)
    if not seen:
        raise ValueError(
            f"calibrate: no label of {dataset} names an instrument that is there in some windows and not in others; "
            f"found {', '.join(read.classes)}"
        )
    folds = min(FOLDS, len(held))
    told = {label: _probabilities(label, seen, folds) for label in seen}
    pooled = _fitted(_pooled(seen))
    calibration = Calibration(
        weights_sha256=index.about["weights_sha256"],
        window_seconds=float(index.about["window_seconds"]),
        dataset=dataset,
        license=read.source.license,
        labels_sha256=presence_split_hash(read),
        videos=len(held),
        folds=folds,
        held_out=_judged(_pooled(seen), np.concatenate([told[label] for label in seen], axis=1)),
        instruments={label: _instrument(label, one, told[label], pooled) for label, one in seen.items()},
        left_out=left_out,
    )
    write_calibration(index.folder, calibration)
    return calibration


def _indexed(index: SearchIndex, dataset: PresenceDataset) -> dict[str, PresenceVideo]:
    """The labelled videos whose file, byte by byte, is in the index, by their id there."""
    by_content = {video.sha256: video.video_id for video in index.videos()}
    found = ((by_content.get(sha256_of(video.path)), video) for video in dataset.videos)
    return {video_id: video for video_id, video in found if video_id is not None}


def _windows(
    index: SearchIndex, dataset: PresenceDataset, held: Mapping[str, PresenceVideo]
) -> tuple[dict[str, Seen], tuple[str, ...]]:
    """Labelled windows by instrument, and the labels that nothing can be learned for."""
    seen, left_out = {}, []
    for column, label in enumerate(dataset.classes):
        named = instrument_named(label)
        found = None if named is None else _of_instrument(index, named, column, held)
        if named is None or found is None or named in seen or not 0 < found.present_n.mean() < 1:
            left_out.append(label)
        else:
            seen[named] = found
    return seen, tuple(left_out)


def _of_instrument(index: SearchIndex, name: str, column: int, held: Mapping[str, PresenceVideo]) -> Seen | None:
    query_d = index.query_vector(text=name)
    scores, present, videos = [], [], []
    for number, (video_id, video) in enumerate(held.items()):
        curve = index.curve(query_d, video_id)
        for start, end, score in zip(curve.start_seconds_w, curve.end_seconds_w, curve.scores_w, strict=True):
            inside_n = (video.seconds_n >= start) & (video.seconds_n < end)
            labels_n = video.present_nc[inside_n, column]
            labels_n = labels_n[~np.isnan(labels_n)]
            if len(labels_n):
                scores.append(float(score))
                present.append(float(labels_n.max()))
                videos.append(number)
    if not scores:
        return None
    return Seen(scores_n=np.array(scores), present_n=np.array(present), videos_n=np.array(videos))


def _pooled(seen: Mapping[str, Seen]) -> Seen:
    return Seen(
        scores_n=np.concatenate([one.scores_n for one in seen.values()]),
        present_n=np.concatenate([one.present_n for one in seen.values()]),
        videos_n=np.concatenate([one.videos_n for one in seen.values()]),
    )


def _probabilities(label: str, seen: Mapping[str, Seen], folds: int) -> Floats:
    """Probabilities [3, N] of an instrument's windows, as in `HeldOut`, by what the other folds' videos say."""
    own = seen[label]
    told_3n = np.stack([np.clip(own.scores_n, 0, 1), np.empty_like(own.scores_n), np.empty_like(own.scores_n)])
    for fold in range(folds):
        out_n = own.videos_n % folds == fold
        rest = own.part(~out_n)
        curve = _fitted(rest if rest.enough() else _others(seen, folds, fold))
        told_3n[1, out_n] = rest.present_n.mean() if len(rest.present_n) else 0.5
        told_3n[2, out_n] = [curve.probability(score) for score in own.scores_n[out_n]]
    return told_3n


def _others(seen: Mapping[str, Seen], folds: int, fold: int) -> Seen:
    return _pooled({label: one.part(one.videos_n % folds != fold) for label, one in seen.items()})


def _instrument(label: str, own: Seen, told_3n: Floats, pooled: Platt) -> Instrument:
    enough = own.enough()
    positives = int(own.present_n.sum())
    return Instrument(
        curve=_fitted(own) if enough else pooled,
        pooled=not enough,
        positives=positives,
        negatives=len(own.present_n) - positives,
        sentences_sha256=sentences_sha256(label),
        held_out=_judged(own, told_3n),
    )


def _fitted(seen: Seen) -> Platt:
    """The curve of some windows; the share of windows where a higher score does not mean more."""
    from sklearn.linear_model import LogisticRegression

    share = float(np.clip(seen.present_n.mean(), 1e-3, 1 - 1e-3))
    level = Platt(slope=0.0, intercept=float(np.log(share / (1 - share))))
    if len(np.unique(seen.present_n)) < 2 or seen.scores_n.std() < 1e-9:
        return level
    mean, deviation = seen.scores_n.mean(), seen.scores_n.std()
    fitted = LogisticRegression(C=_FREE).fit(((seen.scores_n - mean) / deviation)[:, None], seen.present_n)
    slope = float(fitted.coef_[0, 0] / deviation)
    return Platt(slope=slope, intercept=float(fitted.intercept_[0] - slope * mean)) if slope > 0 else level


def _judged(seen: Seen, told_3n: Floats) -> HeldOut:
    judged: Sequence[Judged] = [
        Judged(
            ece=expected_calibration_error(seen.present_n, told_n),
            brier=float(np.mean((told_n - seen.present_n) ** 2)),
        )
        for told_n in told_3n
    ]
    return HeldOut(before=judged[0], base_rate=judged[1], after=judged[2])
