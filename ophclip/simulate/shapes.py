"""The instruments' outlines. Each is a list of strips along an axis that runs from the tip (x = 0) to the hand.

Lengths are in limbus radii (about 5.8 mm); thin instruments are a little thickened so that they stay visible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ophclip.simulate.language import Instrument
from ophclip.simulate.look import Colour, SiteLook

REACH = 4.0
"""Every handle runs out of the picture."""


class Finish(Enum):
    STEEL = "steel"
    FLAT = "flat"
    CLEAR = "clear"
    FACET = "facet"


@dataclass(frozen=True, slots=True)
class Strip:
    """A band around a centre line: rows of (x along the axis, y of the centre, half width)."""

    profile: tuple[tuple[float, float, float], ...]
    colour: Colour
    finish: Finish = Finish.STEEL

    def points(self) -> NDArray[np.float64]:
        return np.asarray(self.profile, np.float64)


DARK: Colour = (26, 26, 30)
WHITE: Colour = (238, 238, 234)
BARREL: Colour = (196, 208, 216)


def _tube(start: float, end: float, half: float, colour: Colour, finish: Finish = Finish.STEEL) -> Strip:
    return Strip(((start, 0.0, half), (end, 0.0, half)), colour, finish)


def _bent(length: float, half: float, bend: float, colour: Colour) -> Strip:
    """A thin tube whose tip curves off the axis by `bend`."""
    xs = np.linspace(0, length, 8)
    return Strip(tuple((float(x), float(bend * (1 - x / length) ** 2), half) for x in xs), colour)


def _syringe(start: float, half: float, hub: Colour) -> list[Strip]:
    return [
        Strip(((start, 0, 0.06), (start + 0.06, 0, 0.11), (start + 0.3, 0, 0.12)), hub, Finish.STEEL),
        Strip(((start + 0.3, 0, 0.1), (start + 0.42, 0, half), (REACH, 0, half)), BARREL, Finish.CLEAR),
        _tube(start + 0.75, REACH, half * 0.62, (222, 228, 232), Finish.CLEAR),
    ]


def _keratome(look: SiteLook, _: float) -> list[Strip]:
    blade = ((0.0, 0, 0.0), (0.3, 0, 0.21), (0.42, 0, 0.21), (0.66, 0, 0.075))
    return [
        _tube(0.62, 0.95, 0.06, look.metal),
        Strip(blade, (206, 212, 218), Finish.FACET),
        Strip(((0.9, 0, 0.08), (1.05, 0, 0.14), (REACH, 0, 0.15)), look.hubs[Instrument.KERATOME]),
    ]


def _side_port_knife(look: SiteLook, _: float) -> list[Strip]:
    return [
        Strip(((0.0, 0.05, 0.0), (0.34, 0.0, 0.07), (0.5, 0.0, 0.07)), (206, 212, 218), Finish.FACET),
        Strip(((0.46, 0, 0.05), (0.58, 0, 0.11), (REACH, 0, 0.12)), look.hubs[Instrument.SIDE_PORT_KNIFE]),
    ]


def _viscoelastic_cannula(look: SiteLook, _: float) -> list[Strip]:
    return [_bent(0.78, 0.042, 0.06, look.metal), *_syringe(0.74, 0.33, look.hubs[Instrument.VISCOELASTIC_CANNULA])]


def _hydrodissection_cannula(look: SiteLook, _: float) -> list[Strip]:
    hub = look.hubs[Instrument.HYDRODISSECTION_CANNULA]
    return [_bent(0.95, 0.03, 0.16, look.metal), *_syringe(0.93, 0.2, hub)]


def _rycroft_cannula(look: SiteLook, _: float) -> list[Strip]:
    return [_bent(0.62, 0.034, -0.2, look.metal), *_syringe(0.6, 0.18, look.hubs[Instrument.RYCROFT_CANNULA])]


def _cystotome(look: SiteLook, _: float) -> list[Strip]:
    return [
        Strip(((0.0, -0.1, 0.012), (0.02, -0.05, 0.024), (0.03, 0, 0.028)), look.metal),
        _tube(0.02, 0.85, 0.028, look.metal),
        Strip(((0.8, 0, 0.06), (0.9, 0, 0.13), (1.25, 0, 0.13)), look.hubs[Instrument.CYSTOTOME]),
        _tube(1.25, REACH, 0.1, BARREL, Finish.CLEAR),
    ]


def _capsulorhexis_forceps(look: SiteLook, opening: float) -> list[Strip]:
    arms = []
    for sign in (-1.0, 1.0):
        gap = sign * (0.02 + 0.09 * opening)
        arms.append(
            Strip(
                ((0.0, gap * 0.6, 0.02), (0.1, gap + sign * 0.01, 0.028), (0.7, sign * 0.045, 0.035),
                 (1.0, sign * 0.075, 0.06), (REACH, sign * 0.26, 0.09)),
                look.metal,
            )
        )  # fmt: skip
    return [_tube(1.0, REACH, 0.08, (70, 72, 78), Finish.FLAT), *arms]


def _phaco_handpiece(look: SiteLook, _: float) -> list[Strip]:
    sleeve = look.hubs[Instrument.PHACO_HANDPIECE]
    return [
        _tube(0.0, 0.24, 0.062, look.metal),
        _tube(0.0, 0.03, 0.045, DARK, Finish.FLAT),
        Strip(((0.18, 0, 0.085), (0.28, 0, 0.12), (0.95, 0, 0.135), (1.05, 0, 0.2)), sleeve),
        Strip(((1.03, 0, 0.2), (1.15, 0, 0.3), (REACH, 0, 0.36)), (164, 168, 172)),
        _tube(1.22, 1.27, 0.31, sleeve, Finish.FLAT),
    ]


def _irrigation_aspiration(look: SiteLook, _: float) -> list[Strip]:
    sleeve = look.hubs[Instrument.IRRIGATION_ASPIRATION]
    curve = tuple((float(x), float(0.17 * (1 - x / 0.5) ** 2), 0.058) for x in np.linspace(0, 0.5, 7))
    return [
        Strip(((-0.03, 0.18, 0.035), *curve), look.metal),
        Strip(((0.05, 0.13, 0.02), (0.09, 0.115, 0.02)), DARK, Finish.FLAT),
        Strip(((0.4, 0, 0.085), (0.48, 0, 0.105), (0.95, 0, 0.115), (1.1, 0, 0.15)), sleeve),
        Strip(((1.08, 0, 0.15), (1.2, 0, 0.2), (REACH, 0, 0.22)), look.metal),
    ]


def _chopper(look: SiteLook, _: float) -> list[Strip]:
    gold = look.hubs[Instrument.CHOPPER]
    return [
        Strip(((0.0, 0.12, 0.03), (0.01, 0.06, 0.026), (0.03, 0, 0.03)), look.metal),
        _tube(0.02, 0.8, 0.03, look.metal),
        Strip(((0.75, 0, 0.04), (0.9, 0, 0.1), (REACH, 0, 0.11)), gold),
    ]


def _sinskey_hook(look: SiteLook, _: float) -> list[Strip]:
    return [
        Strip(((0.0, -0.06, 0.016), (0.02, 0, 0.022)), look.metal),
        Strip(((0.01, 0, 0.024), (0.45, 0, 0.028), (0.9, 0.1, 0.034)), look.metal),
        Strip(((0.85, 0.09, 0.05), (1.0, 0.12, 0.075), (REACH, 0.3, 0.08)), look.hubs[Instrument.SINSKEY_HOOK]),
    ]


def _lens_injector(look: SiteLook, opening: float) -> list[Strip]:
    cyan = look.hubs[Instrument.LENS_INJECTOR]
    plunger = 1.15 - 1.0 * min(1.0, opening * 1.2)
    return [
        _tube(max(0.12, plunger), REACH, 0.05, (90, 96, 110)),
        Strip(((max(0.1, plunger - 0.35), 0, 0.06), (max(0.2, plunger), 0, 0.075)), (232, 240, 246), Finish.FLAT),
        Strip(
            ((0.0, 0.03, 0.09), (0.12, 0, 0.125), (0.55, 0, 0.15), (0.95, 0, 0.3), (1.2, 0, 0.33)), cyan, Finish.CLEAR
        ),
        Strip(((1.15, 0, 0.33), (1.2, 0, 0.37), (REACH, 0, 0.37)), cyan, Finish.CLEAR),
        _tube(1.15, 1.25, 0.38, cyan),
    ]


def _needle_holder(look: SiteLook, opening: float) -> list[Strip]:
    parts = []
    for sign in (-1.0, 1.0):
        gap = sign * (0.028 + 0.05 * opening)
        parts.append(Strip(((0.0, gap, 0.022), (0.4, sign * 0.05, 0.05), (0.6, sign * 0.04, 0.07)), look.metal))
        parts.append(Strip(((0.6, sign * 0.05, 0.06), (1.0, sign * 0.17, 0.07), (REACH, sign * 0.4, 0.1)), look.metal))
    return [*parts, _tube(0.5, 0.68, 0.12, look.metal)]


def _suture_needle(_: SiteLook, __: float) -> list[Strip]:
    arc = [(0.02 + 0.13 * np.sin(a), -0.13 + 0.13 * np.cos(a)) for a in np.linspace(-2.1, 0.6, 12)]
    return [Strip(tuple((float(x), float(y), 0.016) for x, y in arc), (96, 98, 104))]


def _toothed_forceps(look: SiteLook, opening: float) -> list[Strip]:
    arms = []
    for sign in (-1.0, 1.0):
        gap = sign * (0.035 + 0.06 * opening)
        arms.append(Strip(((0.0, gap, 0.03), (0.06, gap, 0.035), (0.5, sign * 0.08, 0.06),
                           (1.1, sign * 0.13, 0.11), (REACH, sign * 0.2, 0.16)), look.metal))  # fmt: skip
    grip = [_tube(x, x + 0.03, 0.2, (88, 90, 96), Finish.FLAT) for x in (1.15, 1.24, 1.33, 1.42, 1.51)]
    return [*arms, *grip]


def _vannas_scissors(look: SiteLook, opening: float) -> list[Strip]:
    parts = []
    for sign in (-1.0, 1.0):
        tip = sign * (0.01 + 0.15 * opening)
        parts.append(Strip(((0.0, tip, 0.008), (0.2, tip * 0.55, 0.034), (0.42, sign * 0.01, 0.05)), (200, 206, 212)))
        parts.append(Strip(((0.42, sign * 0.02, 0.05), (0.8, sign * (0.13 + 0.06 * opening), 0.06),
                            (1.5, sign * 0.24, 0.1), (REACH, sign * 0.22, 0.12)), look.metal))  # fmt: skip
    return [*parts, _tube(0.4, 0.48, 0.075, DARK)]


def _crescent_knife(look: SiteLook, _: float) -> list[Strip]:
    blade = ((0.0, 0, 0.05), (0.04, 0, 0.11), (0.14, 0, 0.155), (0.26, 0, 0.15), (0.36, 0, 0.09), (0.44, 0, 0.04))
    return [
        Strip(((0.4, 0, 0.04), (0.62, 0, 0.045)), look.metal),
        Strip(blade, (210, 214, 220), Finish.FACET),
        Strip(((0.58, 0, 0.07), (0.7, 0, 0.13), (REACH, 0, 0.14)), look.hubs[Instrument.CRESCENT_KNIFE]),
    ]


def _cautery(look: SiteLook, _: float) -> list[Strip]:
    body = look.hubs[Instrument.CAUTERY]
    return [
        Strip(((0.0, 0, 0.03), (0.2, 0, 0.035)), (214, 180, 110)),
        Strip(((0.18, 0, 0.05), (0.6, 0, 0.08), (1.0, 0, 0.19), (REACH, 0, 0.22)), body),
        _tube(0.62, 0.72, 0.1, DARK, Finish.FLAT),
    ]


def _sponge(_: SiteLook, __: float) -> list[Strip]:
    spear = ((0.0, 0, 0.015), (0.36, 0, 0.2), (0.62, 0, 0.2), (0.66, 0, 0.06))
    return [_tube(0.6, REACH, 0.06, (196, 214, 232)), Strip(spear, WHITE, Finish.FLAT)]


def _trephine(look: SiteLook, opening: float) -> list[Strip]:
    """Seen from above: the blade's ring, four turning spokes, and the tube to the syringe."""
    turn = opening * 2 * np.pi
    ring = [(0.74 * np.cos(a), 0.74 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 40)]
    strips = [_tube(0.7, REACH, 0.06, (210, 206, 190), Finish.CLEAR)]
    for spoke in range(4):
        angle = turn + spoke * np.pi / 2
        ends = [(r * np.cos(angle), r * np.sin(angle)) for r in (0.2, 0.74, 1.02)]
        strips.append(Strip(tuple((float(x), float(y), 0.055) for x, y in ends), look.metal))
    strips.append(Strip(tuple((float(x), float(y), 0.06) for x, y in ring), look.metal))
    hub = [(0.2 * np.cos(a), 0.2 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 24)]
    return [*strips, Strip(tuple((float(x), float(y), 0.045) for x, y in hub), (110, 114, 122))]


