"""Peer and product in turn, and the line of JSON that a benchmark prints for each comparison."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

PAIRS = 5


def cost_ratios(
    product: Callable[[], object],
    peer: Callable[[], object],
    clock: Callable[[], float] = time.process_time,
    pairs: int = PAIRS,
) -> list[float]:
    """Seconds of the product over those of the peer, pair by pair, after one warm-up of each."""
    return told_ratios(partial(_seconds, product, clock), partial(_seconds, peer, clock), pairs)


def told_ratios(product: Callable[[], float], peer: Callable[[], float], pairs: int = PAIRS) -> list[float]:
    """The same where each tells its seconds itself, since not all of what it does is to be counted."""
    product(), peer()
    return [product() / peer() for _ in range(pairs)]


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    work()
    return clock() - began


def tell(name: str, ratios: Sequence[float], *, most: float | None = None, least: float | None = None) -> None:
    """Print the median of the ratios against its goal: at most `most`, or at least `least`; none without either."""
    ratio = statistics.median(ratios)
    goal = f"<= {most}" if most is not None else f">= {least}" if least is not None else ""
    met = (most is None or ratio <= most) and (least is None or ratio >= least) if goal else None
    figures = {"ratio": ratio, "min": min(ratios), "max": max(ratios)}
    rounded = {key: round(value, 3) for key, value in figures.items()}
    print(json.dumps({"name": name, **rounded, "goal": goal, "met": met}), flush=True)
