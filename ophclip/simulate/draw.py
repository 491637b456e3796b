"""How chance enters: independent named streams, so that adding a draw in one place moves nothing elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


def stream(seed: int, *names: object) -> np.random.Generator:
    """A generator that depends on the seed and the names alone."""
    digest = hashlib.sha256(repr((seed, *map(str, names))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


def pick(rng: np.random.Generator, options: Sequence[Choice]) -> Choice:
    return options[int(rng.integers(len(options)))]


def weighted(rng: np.random.Generator, options: Sequence[tuple[Choice, float]]) -> Choice:
    weights = np.array([weight for _, weight in options])
    return options[int(rng.choice(len(options), p=weights / weights.sum()))][0]
