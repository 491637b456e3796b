"""Videos that show the same recording: re-encoded, scaled, cropped, mirrored or trimmed.

Two operations look alike in single pictures; the same recording agrees picture after picture, at one shift in time and
in one and the same window. Few pictures of every window are looked up to find who might be a copy of whom; the videos
found are then compared picture by picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import faiss
import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures.agreement import Agreement, Match, agreement
from ingest.pictures.changes import alike_in_changes
from ingest.pictures.fingerprint import Fingerprint, Margins, mirrored, window_hashes

_CUTS = (0.0, 0.05, 0.1, 0.15)
VERTICAL: tuple[Margins, ...] = tuple(product(_CUTS, _CUTS))
"""What a copy may lack above and below."""
HORIZONTAL: tuple[Margins, ...] = (*VERTICAL, (0.2, 0.2))
"""What it may lack left and right; the last is the middle square of a 16:9 picture."""

_LOOKED_UP, _LEAST_SEEN, _VIEWS, _SLACK = 16, 3, 3, 4
_STEPS, _REFINED_ON, _FAR = (0.025, 0.0125), 64, 20
_CHUNKS, _RUN_SECONDS = 4, 0.95


def near_duplicates(fingerprints: Mapping[str, Fingerprint], config: DuplicatesConfig) -> tuple[Match, ...]:
    """Videos that repeat an earlier one of the mapping; its order says which one is kept."""
    partners: dict[str, list[Match]] = {}
    for match in _matches(fingerprints, fingerprints, config):
        partners.setdefault(match.video_id, []).append(match)
        partners.setdefault(match.of, []).append(_turned(match))
    kept: set[str] = set()
    repeats: list[Match] = []
    for video_id in fingerprints:
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


def _strength(match: Match) -> tuple[float, int, str]:
    return match.score, -len(match.why), match.of


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
    for video_id, of, view in _candidates(wholes, parts, config):
        whole, part = wholes[video_id], parts[of]
        loose = _agreement(whole, part, view, config.max_distance + _SLACK, config)
        if loose.share < config.min_share / 2:
            continue
        for tried in (view, _refined(view, loose.shift_seconds, whole, part, config)):
            found = _agreement(whole, part, tried, config.max_distance, config)
            if found.share >= config.min_share:
                why = f"{tried}, shifted by {found.shift_seconds:+.1f} s"
                yield Match(video_id=video_id, of=of, score=found.share, why=why)
    yield from alike_in_changes(wholes, parts, config)


def _candidates(
    wholes: Mapping[str, Fingerprint], parts: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> Iterator[tuple[str, str, _View]]:
    """For each pair of which some pictures nearly agree, the views in which they agree best."""
    hashes = {name: mark.hashes() for name, mark in parts.items() if len(mark) >= config.min_pictures}
    if not hashes:
        return
    names = list(hashes)
    owners = np.repeat(np.arange(len(names)), np.array([len(one) for one in hashes.values()]))
    index = faiss.IndexBinaryMultiHash(64, _CHUNKS, 64 // _CHUNKS)
    index.nflip = config.max_distance // _CHUNKS
    index.add(_as_bytes(np.concatenate(list(hashes.values()))))
    views = [_View(*view) for view in product((False, True), VERTICAL, HORIZONTAL)]
    for video_id, mark in wholes.items():
        if len(mark) < config.min_pictures:
            continue
        groups, rows = _looked_up(mark)
        straight = window_hashes(mark.spectra[rows], VERTICAL, HORIZONTAL)
        asked = np.stack([straight, mirrored(straight)], axis=1)
        radius = config.max_distance + _SLACK
        limits, distances, found = index.range_search(_as_bytes(asked.reshape(-1)), radius + 1)
        hits = limits[1:].astype(np.int64) - limits[:-1].astype(np.int64)
        row, view = np.divmod(np.repeat(np.arange(asked.size), hits), len(views))
        closeness = _per_view(groups[row], view, owners[found], radius + 1 - distances, len(views))
        taken: Counter[int] = Counter()
        for owner, place, count, _close in sorted(closeness, key=lambda one: -one[3]):
            if count >= _LEAST_SEEN and names[owner] != video_id and taken[owner] < _VIEWS:
                taken[owner] += 1
                yield video_id, names[owner], views[place]


def _looked_up(mark: Fingerprint) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pictures at moments spread over a video, all of the second that begins there: the moment and the row of each."""
    moments = mark.seconds[np.unique(np.linspace(0, len(mark) - 1, _LOOKED_UP).round().astype(np.int64))]
    after = mark.seconds[None, :] - moments[:, None]
    groups, rows = np.nonzero((after >= 0.0) & (after < _RUN_SECONDS))
    return groups, rows


def _per_view(
    rows: NDArray[np.int64], views: NDArray[np.int64], owners: NDArray[np.int64], close: NDArray[np.int32], width: int
) -> Iterator[tuple[int, int, int, int]]:
    """Owner, view, how many pictures are seen in it, and the sum of how close each comes at its closest."""
    order = np.lexsort((-close, rows, views, owners))
    keys = np.stack([owners * width + views, rows])[:, order]
    first = np.ones(len(rows), bool)
    first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    places, where, counts = np.unique(keys[0][first], return_inverse=True, return_counts=True)
    sums = np.bincount(where, close[order][first]).astype(np.int64)
    return zip((places // width).tolist(), (places % width).tolist(), counts.tolist(), sums.tolist(), strict=True)


def _as_bytes(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, 8)


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
