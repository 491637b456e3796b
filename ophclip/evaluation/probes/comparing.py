"""Two probes of the same videos, head by head and budget by budget: the model of the one against that of the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ophclip.evaluation.intervals import Difference, mean_of_cells, mean_of_videos, paired_difference
from ophclip.evaluation.probes.reading import WrittenProbe

_TRAINED = ("seed", "draws")
"""Options that decide which training sets are drawn."""


def probe_differences(one: WrittenProbe, other: WrittenProbe) -> Iterator[tuple[str, str, Difference]]:
    """Protocol, figure with head and budget, and the second minus the first: of the mean over draws, by test video.

    Heads and budgets that only one of them has are left out.

    Raises:
        ValueError: they differ in protocol, videos, labels or training sets, or have no head and budget in common.
    """
    _require_same(one, other)
    theirs = {(line.head, line.budget): line for line in other.own}
    pairs = [(line, theirs[line.head, line.budget]) for line in one.own if (line.head, line.budget) in theirs]
    if not pairs:
        raise _different(one, other, "heads and budgets")
    for line, partner in pairs:
        for name, values in line.values.items():
            both = np.concatenate([values.mean(axis=0), partner.values[name].mean(axis=0)])
            statistic = mean_of_videos(both) if both.ndim == 1 else mean_of_cells(both)
            figure = f"{name}, {line.head}, {line.budget.name}"
            yield one.header.provenance["protocol"], figure, paired_difference(statistic, **one.header.drawn)


def _require_same(one: WrittenProbe, other: WrittenProbe) -> None:
    first, second = one.header, other.header
    values = {
        "protocols": (first.provenance["protocol"], second.provenance["protocol"]),
        "videos or labels (split hash)": (first.provenance["split"]["sha256"], second.provenance["split"]["sha256"]),
        **{f"{name} of training sets": (first.options[name], second.options[name]) for name in _TRAINED},
    }
    for words, (mine, yours) in values.items():
        if mine != yours:
            raise _different(one, other, f"{words}: {mine}, {yours}")
    if one.truth.video_ids != other.truth.video_ids or not np.array_equal(
        one.truth.labels, other.truth.labels, equal_nan=not one.truth.exclusive
    ):
        raise _different(one, other, "truth by second; were the videos cut or encoded anew?")


def _different(one: WrittenProbe, other: WrittenProbe, reason: str) -> ValueError:
    return ValueError(f"{one.path} and {other.path} cannot be compared: different {reason}; probe both in the same way")