def _caliper(look: SiteLook, opening: float) -> list[Strip]:
    legs = []
    for sign in (-1.0, 1.0):
        span = sign * (0.55 + 0.4 * opening)
        legs.append(Strip(((0.0, span, 0.012), (0.22, span, 0.05), (1.5, sign * 0.16, 0.075)), look.metal))
    scale = Strip(((0.72, -0.55, 0.05), (0.72, 0.55, 0.05)), (222, 224, 220), Finish.FLAT)
    return [scale, *legs, _tube(1.4, REACH, 0.2, look.metal)]


SHAPES: dict[Instrument, Callable[[SiteLook, float], list[Strip]]] = {
    Instrument.KERATOME: _keratome,
    Instrument.SIDE_PORT_KNIFE: _side_port_knife,
    Instrument.VISCOELASTIC_CANNULA: _viscoelastic_cannula,
    Instrument.CYSTOTOME: _cystotome,
    Instrument.CAPSULORHEXIS_FORCEPS: _capsulorhexis_forceps,
    Instrument.HYDRODISSECTION_CANNULA: _hydrodissection_cannula,
    Instrument.PHACO_HANDPIECE: _phaco_handpiece,
    Instrument.CHOPPER: _chopper,
    Instrument.IRRIGATION_ASPIRATION: _irrigation_aspiration,
    Instrument.LENS_INJECTOR: _lens_injector,
    Instrument.SINSKEY_HOOK: _sinskey_hook,
    Instrument.RYCROFT_CANNULA: _rycroft_cannula,
    Instrument.NEEDLE_HOLDER: _needle_holder,
    Instrument.SUTURE_NEEDLE: _suture_needle,
    Instrument.TOOTHED_FORCEPS: _toothed_forceps,
    Instrument.VANNAS_SCISSORS: _vannas_scissors,
    Instrument.CRESCENT_KNIFE: _crescent_knife,
    Instrument.CAUTERY: _cautery,
    Instrument.SPONGE: _sponge,
    Instrument.TREPHINE: _trephine,
    Instrument.CALIPER: _caliper,
}
