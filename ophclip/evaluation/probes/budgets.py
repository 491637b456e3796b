"""How much is labelled: shares of the training videos, or a few seconds of each class, drawn so that larger sets hold
the smaller.

Shapes: V training videos, C classes, N labelled seconds of one video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.probes.samples import ProbeVideo

Picks = Mapping[int, Ints]
"""Numbers of the labelled seconds that are learned from, by the number of the video."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Budget:
    """So many training videos, or, with 0, so many labelled seconds of each class."""

    videos: int = 0
    shots: int = 0

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.shots}-shot" if self.shots else f"{self.videos}-videos"


def share_budgets(shares_percent: Sequence[float], videos: int) -> dict[Budget, tuple[float, ...]]:
    """The distinct numbers of videos that the shares come to, each with its shares; rounded, 1 at least."""
    found: dict[Budget, tuple[float, ...]] = {}
    for share in sorted(set(shares_percent)):
        budget = Budget(videos=max(int(share * videos / 100 + 0.5), 1))
        found[budget] = (*found.get(budget, ()), share)
    return found


def drawn_picks(videos: Sequence[ProbeVideo], budget: Budget, *, draw: int, seed: int, exclusive: bool = True) -> Picks:
    """What is learned from: all that is labelled of so many videos, or so many seconds of each class.

    Where classes do not exclude each other (presence), so many seconds without each class are learned from as well.

    For one `draw` and `seed` a larger budget of a kind holds the smaller. The first video of each draw is another, as
    far as there are enough; each further one has most of the classes that are still missing, until none is.
    """
    if budget.shots:
        return _shots(videos, budget.shots, np.random.default_rng([seed, draw, 1]), exclusive)
    has_vc = np.stack([(video.truth_nc == 1).any(axis=0) for video in videos])
    chosen = video_order(has_vc, draw=draw, seed=seed)[: budget.videos]
    return {place: np.flatnonzero(videos[place].known_n) for place in sorted(chosen)}


def video_order(has_vc: Ints | Floats, *, draw: int, seed: int) -> list[int]:
    """All videos in the order in which they are taken; `has_vc` [V, C] says which classes a video shows."""
    firsts = np.random.default_rng([seed, 0]).permutation(len(has_vc))
    first = int(firsts[draw % len(firsts)])
    left = [int(place) for place in np.random.default_rng([seed, draw, 0]).permutation(len(has_vc)) if place != first]
    order, covered_c = [first], has_vc[first].astype(bool)
    while left:
        gains = [int((has_vc[place].astype(bool) & ~covered_c).sum()) for place in left]
        place = left.pop(int(np.argmax(gains)))
        order.append(place)
        covered_c = covered_c | has_vc[place].astype(bool)
    return order


def _shots(videos: Sequence[ProbeVideo], shots: int, rng: np.random.Generator, exclusive: bool) -> Picks:
    """From another video each time as long as there is one; a class with fewer seconds gives all that it has."""
    wanted: list[tuple[int, int]] = []
    for column in range(videos[0].truth_nc.shape[1]):
        for value in (1,) if exclusive else (1, 0):
            wanted += _in_turns([np.flatnonzero(video.truth_nc[:, column] == value) for video in videos], rng)[:shots]
    picks: dict[int, set[int]] = {}
    for place, second in wanted:
        picks.setdefault(place, set()).add(second)
    return {place: np.array(sorted(seconds), dtype=np.int64) for place, seconds in sorted(picks.items())}


def _in_turns(seconds_v: Sequence[Ints], rng: np.random.Generator) -> list[tuple[int, int]]:
    """(video, second) in random order, one of each video before a second one of any."""
    shuffled = [rng.permutation(seconds_n) for seconds_n in seconds_v]
    ranked = [
        (turn, float(tie), place, int(second))
        for place, (seconds_n, tie) in enumerate(zip(shuffled, rng.random(len(shuffled)), strict=True))
        for turn, second in enumerate(seconds_n)
    ]
    return [(place, second) for _, _, place, second in sorted(ranked)]
