"""What is looked up is what comparing everything with everything finds, in whatever order it comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.config.pictures import DuplicatesConfig
from ingest.pictures import duplicates
from ingest.pictures.agreement import Match
from ingest.pictures.duplicates import HORIZONTAL, VERTICAL, matches, near_duplicates, repeated
from ingest.pictures.fingerprint import FREQUENCIES, Fingerprint, mirrored, window_hashes
from ingest.pictures.lookup import PARTS, Pictures, nearly_agree

CONFIG = DuplicatesConfig()


def clumped(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    """Hashes of which many differ in few bits."""
    hashes = rng.choice(rng.integers(0, 2**64, 5, dtype=np.uint64), count)
    for _ in range(6):
        flipped = np.where(rng.random(count) < 0.7, np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64), 0)
        hashes = hashes ^ flipped.astype(np.uint64)
    return hashes


@pytest.mark.parametrize("flips", [1, 2])
@pytest.mark.parametrize("count", [1, 400])
def test_near_hashes_are_those_that_comparing_all_finds(flips: int, count: int) -> None:
    rng = np.random.default_rng(count)
    hashes, asked = np.split(clumped(rng, count + 60), [count])
    half = count // 2
    shown = {name: (np.arange(float(len(one))), one) for name, one in (("a", hashes[:half]), ("b", hashes[half:]))}
    pictures = Pictures(shown, 8, flips)
    found = pictures.near(asked)
    naive = {
        (row, place)
        for row, one in enumerate(asked.tolist())
        for place, other in enumerate(hashes.tolist())
        if (one ^ other).bit_count() <= 8
        and min(((one ^ other) >> first & (1 << bits) - 1).bit_count() for first, bits in PARTS) <= flips
    }
    assert set(zip(found.asked.tolist(), found.pictures.tolist(), strict=True)) == naive
    assert count == 1 or len(naive) > 20
    assert (found.differing == np.bitwise_count(asked[found.asked] ^ hashes[found.pictures])).all()
    mine = pictures.near_of(1, asked)
    assert set(zip(mine.asked.tolist(), mine.pictures.tolist(), strict=True)) == {
        one for one in naive if one[1] >= half
    }
    assert (pictures.effort(asked) >= np.bincount(found.asked, minlength=len(asked)) // len(PARTS)).all()


def drawn(seed: int, count: int = 40) -> Fingerprint:
    """Pictures that change by and by; all videos of one draw have the same look."""
    look = np.random.default_rng(99).normal(scale=60.0, size=(FREQUENCIES, FREQUENCIES))
    steps = np.random.default_rng(seed).normal(scale=12.0, size=(count, FREQUENCIES, FREQUENCIES))
    return Fingerprint(seconds=np.arange(count) / 2, spectra=(look + steps.cumsum(axis=0)).astype(np.float16))


def corpus() -> dict[str, Fingerprint]:
    """Six operations, two copies of which one is trimmed, and a title and black pictures in most of them."""
    marks = {f"v{seed}": drawn(seed) for seed in range(6)}
    title = drawn(50, 1).spectra[0]
    for name in ("v0", "v1", "v2", "v4"):
        marks[name].spectra[:3], marks[name].spectra[-2:] = title, 0.0
    rng = np.random.default_rng(7)
    noise = rng.normal(scale=2.0, size=marks["v3"].spectra.shape)
    marks["c3"] = replace(marks["v3"], spectra=(marks["v3"].spectra + noise).astype(np.float16))
    marks["c4"] = Fingerprint(seconds=np.arange(28) / 2, spectra=marks["v4"].spectra[12:].copy())
    return marks


def naive_candidates(marks: dict[str, Fingerprint]) -> list[tuple[str, str, tuple[object, ...], float]]:
    """Every moment of every video in every view beside every picture of every other."""
    views = [(flip, v, h) for flip in (False, True) for v in VERTICAL for h in HORIZONTAL]
    found: list[tuple[str, str, tuple[object, ...], float]] = []
    for name, whole in marks.items():
        chosen = np.unique(np.linspace(0, len(whole) - 1, 16).round().astype(int))
        lit = [
            (moment, row)
            for moment, row in ((at, one) for at in chosen for one in (at, at + 1) if one < len(whole))
            if np.abs(whole.spectra[row, :8, 1:9]).max() >= 1.0
        ]
        straight = window_hashes(whole.spectra[[row for _, row in lit]], VERTICAL, HORIZONTAL)
        asked = np.stack([straight, mirrored(straight)], axis=1).reshape(len(lit), -1)
        firsts = {moment: whole.seconds[row] for moment, row in reversed(lit)}
        for other, part in marks.items():
            seen = np.abs(part.spectra[:, :8, 1:9]).max(axis=(1, 2)) >= 1.0
            seconds, hashes = part.seconds[seen], part.hashes()[seen]
            agree = nearly_agree(asked[:, :, None], hashes, 8, 1)
            best = []
            for view in np.flatnonzero(agree.any(axis=(0, 2))):
                close: dict[int, Counter[int]] = {}
                for row, place in np.argwhere(agree[:, view]):
                    moment, second = lit[row][0], whole.seconds[lit[row][1]]
                    score = 9 - int(asked[row, view] ^ hashes[place]).bit_count()
                    for near in (-1, 0, 1):
                        kept = close.setdefault(round(seconds[place] - second) + near, Counter())
                        kept[moment] = max(kept[moment], score)
                enough = [
                    (-kept.total(), int(view), shift)
                    for shift, kept in close.items()
                    if len(kept)
                    >= max(3, 0.3 * sum(seconds[0] <= one + shift <= seconds[-1] for one in firsts.values()))
                ]
                best += sorted(enough)[:1]
            if name != other:
                found += [(name, other, views[view], float(shift)) for _score, view, shift in sorted(best)[:3]]
    return found


@pytest.mark.parametrize("crowd", [0, 1 << 14])
def test_candidates_are_those_of_comparing_all(crowd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_CROWD", crowd)
    marks = corpus()
    lit = {name: ~duplicates._blank(mark) for name, mark in marks.items()}
    shown = {name: (mark.seconds[lit[name]], mark.hashes()[lit[name]]) for name, mark in marks.items()}
    told = duplicates._candidates(marks, Pictures(shown, 8, 1), CONFIG)
    found = [(name, of, (view.mirrored, view.vertical, view.horizontal), shift) for name, of, view, shift in told]
    assert sorted(found) == sorted(naive_candidates(marks))
    assert {(name, of) for name, of, _view, _shift in found} >= {("v3", "c3"), ("c3", "v3"), ("c4", "v4")}


def test_copies_that_come_later_are_found_as_if_all_had_come_at_once() -> None:
    marks = corpus()
    whole = near_duplicates(marks, CONFIG)
    assert {match.video_id: match.of for match in whole} == {"c3": "v3", "c4": "v4"}
    rng = np.random.default_rng(1)
    for _ in range(2):
        names = rng.permutation(list(marks)).tolist()
        cuts = sorted(rng.integers(0, len(names), 2).tolist())
        found: list[Match] = []
        for first, last in ((0, cuts[0]), (cuts[0], cuts[1]), (cuts[1], len(names))):
            there = {name: marks[name] for name in names[:last]}
            found += matches(there, {name: marks[name] for name in names[first:last]}, CONFIG)
        assert repeated(marks, found) == whole
