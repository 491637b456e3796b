"""Figures of a result's tree as text, numbers and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophclip.evaluation.intervals import Estimate
from ophclip.evaluation.report.page import Card

Figure = Mapping[str, Any]
"""`mean`, `sd`, `low`, `high`; null is undefined."""


def figure_text(figure: Figure) -> str:
    """A figure with its 95 % interval, which needs more than one video."""
    if figure["mean"] is None:
        return "not defined"
    if figure["low"] is None:
        return f"{figure['mean']:.3f} (one video)"
    return f"{figure['mean']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def value_text(value: float | None) -> str:
    """A single value of a video."""
    return "not defined" if value is None else f"{value:.3f}"


def interval_cells(figure: Figure) -> tuple[str, str, str]:
    """Mean and bounds as cells; what is undefined is empty."""
    mean, low, high = ("" if figure[name] is None else f"{figure[name]:.4f}" for name in ("mean", "low", "high"))
    return mean, low, high


def as_estimate(figure: Figure) -> Estimate:
    """The record that the pictures take."""
    return Estimate(
        **{name: float("nan" if figure[name] is None else figure[name]) for name in ("mean", "sd", "low", "high")}
    )


def estimate_card(label: str, figure: Figure, note: str) -> Card:
    """A headline figure with its interval."""
    interval = "no interval" if figure["low"] is None else f"95 % [{figure['low']:.3f}, {figure['high']:.3f}]"
    return Card(label=label, value=value_text(figure["mean"]), note=f"{interval} · {note}")


def mean_of(cells: Mapping[str, float | None]) -> float | None:
    """The mean of what is defined."""
    known = [value for value in cells.values() if value is not None]
    return sum(known) / len(known) if known else None


def chosen_videos(values: Mapping[str, float | None]) -> dict[str, str]:
    """The first, best, middle and worst video by their figure, and what they are in words."""
    known = {name: value for name, value in values.items() if value is not None}
    places = {"first": next(iter(values))}
    if ordered := sorted(known, key=lambda name: (known[name], name)):
        places.update(best=ordered[-1], middle=ordered[len(ordered) // 2], worst=ordered[0])
    words: dict[str, list[str]] = {}
    for word, name in places.items():
        words.setdefault(name, []).append(word)
    return {name: " and ".join(given) for name, given in words.items()}
