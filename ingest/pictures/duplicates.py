"""Videos that show the same recording: re-encoded, scaled, cropped, mirrored or trimmed.

Two operations look alike in single pictures; the same recording agrees picture after picture, at one shift in time and
in one and the same window. Few pictures of every window are looked up to find who might be a copy of whom; the videos
found are then compared picture by picture. Whether two videos match follows from the two alone: what was compared
before need not be compared again when others come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures.agreement import Agreement, Match, Seconds, agreement
from ingest.pictures.changes import alike_in_changes
from ingest.pictures.fingerprint import Fingerprint, Margins, mirrored, window_hashes
from ingest.pictures.lookup import Hits, Pictures

_CUTS = (0.0, 0.05, 0.1, 0.15)
VERTICAL: tuple[Margins, ...] = tuple(product(_CUTS, _CUTS))
"""What a copy may lack above and below."""
HORIZONTAL: tuple[Margins, ...] = (*VERTICAL, (0.2, 0.2))
"""What it may lack left and right; the last is the middle square of a 16:9 picture."""

_LOOKED_UP, _LEAST_SEEN, _VIEWS, _SLACK = 16, 3, 3, 4
_STEPS, _REFINED_ON, _FAR = (0.025, 0.0125), 64, 20
_RUN_SECONDS, _LOOK_SECONDS, _SPREAD = 0.95, 1.0, 128
_CROWD = 1 << 14
"""Fewer hashes to compare a moment of a view with are no crowd."""
_BLANK = 1.0
"""All frequencies of a picture are below it: a sixtieth of a grey level."""


def near_duplicates(fingerprints: Mapping[str, Fingerprint], config: DuplicatesConfig) -> tuple[Match, ...]:
    """Videos that repeat an earlier one of the mapping; its order says which one is kept."""
    return repeated(fingerprints, matches(fingerprints, fingerprints, config))


def matches(
    fingerprints: Mapping[str, Fingerprint], news: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> tuple[Match, ...]:
    """Pairs of which one shows what the other shows, at least one of them among `news`, a part of all."""
    olds = [video_id for video_id in fingerprints if video_id not in news]
    found = list(_matches(fingerprints, news, config))
    if olds:
        found += _matches(news, _Some(fingerprints, olds), config)
    return tuple(found)


def repeated(video_ids: Iterable[str], matches: Iterable[Match]) -> tuple[Match, ...]:
    """Of videos, the first of which is kept, those that match one that is kept, each with the one it matches best."""
    partners: dict[str, list[Match]] = {}
    for match in matches:
        partners.setdefault(match.video_id, []).append(match)
        partners.setdefault(match.of, []).append(_turned(match))
    kept: set[str] = set()
    repeats: list[Match] = []
    for video_id in video_ids:
        best = max((one for one in partners.get(video_id, ()) if one.of in kept), key=_strength, default=None)
        if best is None:
            kept.add(video_id)
        else:
            repeats.append(best)
    return tuple(repeats)


def against(
    fingerprints: Mapping[str, Fingerprint], references: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> tuple[Match, ...]:
    """Videos that show what one of the references shows, each with the reference that it agrees with best."""
    found = [*_matches(fingerprints, references, config), *map(_turned, _matches(references, fingerprints, config))]
    best: dict[str, Match] = {}
    for match in sorted(found, key=_strength):
        best[match.video_id] = match
    return tuple(best[video_id] for video_id in fingerprints if video_id in best)


class _Some(Mapping[str, Fingerprint]):
    """Some of many fingerprints, read when they are asked for."""

    def __init__(self, all_of_them: Mapping[str, Fingerprint], names: Iterable[str]) -> None:
        self._all = all_of_them
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Fingerprint:
        if name not in self._names:
            raise KeyError(name)
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _strength(match: Match) -> tuple[float, int, str, str]:
    """Of two equal ones the same is the stronger, whichever was found first."""
    return match.score, -len(match.why), match.of, match.why


def _turned(match: Match) -> Match:
    """The same match, told of the other video."""
    return Match(video_id=match.of, of=match.video_id, score=match.score, why=match.why)


@dataclass(frozen=True, slots=True)
class _View:
    """How the pictures of one video may have become those of another."""

    mirrored: bool
    vertical: Margins
    horizontal: Margins

    def __str__(self) -> str:
        how = "mirrored" if self.mirrored else "same"
        return f"{how}, cropped" if max(*self.vertical, *self.horizontal) > _STEPS[-1] else how


def _matches(
    wholes: Mapping[str, Fingerprint], parts: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> Iterator[Match]:
    """Pairs of which the second shows what the first shows, all of it or a window of it."""
    if not wholes or not parts:
        return
    shown: dict[str, tuple[Seconds, NDArray[np.uint64]]] = {}
    vectors = False
    for name, mark in parts.items():  # they are read once
        vectors |= len(mark.vectors) > 0
        seen = ~_blank(mark)
        if len(mark) >= config.min_pictures and seen.any():
            shown[name] = mark.seconds[seen], mark.hashes()[seen]
    pictures = Pictures(shown, config.max_distance + _SLACK, max(1, config.max_distance // 4))
    for video_id, of, view, shift in _candidates(wholes, pictures, config):
        whole, part = wholes[video_id], parts[of]
        if _share_at(shift, whole, part, view, config) < config.min_share / 2:
            continue
        loose = _agreement(whole, part, view, config.max_distance + _SLACK, config)
        if loose.share < config.min_share / 2:
            continue
        for tried in (view, _refined(view, loose.shift_seconds, whole, part, config)):
            found = _agreement(whole, part, tried, config.max_distance, config)
            if found.share >= config.min_share:
                why = f"{tried}, shifted by {found.shift_seconds:+.1f} s"
                yield Match(video_id=video_id, of=of, score=found.share, why=why)
    if vectors or config.changes:
        yield from alike_in_changes(wholes, parts, config)


def _candidates(
    wholes: Mapping[str, Fingerprint], pictures: Pictures, config: DuplicatesConfig
) -> Iterator[tuple[str, str, _View, float]]:
    """For each pair of which enough moments nearly agree at one shift, the views in which they agree best."""
    if not pictures.names:
        return
    views = [_View(*view) for view in product((False, True), VERTICAL, HORIZONTAL)]
    for video_id, mark in wholes.items():
        moments, rows = _looked_up(mark)
        if len(mark) < config.min_pictures or not len(rows):
            continue
        straight = window_hashes(mark.spectra[rows], VERTICAL, HORIZONTAL)
        asked = np.stack([straight, mirrored(straight)], axis=1).reshape(len(rows), -1)
        row, view, hits = _near(pictures, asked, moments)
        owners = pictures.owners[hits.pictures].astype(np.int64)
        met = _Met(
            keys=owners * len(views) + view,
            moments=moments[row],
            shifts=pictures.seconds[hits.pictures] - mark.seconds[rows][row],
            close=config.max_distance + _SLACK + 1 - hits.differing,
        )
        taken: Counter[int] = Counter()
        begins = mark.seconds[rows[np.unique(moments, return_index=True)[1]]]
        expected = partial(_inside, begins, pictures.spans(), len(views))
        for key, shift in _together(met, expected, config.min_share / 2):
            place, at = divmod(key, len(views))
            if pictures.names[place] != video_id and taken[place] < _VIEWS:
                taken[place] += 1
                yield video_id, pictures.names[place], views[at], shift


def _near(
    pictures: Pictures, asked: NDArray[np.uint64], moments: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Hits]:
    """What is near the hashes asked [R, views]: row, view, and hit of each pair.

    Who is seen often enough is seen outside of any two moments too. So the two of a view that are in a crowd, such as
    those of a title that begins or ends many videos, are compared only with those seen in it at another moment.
    """
    crowded = _crowded(pictures.effort(asked.reshape(-1)).reshape(asked.shape), moments)
    rows, views = np.nonzero(~crowded)
    hits = pictures.near(asked[rows, views])
    row, view = rows[hits.asked], views[hits.asked]
    found = [(row, view, hits.pictures, hits.differing)]
    for at in np.flatnonzero(crowded.any(axis=0)).tolist():
        rows = np.flatnonzero(crowded[:, at])
        for owner in np.unique(pictures.owners[hits.pictures[view == at]]).tolist():
            more = pictures.near_of(owner, asked[rows, at])
            found.append((rows[more.asked], np.full(len(more.asked), at), more.pictures, more.differing))
    row, view, place, differing = (np.concatenate(column) for column in zip(*found, strict=True))
    return row, view, Hits(row, place, differing)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Met:
    """Moments of a video that nearly agree with pictures of others in some view, [P]."""

    keys: NDArray[np.int64]
    """Of other video and view."""
    moments: NDArray[np.int64]
    shifts: NDArray[np.float64]
    """Seconds."""
    close: NDArray[np.int64]


def _together(
    met: _Met, expected: Callable[[NDArray[np.int64], Seconds], NDArray[np.int64]], least: float
) -> list[tuple[int, float]]:
    """Keys with enough moments at one shift, and that shift, those first that come closest together.

    Enough is a share of at least `least` of the moments `expected` at that shift.
    """
    if not len(met.keys):
        return []
    bins = np.round(met.shifts / _LOOK_SECONDS).astype(np.int64)
    origin = int(bins.min()) - 1
    width = int(bins.max()) - origin + 2
    places = met.keys * width + bins - origin
    places = np.concatenate([places - 1, places, places + 1])
    moments, close = np.tile(met.moments, 3), np.tile(met.close, 3)
    order = np.lexsort((-close, moments, places))
    places, moments = places[order], moments[order]
    first = np.r_[True, (places[1:] != places[:-1]) | (moments[1:] != moments[:-1])]
    places, begins, counts = np.unique(places[first], return_index=True, return_counts=True)
    sums = np.add.reduceat(close[order][first], begins)
    keys, shifts = places // width, (places % width + origin) * _LOOK_SECONDS
    enough = counts >= np.maximum(_LEAST_SEEN, least * expected(keys, shifts))
    keys, shifts, sums = keys[enough], shifts[enough], sums[enough]
    order = np.lexsort((shifts, keys, -sums))
    _, best = np.unique(keys[order], return_index=True)
    return [(int(keys[one]), float(shifts[one])) for one in order[np.sort(best)]]


def _inside(
    moments: Seconds, spans: tuple[Seconds, Seconds], views: int, keys: NDArray[np.int64], shifts: Seconds
) -> NDArray[np.int64]:
    """How many of the moments, shifted, are within the span of the video of each key."""
    begins, ends = (span[keys // views] - shifts for span in spans)
    return np.searchsorted(moments, ends, side="right") - np.searchsorted(moments, begins, side="left")


def _share_at(shift: float, whole: Fingerprint, part: Fingerprint, view: _View, config: DuplicatesConfig) -> float:
    """Of pictures spread over what both show at about this shift, those that nearly agree with a glance there."""
    seconds, hashes = part.densely()
    there = whole.seconds + shift
    rows = np.flatnonzero((there >= seconds[0]) & (there <= seconds[-1]))
    if not len(rows):
        return 0.0
    rows = rows[np.linspace(0, len(rows) - 1, min(_SPREAD, len(rows))).round().astype(np.int64)]
    first, last = (np.searchsorted(seconds, there[rows] + off) for off in (-1.5 * _LOOK_SECONDS, 1.5 * _LOOK_SECONDS))
    places = first[:, None] + np.arange(max(1, int((last - first).max())))
    seen = window_hashes(whole.spectra[rows], [view.vertical], [view.horizontal])[:, 0, 0]
    seen = mirrored(seen) if view.mirrored else seen
    differing = np.bitwise_count(seen[:, None] ^ hashes[np.minimum(places, len(hashes) - 1)])
    near = (differing <= config.max_distance + _SLACK) & (places < last[:, None])
    return float(near.any(axis=1).mean())


def _crowded(effort: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[R, views]: rows of the moments, at most two of a view, that many more hashes stand near than near others."""
    names, first = np.unique(groups, return_index=True)
    if len(names) <= _LEAST_SEEN:
        return np.zeros(effort.shape, bool)
    efforts = np.add.reduceat(effort, first, axis=0)
    ranks = efforts.argsort(axis=0, kind="stable").argsort(axis=0)
    usual = np.median(efforts, axis=0)
    crowded = (ranks > len(names) - _LEAST_SEEN) & (efforts > np.maximum(_CROWD, 4 * usual))
    return np.asarray(crowded[np.searchsorted(names, groups)])


