"""Tissue of trabeculectomy: conjunctiva opened at the limbus, scleral flap, sponge stain, stoma, stitches, bleb."""

from __future__ import annotations

import numpy as np

from ophclip.simulate.eye import Grid, Pixels, grid, mix, step
from ophclip.simulate.language import Verb
from ophclip.simulate.look import EyeLook
from ophclip.simulate.motion import Hands
from ophclip.simulate.paint import Point, arc, ellipse, fill, line, veil
from ophclip.simulate.state import State

FLAP_HALF, FLAP_TOP, FLAP_BOTTOM = 0.28, 1.02, 1.54
NYLON = (24, 22, 40)


def paint_pupil(eye: Pixels, place: Grid, radius: float, brightness: float, patch: Grid) -> None:
    """A natural lens behind a narrow pupil: almost black, with a dull glow."""
    half = (patch.x_hw.shape[0] - 1) // 2
    row, column = (place.x_hw.shape[0] - 1) // 2, (place.x_hw.shape[1] - 1) // 2
    region = eye[row - half : row + half + 1, column - half : column + half + 1]
    mask = step(radius + 0.02, radius - 0.03, patch.radius_hw)
    glow = np.asarray((52, 22, 16), np.float32) * (brightness - 0.4 * patch.y_hw)[..., None]
    region[:] = np.clip(mix(region.astype(np.float32), glow.astype(np.float32), mask), 0, 255).astype(np.uint8)


