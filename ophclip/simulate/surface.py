"""What happens on the eye's surface in every procedure: wounds, blood, prolapse, hydrated stroma, fluid, bubbles."""

from __future__ import annotations

import numpy as np

from ophclip.simulate.eye import Grid, Pixels
from ophclip.simulate.language import Verb
from ophclip.simulate.motion import Hands
from ophclip.simulate.paint import Point, arc, at, bubble, ellipse, line, veil
from ophclip.simulate.state import State

WET = (Verb.HYDRODISSECT, Verb.SCULPT, Verb.CRACK, Verb.ASPIRATE_CORTEX, Verb.HYDRATE, Verb.REFORM_CHAMBER)


class Surface:
    """One eye's surface changes."""

    def __init__(self, rng: np.random.Generator, hands: Hands) -> None:
        self._hands = hands
        self._streaks = [(float(a), float(r), float(s)) for a, r, s in zip(
            rng.normal(0, 0.25, 6), rng.uniform(1.08, 1.4, 6), rng.uniform(0.05, 0.14, 6), strict=True)]  # fmt: skip
        self._bubbles = [(float(x), float(y), float(s)) for x, y, s in zip(
            rng.uniform(-1.1, 1.1, 5), rng.uniform(1.12, 1.3, 5), rng.uniform(0.04, 0.09, 5), strict=True)]  # fmt: skip
        self._petechiae = [at(float(r), float(a)) for r, a in zip(
            rng.uniform(1.1, 1.9, 4), rng.uniform(0, 6.28, 4), strict=True)]  # fmt: skip

    def paint(self, eye: Pixels, place: Grid, state: State) -> None:
        """Change the eyeball's picture, in place."""
        self._wounds(eye, place, state)
        self._blood(eye, place, state)
        self._hydration(eye, place, state)
        self._steroid(eye, place, state)
        wet = max(state.of(verb) for verb in WET)
        for number, (x, y, size) in enumerate(self._bubbles[: round(5 * min(1.0, wet))]):
            bubble(eye, place, (x + 0.03 * float(np.sin(state.seconds * 0.4 + number)), y), size)

    def _wounds(self, eye: Pixels, place: Grid, state: State) -> None:
        for verb, angle, half in (
            (Verb.CUT_MAIN_WOUND, self._hands.main, 0.2),
            (Verb.CUT_SIDE_PORT, self._hands.side, 0.08),
        ):
            if state.of(verb) > 0.3:
                line(eye, place, arc(0.97, angle - half, angle + half), (120, 104, 96), 0.014)
                line(eye, place, arc(0.93, angle - half * 0.9, angle + half * 0.9), (206, 206, 204), 0.012)

    def _blood(self, eye: Pixels, place: Grid, state: State) -> None:
        if state.prolapse > 0.02:
            bulge = ellipse(at(1.0, self._hands.main), 0.1 * state.prolapse + 0.03, 0.13, self._hands.main, 20)
            veil(eye, place, bulge, (70, 46, 34), 0.9 * state.prolapse, soft=0.012)
        if state.of(Verb.CUT_MAIN_WOUND) > 0.5:
            for x, y in self._petechiae[:2]:
                veil(eye, place, ellipse((x, y), 0.09, 0.04, x * 5, 14), (170, 26, 24), 0.5, soft=0.02)
        if state.bleeding <= 0.02:
            return
        open_site = state.of(Verb.OPEN_CONJUNCTIVA) > 0
        middle: float = np.pi / 2 if open_site else self._hands.main
        for turn, radius, size in self._streaks:
            spot = at(radius, middle + turn * 1.6)
            flow = 1.0 + 1.2 * state.bleeding
            veil(eye, place, ellipse(spot, size * flow, size * 0.6, middle + turn, 20), (150, 14, 16),
                 0.85 * state.bleeding, soft=0.025)  # fmt: skip

    def _hydration(self, eye: Pixels, place: Grid, state: State) -> None:
        """Stroma swollen with fluid is white beside the wound."""
        swollen = state.of(Verb.HYDRATE)
        for side, strength in ((-0.24, min(1.0, swollen * 3)), (0.24, float(np.clip(swollen * 3 - 1, 0, 1)))):
            spot = at(0.9, self._hands.main + side)
            patch = ellipse(spot, 0.11, 0.15, self._hands.main, 20)
            veil(eye, place, patch, (232, 234, 232), 0.62 * strength, soft=0.04)

    def _steroid(self, eye: Pixels, place: Grid, state: State) -> None:
        """The injected depot lifts the conjunctiva."""
        given = state.of(Verb.INJECT_STEROID)
        if given <= 0:
            return
        centre: Point = (-self._hands.handed * 1.3, 0.62)
        veil(
            eye, place, ellipse(centre, 0.32 * given + 0.05, 0.24 * given + 0.04, 0.4), (246, 240, 226), 0.7, soft=0.06
        )
        line(eye, place, arc(0.22 * given, 3.4, 5.0, centre), (255, 255, 250), 0.02)
