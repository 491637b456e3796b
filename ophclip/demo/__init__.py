"""The whole pipeline in one command, ending in a page that a person reads with pleasure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ophclip.demo.run import run_demo as run_demo

__all__ = ["run_demo"]


def __getattr__(name: str) -> object:
    if name != "run_demo":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ophclip.demo.run import run_demo

    return run_demo
