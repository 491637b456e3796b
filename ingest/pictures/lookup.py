"""Hashes of the pictures of many videos, of which few are compared with one to find those that nearly agree with it.

Two hashes nearly agree if few of their 64 bits differ and, in one of three parts of them, hardly any. Every hash stands
in one list for each of its parts, so that few lists need be read. What agrees depends on nothing but the two hashes:
not on what else is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

PARTS: tuple[tuple[int, int], ...] = ((0, 21), (21, 21), (42, 22))
"""First bit and bits of each part of a hash."""

_LEAST_KEY_BITS, _MOST_KEY_BITS, _HASHES_A_LIST = 4, 21, 2
_AT_ONCE = 1 << 17

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Pairs of an asked hash and a picture that nearly agree, [P]; a pair may stand there more than once."""

    asked: Places
    pictures: Places
    differing: Places
    """Bits."""


def nearly_agree(one: Hashes, other: Hashes, radius: int, flips: int) -> NDArray[np.bool_]:
    """Whether at most `radius` bits differ, and at most `flips` of them in one of the parts."""
    differing = one ^ other
    least = np.min([np.bitwise_count(_part(differing, *part)) for part in PARTS], axis=0)
    return np.asarray((np.bitwise_count(differing) <= radius) & (least <= flips))


@dataclass(frozen=True, slots=True, eq=False)
class _Lists:
    """All hashes in order of one part of them."""

    first: int
    """Bit with which the part begins."""
    limits: NDArray[np.int32]
    """Where the list of each key begins, and where the last one ends."""
    order: NDArray[np.int32]
    """Places among the hashes."""
    others: NDArray[np.uint32]
    """Half of each hash, of the bits after the part."""


class Pictures:
    """The hashes of the pictures of many videos, by video."""

    def __init__(self, shown: Mapping[str, tuple[NDArray[np.float64], Hashes]], radius: int, flips: int) -> None:
        """Take in seconds and hashes of all of them; what agrees is what `nearly_agree` says."""
        self.names = list(shown)
        self._radius, self._flips = radius, flips
        lengths = np.array([len(seconds) for seconds, _hashes in shown.values()], np.int64)
        self._limits = np.concatenate([[0], np.cumsum(lengths)])
        self._hashes = np.concatenate([*(hashes for _seconds, hashes in shown.values()), np.zeros(0, np.uint64)])
        seconds = [seconds.astype(np.float32) for seconds, _hashes in shown.values()]
        self.seconds = np.concatenate([*seconds, np.zeros(0, np.float32)])
        """[N]"""
        self.owners = np.repeat(np.arange(len(self.names), dtype=np.int32), lengths)
        """[N]: places in `names`."""
        fits = (len(self._hashes) // _HASHES_A_LIST).bit_length()
        self._key_bits = min(max(fits, _LEAST_KEY_BITS), _MOST_KEY_BITS)
        self._flipped = [sum(1 << bit for bit in bits) for bits in _subsets(self._key_bits, flips)]
        self._lists = [self._listed(first) for first, _bits in PARTS]

    def spans(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds of the first and of the last picture of each video."""
        return self.seconds[self._limits[:-1]].astype(float), self.seconds[self._limits[1:] - 1].astype(float)

    def _listed(self, first: int) -> _Lists:
        keys = _part(self._hashes, first, self._key_bits).astype(np.int32)
        order = np.argsort(keys, kind="stable").astype(np.int32)
        limits = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=1 << self._key_bits))])
        return _Lists(first, limits.astype(np.int32), order, _others(self._hashes, first)[order])

    def _read(self, asked: Hashes) -> Iterator[tuple[_Lists, NDArray[np.int32], NDArray[np.int32]]]:
        """The lists in which hashes near those `asked` [Q] stand: where each begins [Q], and how long it is [Q]."""
        for lists in self._lists:
            keys = _part(asked, lists.first, self._key_bits).astype(np.int64)
            for flipped in self._flipped:
                begins = lists.limits[keys ^ flipped]
                yield lists, begins, lists.limits[1:][keys ^ flipped] - begins

    def effort(self, asked: Hashes) -> Places:
        """[Q]: how many hashes `near` compares with each of those `asked`."""
        effort = np.zeros(len(asked), np.int64)
        for _lists, _begins, counts in self._read(asked):
            effort += counts
        return effort

    def near(self, asked: Hashes) -> Hits:
        """All pictures that nearly agree with each of some hashes [Q]; what is compared is never held as a whole."""
        rows, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)]
        for lists, begins, counts in self._read(asked):
            ends = np.cumsum(counts, dtype=np.int64)
            cuts = np.searchsorted(ends, np.arange(_AT_ONCE, ends[-1] if len(ends) else 0, _AT_ONCE))
            others = _others(asked, lists.first)
            for first, last in pairwise(np.unique([0, *cuts, len(ends)]).tolist()):
                row, place = self._compared(others[first:last], lists, begins[first:last], counts[first:last])
                rows.append(first + row)
                found.append(lists.order[place])
        return self._hits(asked, np.concatenate(rows), np.concatenate(found))

    def _compared(
        self, others: NDArray[np.uint32], lists: _Lists, begins: NDArray[np.int32], counts: NDArray[np.int32]
    ) -> tuple[Places, NDArray[np.int32]]:
        """Half hashes, each with a list of its own: which of them are near in that half, and their places there."""
        before = np.cumsum(counts, dtype=np.int32) - counts
        places = np.repeat(begins - before, counts)
        places += np.arange(len(places), dtype=np.int32)
        differing = lists.others[places] ^ np.repeat(others, counts)
        near = np.flatnonzero(np.bitwise_count(differing) <= self._radius)
        return np.searchsorted(before, near, side="right") - 1, places[near]

    def near_of(self, owner: int, asked: Hashes) -> Hits:
        """Those of one video."""
        begin, end = self._limits[owner : owner + 2].tolist()
        rows, found = np.divmod(np.arange(len(asked) * (end - begin)), max(1, end - begin))
        return self._hits(asked, rows, begin + found)

    def _hits(self, asked: Hashes, rows: Places, found: Places) -> Hits:
        one, other = asked[rows], self._hashes[found]
        agree = nearly_agree(one, other, self._radius, self._flips)
        differing = np.bitwise_count(one[agree] ^ other[agree]).astype(np.int64)
        return Hits(rows[agree], found[agree].astype(np.int64), differing)


def _part(hashes: Hashes, first: int, bits: int) -> Hashes:
    return (hashes >> np.uint64(first)) & np.uint64((1 << bits) - 1)


def _others(hashes: Hashes, first: int) -> NDArray[np.uint32]:
    after = np.uint64(first + _MOST_KEY_BITS)
    return ((hashes >> after) | (hashes << (np.uint64(64) - after))).astype(np.uint32)


def _subsets(bits: int, most: int) -> list[tuple[int, ...]]:
    return [chosen for count in range(most + 1) for chosen in combinations(range(bits), count)]
