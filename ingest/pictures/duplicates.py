"""Videos that show the same recording: re-encoded, scaled, mirrored or trimmed, found by runs of like hashes.

Two operations look alike in single pictures; the same recording agrees picture after picture at one shift in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures.fingerprint import Fingerprint


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One video that shows what another shows."""

    video_id: str
    of: str
    score: float
    """Share of the shorter video's pictures that agree at one shift in time."""
    why: str
    """`same` or `mirrored`, with the shift in seconds."""


def near_duplicates(fingerprints: Mapping[str, Fingerprint], config: DuplicatesConfig) -> tuple[Match, ...]:
    """Videos that repeat an earlier one of the mapping; its order says which one is kept."""
    kept: dict[str, Fingerprint] = {}
    matches: list[Match] = []
    for video_id, mark in fingerprints.items():
        match = _best(video_id, mark, kept, config)
        if match is None:
            kept[video_id] = mark
        else:
            matches.append(match)
    return tuple(matches)


def against(
    fingerprints: Mapping[str, Fingerprint], references: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> tuple[Match, ...]:
    """Videos that show what one of the references shows, each with the reference that it agrees with best."""
    found = (_best(video_id, mark, references, config) for video_id, mark in fingerprints.items())
    return tuple(match for match in found if match is not None)


def _best(
    video_id: str, mark: Fingerprint, others: Mapping[str, Fingerprint], config: DuplicatesConfig
) -> Match | None:
    best: Match | None = None
    for name, other in others.items():
        for how, hashes in (("same", mark.hashes), ("mirrored", mark.mirrored)):
            score, shift = _agreement(hashes, mark.seconds, other, config)
            if score >= config.min_share and (best is None or score > best.score):
                best = Match(video_id=video_id, of=name, score=score, why=f"{how}, shifted by {shift:+.1f} s")
    return best


def _agreement(
    hashes: NDArray[np.uint64], seconds: NDArray[np.float64], other: Fingerprint, config: DuplicatesConfig
) -> tuple[float, float]:
    """The largest share of the shorter video's pictures that agree at one shift, and that shift in seconds."""
    shorter = min(len(hashes), len(other.hashes))
    if shorter < config.min_pictures:
        return 0.0, 0.0
    near = _distances(hashes, other.hashes) <= config.max_distance
    rows, columns = np.nonzero(near)
    if not len(rows):
        return 0.0, 0.0
    bins = np.round((other.seconds[columns] - seconds[rows]) / config.shift_seconds).astype(np.int64)
    shifts = np.unique(bins)
    shares = [_pictures(rows, columns, np.abs(bins - shift) <= 1) / shorter for shift in shifts]
    best = int(np.argmax(shares))
    return min(1.0, shares[best]), float(shifts[best] * config.shift_seconds)


def _pictures(rows: NDArray[np.int64], columns: NDArray[np.int64], chosen: NDArray[np.bool_]) -> int:
    return min(len(np.unique(rows[chosen])), len(np.unique(columns[chosen])))


def _distances(first: Sequence[int] | NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.int64]:
    differing = np.asarray(first, np.uint64)[:, None] ^ second[None, :]
    bits = np.unpackbits(differing.view(np.uint8).reshape(len(first), len(second), 8), axis=2)
    counted: NDArray[np.int64] = bits.sum(axis=2, dtype=np.int64)
    return counted