class FilteringTissue:
    """One eye under filtering surgery; the field is the sclera below the limbus."""

    def __init__(self, rng: np.random.Generator, look: EyeLook, hands: Hands, scale: float) -> None:
        self._look, self._hands = look, hands
        self._pupil_patch = grid(0.5, 0.5, scale)
        self._ragged = rng.normal(0, 0.035, 24)
        self._vessels = [(float(x), float(y), float(r)) for x, y, r in zip(
            rng.uniform(-0.5, 0.5, 7), rng.uniform(1.15, 1.6, 7), rng.normal(0, 0.5, 7), strict=True)]  # fmt: skip

    def paint(self, eye: Pixels, place: Grid, state: State) -> None:
        """Change the eyeball's picture, in place."""
        paint_pupil(eye, place, self._look.pupil_radius, 1.0, self._pupil_patch)
        closed = state.of(Verb.CLOSE_CONJUNCTIVA)
        self._bare_sclera(eye, place, state, closed)
        self._iridectomy(eye, place, state)
        if closed < 1:
            self._flap(eye, place, state)
        if closed > 0:
            self._bleb(eye, place, closed)

    def _bare_sclera(self, eye: Pixels, place: Grid, state: State, closed: float) -> None:
        """The conjunctiva is cut along the limbus and retracts; vessels bleed until they are cauterised."""
        opened = state.of(Verb.OPEN_CONJUNCTIVA)
        if opened <= 0 or closed >= 1:
            return
        start, end = 0.5 * np.pi + 0.62 * self._hands.handed, 0.5 * np.pi + (0.62 - 1.24 * opened) * self._hands.handed
        depth = 0.25 + 0.5 * min(1.0, opened * 1.4)
        upper = arc(1.03, start, end)
        lower = [
            (x * 1.05 * scale, y * scale)
            for (x, y), rag in zip(arc(1.03, end, start), np.resize(self._ragged, len(upper)), strict=True)
            for scale in (1 + (depth + rag) * (1 - (x / 0.9) ** 2) * 0.62,)
        ]
        veil(eye, place, [*upper, *lower], (244, 238, 226), 0.92 * (1 - closed), soft=0.015)
        line(eye, place, lower, (206, 108, 100), 0.045)
        line(eye, place, [(x, y + 0.03) for x, y in lower], (236, 190, 176), 0.03)
        cauterised = state.of(Verb.CAUTERISE)
        for number, (x, y, lean) in enumerate(self._vessels):
            gone = float(np.clip(cauterised * 7 - number, 0, 1))
            if abs(x) < 0.75 * opened:
                run = [(x, y - 0.1), (x + 0.06 * lean, y), (x + 0.02 * lean, y + 0.12)]
                veil(eye, place, ellipse((x, y), 0.07, 0.035, 1.2, 14), (176, 24, 24), 0.75 * (1 - gone), soft=0.015)
                line(eye, place, run, (186, 60, 52) if gone < 0.5 else (196, 176, 150), 0.016)
                veil(eye, place, ellipse((x, y), 0.05, 0.04, 0.3, 12), (146, 118, 88), 0.6 * gone, soft=0.012)

    def _flap(self, eye: Pixels, place: Grid, state: State) -> None:
        """The flap is outlined, lifted toward the cornea, then laid back and stitched."""
        cut = state.of(Verb.DISSECT_FLAP)
        if cut <= 0:
            return
        laid = min(1.0, state.of(Verb.SUTURE_FLAP) * 4)
        corners: list[Point] = [
            (-FLAP_HALF, FLAP_TOP),
            (-FLAP_HALF * 0.94, FLAP_BOTTOM),
            (FLAP_HALF * 0.94, FLAP_BOTTOM),
            (FLAP_HALF, FLAP_TOP),
        ]
        veil(eye, place, corners, (214, 206, 202), 0.85 * min(1.0, cut * 1.5), soft=0.006)
        line(eye, place, corners, (150, 82, 76), 0.022)
        self._stoma(eye, place, state)
        soaked = state.of(Verb.SOAK_MITOMYCIN) if state.now(Verb.SOAK_MITOMYCIN) else 0.0
        veil(eye, place, ellipse((0, 1.34), 0.32, 0.24, 0), (226, 232, 244), 0.4 * soaked, soft=0.05)
        hinge = FLAP_TOP + (FLAP_BOTTOM - FLAP_TOP) * (2 * laid - 1) * min(1.0, cut * 1.2)
        lifted = [(-FLAP_HALF, FLAP_TOP), (-FLAP_HALF * 0.9, hinge), (FLAP_HALF * 0.9, hinge), (FLAP_HALF, FLAP_TOP)]
        if cut > 0.25:
            veil(eye, place, lifted, (252, 246, 236) if laid > 0.5 else (236, 216, 206), 0.93, soft=0.006)
            line(eye, place, lifted, (176, 120, 110), 0.018, closed=True)
        self._stitches(eye, place, state.of(Verb.SUTURE_FLAP))

    def _stoma(self, eye: Pixels, place: Grid, state: State) -> None:
        excised = state.of(Verb.EXCISE_BLOCK)
        if excised > 0.1:
            half = 0.15 * min(1.0, excised * 1.3)
            fill(eye, place, [(-half, 1.04), (-half, 1.17), (half, 1.17), (half, 1.04)], (36, 18, 18))
            line(eye, place, [(-half, 1.17), (half, 1.17)], (190, 60, 54), 0.02)

    def _stitches(self, eye: Pixels, place: Grid, sutured: float) -> None:
        """A stitch at each free corner, the first hand's side first."""
        for number, side in enumerate((self._hands.handed, -self._hands.handed)):
            if sutured > 0.3 + 0.5 * number:
                x, y = side * FLAP_HALF * 0.9, FLAP_BOTTOM
                line(eye, place, [(x * 0.75, y - 0.1), (x * 1.3, y + 0.12)], NYLON, 0.014)
                line(eye, place, [(x * 1.02 - 0.04, y + 0.06), (x * 1.02 + 0.05, y - 0.03)], NYLON, 0.014)

    def _iridectomy(self, eye: Pixels, place: Grid, state: State) -> None:
        cut = state.of(Verb.CUT_IRIS)
        if cut > 0.35:
            notch = [(-0.1, 0.93), (0.0, 0.7), (0.1, 0.93)]
            veil(eye, place, notch, (22, 10, 10), 0.95 * min(1.0, (cut - 0.35) * 3), soft=0.01)

    def _bleb(self, eye: Pixels, place: Grid, closed: float) -> None:
        """The closed conjunctiva is lifted by aqueous: pale, glistening, held by wing sutures."""
        risen = float(np.clip(closed * 1.3 - 0.2, 0, 1))
        veil(eye, place, ellipse((0, 1.34), 0.68, 0.3, 0), (242, 226, 214), 0.72 * risen, soft=0.08)
        veil(eye, place, ellipse((0.06, 1.42), 0.5, 0.12, 0), (216, 180, 168), 0.4 * risen, soft=0.06)
        line(eye, place, arc(0.3, 3.6, 4.6, (-0.1, 1.46)), (255, 255, 252), 0.03 * risen + 0.004)
        for number, side in enumerate((self._hands.handed, -self._hands.handed)):
            if closed > 0.3 + 0.5 * number:
                x = side * 0.6
                line(eye, place, [(x - 0.06, 1.2), (x, 0.96), (x + 0.06, 1.18)], NYLON, 0.014)
