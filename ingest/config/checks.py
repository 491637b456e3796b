"""How a bad option is told: its dotted name, what was found, what was expected."""

from __future__ import annotations


def require(holds: bool, option: str, found: object, expected: str) -> None:
    """Raise ValueError in one line unless `holds`."""
    if not holds:
        raise ValueError(f"{option}: {found!r} given, expected {expected}")
