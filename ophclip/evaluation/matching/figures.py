"""From ranks to figures: pure, so that it can be done again. The video is the unit that is drawn.

Shapes: Q queries, V videos, B drawings of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ophclip.evaluation.intervals import Estimate, Statistic, estimate_statistic, ratio_of_sums
from ophclip.evaluation.matching.ranks import Ranks
from ophclip.evaluation.metrics import Floats, Ints
from ophclip.evaluation.recall import CUTOFFS, chance, chance_median

NARRATION_CLIP = "narration_clip_retrieval"
NARRATION_CLIP_WITHIN = "narration_clip_within_video_retrieval"
TITLE_VIDEO = "title_video_retrieval"
_SAME_WORDS = (
    "samples with the same words are right for each other; the rank is that of the best right one, and of equal scores "
    "the wrong ones come first"
)
RULES: Mapping[str, str] = {
    NARRATION_CLIP: f"narrations and clips of all videos find each other; {_SAME_WORDS}",
    NARRATION_CLIP_WITHIN: "narrations and clips find each other among those of their own video, where it has clips "
    f"with different words; {_SAME_WORDS}",
    TITLE_VIDEO: f"titles and whole videos find each other; {_SAME_WORDS}",
}
"""Every protocol of retrieval with its rule."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MatchingFigures:
    """What one protocol says in both directions: `DIRECTION_recall_at_K` and `DIRECTION_median_rank`."""

    rule: str
    queries: int
    """In each direction."""
    figures: Mapping[str, Estimate]
    chance: Mapping[str, float]
    """The same for candidates in random order."""
    videos: Mapping[str, Mapping[str, float]]
    """Figures by video."""


def protocol_figures(ranks: Sequence[Ranks], *, samples: int, seed: int) -> dict[str, MatchingFigures]:
    """Figures of every protocol, by its name."""
    return {
        name: _figures(name, [one for one in ranks if one.protocol == name], samples, seed)
        for name in dict.fromkeys(one.protocol for one in ranks)
    }


def _figures(name: str, ranks: Sequence[Ranks], samples: int, seed: int) -> MatchingFigures:
    figures, guesses = {}, {}
    names = list(dict.fromkeys(ranks[0].video_ids))
    videos: dict[str, dict[str, float]] = {video_id: {} for video_id in names}
    for one in ranks:
        for figure, statistic in statistics(one, names).items():
            figures[figure] = estimate_statistic(statistic, samples=samples, seed=seed)
            for video_id, value in zip(names, statistic.of(np.arange(len(names))[:, None]), strict=True):
                videos[video_id][figure] = float(value)
        for k in CUTOFFS:
            guesses[recall_name(one.direction, k)] = chance(one.candidates_q, one.right_q, k)
        guesses[median_name(one.direction)] = chance_median(one.candidates_q, one.right_q)
    return MatchingFigures(rule=RULES[name], queries=len(ranks[0].keys), figures=figures, chance=guesses, videos=videos)


def statistics(ranks: Ranks, names: Sequence[str]) -> dict[str, Statistic]:
    """The figures of one direction for any drawing of the videos `names`."""
    places = {name: place for place, name in enumerate(names)}
    video_q = np.array([places[video_id] for video_id in ranks.video_ids], dtype=np.int64)
    totals_v = np.bincount(video_q, minlength=len(names))
    found = {
        recall_name(ranks.direction, k): ratio_of_sums(
            np.bincount(video_q[ranks.rank_q <= k], minlength=len(names)), totals_v
        )
        for k in CUTOFFS
    }
    return {**found, median_name(ranks.direction): _median(ranks.rank_q, video_q, len(names))}


def recall_name(direction: str, k: int) -> str:
    """Name of a figure."""
    return f"{direction}_recall_at_{k}"


def median_name(direction: str) -> str:
    """Name of a figure."""
    return f"{direction}_median_rank"


def _median(rank_q: Ints, video_q: Ints, videos: int) -> Statistic:
    """The median over the queries of the videos drawn, each as often as its video was."""
    order_q = np.argsort(rank_q, kind="stable")
    sorted_q, owner_q = rank_q[order_q], video_q[order_q]

    def of(rows_bv: Ints) -> Floats:
        drawn_bv = np.stack([np.bincount(row, minlength=videos) for row in rows_bv])
        upto_bq = np.cumsum(drawn_bv[:, owner_q], axis=1)
        total_b = upto_bq[:, -1]
        low_b, high_b = (_reached(upto_bq, middle_b) for middle_b in ((total_b - 1) // 2, total_b // 2))
        return np.asarray((sorted_q[low_b] + sorted_q[high_b]) / 2.0)

    return Statistic(videos=videos, of=of)


def _reached(upto_bq: Ints, place_b: Ints) -> Ints:
    """Which query [B] stands at a place of the drawn ones in order."""
    return np.asarray((upto_bq > place_b[:, None]).argmax(axis=1))
