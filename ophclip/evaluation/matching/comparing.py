"""Two results of retrieval on the same samples, figure by figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ophclip.evaluation.intervals import Difference, paired_difference
from ophclip.evaluation.matching.figures import statistics
from ophclip.evaluation.matching.ranks import Ranks
from ophclip.evaluation.matching.records import WrittenMatching

_SAME = {
    "protocol": "protocols",
    "split_sha256": "samples or words (split hash)",
    "clip_frames": "pictures of a clip",
    "video_frames": "pictures of a video",
}


def matching_differences(one: WrittenMatching, other: WrittenMatching) -> Iterator[tuple[str, str, Difference]]:
    """Protocol, figure, and the second minus the first, videos drawn as the bootstrap of the first says.

    Raises:
        ValueError: they are not of the same samples and words, seen in the same way.
    """
    for field, words in _SAME.items():
        values = getattr(one.provenance, field), getattr(other.provenance, field)
        if values[0] != values[1]:
            raise _different(one, other, f"{words}: {values[0]}, {values[1]}")
    theirs = {(ranks.protocol, ranks.direction): ranks for ranks in other.ranks}
    for ranks in one.ranks:
        partner = theirs.get((ranks.protocol, ranks.direction))
        if partner is None or partner.keys != ranks.keys:
            raise _different(one, other, f"samples of {ranks.protocol}")
        for name, difference in _differences(ranks, partner, one):
            yield ranks.protocol, name, difference


def _differences(first: Ranks, second: Ranks, result: WrittenMatching) -> Iterator[tuple[str, Difference]]:
    """The videos of one result followed by those of the other, in the same order."""
    names = sorted(set(first.video_ids))
    both = replace(
        first,
        keys=(*first.keys, *second.keys),
        video_ids=(*(f"1{name}" for name in first.video_ids), *(f"2{name}" for name in second.video_ids)),
        rank_q=np.concatenate([first.rank_q, second.rank_q]),
        right_q=np.concatenate([first.right_q, second.right_q]),
        candidates_q=np.concatenate([first.candidates_q, second.candidates_q]),
    )
    drawn = {"samples": result.provenance.bootstrap_samples, "seed": result.provenance.seed}
    for name, statistic in statistics(both, [side + name for side in "12" for name in names]).items():
        yield name, paired_difference(statistic, **drawn)


def _different(one: WrittenMatching, other: WrittenMatching, reason: str) -> ValueError:
    return ValueError(
        f"{one.path} and {other.path} cannot be compared: different {reason}; evaluate both in the same way"
    )
