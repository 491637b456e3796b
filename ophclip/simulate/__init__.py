"""A simulated surgical world with exact truth: pictures, narration, titles and labels from one symbolic program."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ophclip.simulate.config import SimulateConfig as SimulateConfig
    from ophclip.simulate.config import Site as Site
    from ophclip.simulate.sheet import contact_sheet as contact_sheet
    from ophclip.simulate.world import World as World
    from ophclip.simulate.world import simulate as simulate

_HOME = {
    "SimulateConfig": "config",
    "Site": "config",
    "World": "world",
    "contact_sheet": "sheet",
    "simulate": "world",
}

__all__ = ["SimulateConfig", "Site", "World", "contact_sheet", "simulate"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
