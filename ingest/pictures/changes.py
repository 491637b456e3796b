"""Copies that look otherwise in every picture and change alike from one to the next.

A logo, a caption or a speaker's window stands still: what is left of a picture when the mean of the seconds around it
is taken off knows nothing of it, and little of a small turn. So compared are not the pictures but their changes: those
of the lowest frequencies where wanted, and those of a model's vectors where there are any. Changes are few and slow:
they say something over three quarters of a minute, not over ten seconds.

T pictures, E of them moments at which much changes, D numbers of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures.agreement import Match, Seconds, agreement
from ingest.pictures.fingerprint import Fingerprint, Margins, window_spectra

_AROUND_SECONDS = 4.0
"""A change is the difference to the mean of so many seconds before and after."""
_LEAST_CHANGE = 32.0
"""Half a grey level of the mean pixel: less is what coding leaves."""
_LEAST_VECTOR_CHANGE = 0.01
_LEAST_SPREAD = 0.1
"""A number that varies less than this share of all of a video's is not raised further."""
_MOST_ELSEWHERE = 0.75
"""Breathing and other rhythms agree at many shifts: at any other one at most this share of what agrees at the best."""
_LOOKED_UP, _LEAST_SEEN, _VIEWS = 16, 3, 2
_LOOK_SECONDS = 0.5

Rows = NDArray[np.float32]
Changes = tuple[Rows, NDArray[np.float64]]
"""[T, D] of length one, or zero where too little changes; and how much changes [T]."""


@dataclass(frozen=True, slots=True)
class _View:
    """How the pictures of one video may have become those of another."""

    name: str
    seen: Callable[[Fingerprint], Changes]


@dataclass(frozen=True, slots=True)
class _Sense:
    """One way of looking at changes: as they are first, then as another video may show them."""

    views: tuple[_View, ...]
    least: float
    """Cosine from which two changes are alike."""
    sees: Callable[[Fingerprint], bool]