def _looked_up(mark: Fingerprint) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pictures at moments spread over a video, all of the second that begins there: the moment and the row of each.

    Blank ones are left out: they are alike in all videos.
    """
    moments = mark.seconds[np.unique(np.linspace(0, len(mark) - 1, _LOOKED_UP).round().astype(np.int64))]
    after = mark.seconds[None, :] - moments[:, None]
    groups, rows = np.nonzero((after >= 0.0) & (after < _RUN_SECONDS) & ~_blank(mark))
    return groups, rows


def _blank(mark: Fingerprint) -> NDArray[np.bool_]:
    """[T]: whether a picture is black, or of one colour."""
    return np.asarray(np.abs(mark.spectra[:, :8, 1:9]).max(axis=(1, 2), initial=0.0) < _BLANK)


def _seen(mark: Fingerprint, view: _View) -> NDArray[np.uint64]:
    """[T]: what the pictures hash to in a view."""
    hashes = window_hashes(mark.spectra, [view.vertical], [view.horizontal])[:, 0, 0]
    return mirrored(hashes) if view.mirrored else hashes


def _refined(view: _View, shift: float, whole: Fingerprint, part: Fingerprint, config: DuplicatesConfig) -> _View:
    """The view between the ones looked up in which pictures at one shift in time differ least."""
    seconds, hashes = part.densely()
    at = np.abs(seconds[None, :] - whole.seconds[:, None] - shift)
    rows = np.flatnonzero(at.min(axis=1) <= 1.5 * config.shift_seconds)
    rows = rows[np.linspace(0, len(rows) - 1, min(_REFINED_ON, len(rows))).round().astype(np.int64)]
    shown = hashes[at[rows].argmin(axis=1)]
    for step in _STEPS:
        vertical, horizontal = _around(view.vertical, step), _around(view.horizontal, step)
        seen = window_hashes(whole.spectra[rows], vertical, horizontal)
        differing = np.bitwise_count((mirrored(seen) if view.mirrored else seen) ^ shown[:, None, None])
        far = np.minimum(differing, _FAR).sum(axis=0)
        v, h = np.unravel_index(int(far.argmin()), far.shape)
        view = _View(view.mirrored, vertical[v], horizontal[h])
    return view


def _around(margins: Margins, step: float) -> list[Margins]:
    """The margins themselves first, then all that differ by up to two steps."""
    steps = sorted(np.arange(-2, 3) * step, key=abs)
    return [(max(0.0, margins[0] + low), max(0.0, margins[1] + high)) for low, high in product(steps, steps)]


def _agreement(whole: Fingerprint, part: Fingerprint, view: _View, most: int, config: DuplicatesConfig) -> Agreement:
    """Of the pictures of one video, in a view, and the glances at another."""
    seconds, hashes = part.densely()
    bits = np.bitwise_count(_seen(whole, view)[:, None] ^ hashes[None, :])
    return agreement(bits, most, (whole.seconds, seconds), config.shift_seconds)