def alike_in_changes(
    wholes: Mapping[str, Fingerprint], parts: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> Iterator[Match]:
    """Pairs of which the second changes as the first does, or as a window of it does."""
    for sense in _senses(config):
        for video_id, of, view in _candidates(wholes, parts, sense):
            whole, part = wholes[video_id], parts[of]
            apart = 1.0 - view.seen(whole)[0] @ sense.views[0].seen(part)[0].T
            found = agreement(apart, 1.0 - sense.least, (whole.seconds, part.seconds), config.shift_seconds)
            if found.share >= config.min_share and found.elsewhere <= _MOST_ELSEWHERE * found.share:
                why = f"{view.name}, shifted by {found.shift_seconds:+.1f} s"
                yield Match(video_id=video_id, of=of, score=found.share, why=why)


def _senses(config: DuplicatesConfig) -> tuple[_Sense, ...]:
    def long(mark: Fingerprint) -> bool:
        return len(mark) > 0 and mark.seconds[-1] - mark.seconds[0] >= config.min_changing_seconds

    margins = ((0.0, 0.0), (0.0, 0.0)), ((0.075,) * 2,) * 2, ((0.15,) * 2,) * 2
    shapes = ((0.125, 0.125), (0.0, 0.0)), ((0.0, 0.0), (0.125, 0.125))
    views = [_window(*one, mirror=mirror) for mirror in (False, True) for one in (*margins, *shapes)]
    frequencies = _Sense(tuple(views), config.min_change_similarity, long)
    model = _Sense(
        (_View("alike to the model", _vector_changes),),
        config.min_similarity,
        lambda mark: long(mark) and len(mark.vectors) == len(mark),
    )
    return (frequencies, model) if config.changes else (model,)


def _window(vertical: Margins, horizontal: Margins, *, mirror: bool) -> _View:
    signs = np.where(np.arange(1, 9) % 2, -1.0, 1.0).astype(np.float32) if mirror else np.float32(1.0)

    def seen(mark: Fingerprint) -> Changes:
        spectra = window_spectra(mark.spectra, [vertical], [horizontal])[:, 0, 0] * signs
        return _directions(_less_the_mean(spectra.reshape(len(spectra), -1), mark.seconds), _LEAST_CHANGE)

    cropped = ", cropped" if max(*vertical, *horizontal) else ""
    return _View(f"changes alike{', mirrored' if mirror else ''}{cropped}", seen)


def _vector_changes(mark: Fingerprint) -> Changes:
    """Every number of the vectors counts for as much as it varies in this video."""
    changes = _less_the_mean(mark.vectors.astype(np.float32), mark.seconds)
    amounts = np.linalg.norm(changes, axis=1, keepdims=True)
    spread = changes.std(axis=0) + _LEAST_SPREAD * changes.std()
    rows, _ = _directions(changes / np.maximum(spread, 1e-9), 0.0)
    return np.where(amounts >= _LEAST_VECTOR_CHANGE, rows, np.float32(0.0)), amounts[:, 0]


def _less_the_mean(rows_td: Rows, seconds: Seconds) -> Rows:
    """Less the mean of the rows around each."""
    sums = np.concatenate([np.zeros((1, rows_td.shape[1])), rows_td.cumsum(axis=0, dtype=np.float64)])
    first = np.searchsorted(seconds, seconds - _AROUND_SECONDS - 1e-6)
    last = np.searchsorted(seconds, seconds + _AROUND_SECONDS + 1e-6)
    means = (sums[last] - sums[first]) / (last - first)[:, None]
    return np.asarray(rows_td - means, np.float32)


def _directions(rows_td: Rows, least: float) -> Changes:
    amounts = np.linalg.norm(rows_td, axis=1)
    rows = np.where(amounts[:, None] >= max(least, 1e-9), rows_td / np.maximum(amounts, 1e-9)[:, None], 0.0)
    return np.asarray(rows, np.float32), np.asarray(amounts, np.float64)


def _moments(changes: Changes, seconds: Seconds) -> NDArray[np.int64]:
    """[E]: the pictures of which none around changes more."""
    rows, amounts = changes
    places = range(len(seconds))
    first = np.searchsorted(seconds, seconds - _AROUND_SECONDS)
    last = np.searchsorted(seconds, seconds + _AROUND_SECONDS, side="right")
    most = np.array([amounts[first[place] : last[place]].max() for place in places])
    return np.flatnonzero((amounts >= most) & rows.any(axis=1))


def _candidates(
    wholes: Mapping[str, Fingerprint], parts: Mapping[str, Fingerprint], sense: _Sense
) -> Iterator[tuple[str, str, _View]]:
    """For each pair of which some moments are alike at one shift, the views in which most are."""
    known = _looked_up(parts, sense)
    if known is None:
        return
    for video_id, mark in wholes.items():
        if not sense.sees(mark):
            continue
        taken: dict[str, list[tuple[int, _View]]] = {}
        for view in sense.views:
            for name, count in _hits(view, mark, known, sense.least):
                if count >= _LEAST_SEEN and name != video_id:
                    taken.setdefault(name, []).append((count, view))
        for name, found in taken.items():
            for _count, view in sorted(found, key=lambda one: -one[0])[:_VIEWS]:
                yield video_id, name, view


@dataclass(frozen=True, slots=True)
class _Known:
    """Moments of many videos, [N]."""

    names: list[str]
    owners: NDArray[np.int64]
    """Places in `names`."""
    seconds: Seconds
    index: faiss.IndexFlatIP


def _looked_up(parts: Mapping[str, Fingerprint], sense: _Sense) -> _Known | None:
    """Moments spread over each of the videos, None if there are none."""
    names: list[str] = []
    owners, seconds, rows = [], [], []
    for name, mark in parts.items():
        if not sense.sees(mark):
            continue
        changes = sense.views[0].seen(mark)
        places = _moments(changes, mark.seconds)
        if len(places):
            chosen = places[np.unique(np.linspace(0, len(places) - 1, _LOOKED_UP).round().astype(np.int64))]
            owners.append(np.full(len(chosen), len(names)))
            seconds.append(mark.seconds[chosen])
            rows.append(changes[0][chosen])
            names.append(name)
    if not names:
        return None
    index = faiss.IndexFlatIP(rows[0].shape[1])
    index.add(np.concatenate(rows))
    return _Known(names, np.concatenate(owners), np.concatenate(seconds), index)


def _hits(view: _View, mark: Fingerprint, known: _Known, least: float) -> Iterator[tuple[str, int]]:
    """Videos of which moments are alike, and how many of them at the shift at which most are."""
    changes = view.seen(mark)
    places = _moments(changes, mark.seconds)
    if not len(places):
        return
    limits, _likeness, found = known.index.range_search(changes[0][places], least)
    if not len(found):
        return
    hits = limits[1:].astype(np.int64) - limits[:-1].astype(np.int64)
    shifts = known.seconds[found] - np.repeat(mark.seconds[places], hits)
    bins = np.round(shifts / _LOOK_SECONDS).astype(np.int64)
    bins -= bins.min() - 1
    width = int(bins.max()) + 2
    keys = known.owners[found] * width + bins
    seen, counts = np.unique(np.concatenate([keys - 1, keys, keys + 1]), return_counts=True)
    most = np.zeros(len(known.names), np.int64)
    np.maximum.at(most, seen // width, counts)
    for owner in np.flatnonzero(most).tolist():
        yield known.names[owner], int(most[owner])
