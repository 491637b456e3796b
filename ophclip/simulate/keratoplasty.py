"""Tissue of penetrating keratoplasty: scarred cornea, trephine cut, open eye, donor graft, radial sutures."""

from __future__ import annotations

import numpy as np

from ophclip.simulate.eye import Floats, Grid, Pixels, grid, mix, noise, step
from ophclip.simulate.glaucoma import NYLON, paint_pupil
from ophclip.simulate.language import Verb
from ophclip.simulate.look import EyeLook
from ophclip.simulate.motion import Hands, button_angle, graft_centre
from ophclip.simulate.paint import Point, arc, at, bubble, ellipse, line, veil
from ophclip.simulate.state import State

BED = 0.68
SUTURES = 16


class GraftTissue:
    """One eye that gets a new cornea; a fixation ring is sewn on from the start."""

    def __init__(self, rng: np.random.Generator, look: EyeLook, hands: Hands, scale: float) -> None:
        self._look, self._hands = look, hands
        self._patch = grid(1.02, 1.02, scale)
        self._pupil_patch = grid(0.5, 0.5, scale)
        height, width = self._patch.x_hw.shape
        cloud = 0.62 + 0.3 * noise(rng, height, width, scale * 0.3) + 0.12 * noise(rng, height, width, scale * 0.08)
        centre = np.hypot(self._patch.x_hw - rng.normal(0, 0.12), self._patch.y_hw - rng.normal(0, 0.12))
        scar = np.clip(cloud, 0.2, 1) * step(0.98, 0.45, centre.astype(np.float32))
        self._scar: Floats = np.asarray(scar * look.cornea_haze, np.float32)
        self._outside_bed = step(BED - 0.02, BED + 0.02, self._patch.radius_hw)
        self._turn = float(rng.uniform(0, 0.3))

    def paint(self, eye: Pixels, place: Grid, state: State) -> None:
        """Change the eyeball's picture, in place."""
        excised, placed = state.of(Verb.EXCISE_BUTTON), state.of(Verb.PLACE_GRAFT)
        paint_pupil(eye, place, self._look.pupil_radius, 0.8 + 0.5 * (excised >= 1), self._pupil_patch)
        self._opacity(eye, place, removed=excised >= 0.97)
        self._ring(eye, place)
        self._mark(eye, place, state)
        self._cut(eye, place, state)
        if placed > 0:
            self._graft(eye, place, graft_centre(placed, self._hands))
        self._sutures(eye, place, state.of(Verb.SUTURE_GRAFT))
        if state.of(Verb.REFORM_CHAMBER) > 0.3:
            bubble(eye, place, (-0.2, -0.3), 0.14)

    def _opacity(self, eye: Pixels, place: Grid, *, removed: bool) -> None:
        half = (self._patch.x_hw.shape[0] - 1) // 2
        row, column = (place.x_hw.shape[0] - 1) // 2, (place.x_hw.shape[1] - 1) // 2
        region = eye[row - half : row + half + 1, column - half : column + half + 1]
        scar = self._scar * self._outside_bed if removed else self._scar
        region[:] = mix(region.astype(np.float32), (198, 204, 204), scar).astype(np.uint8)

    def _ring(self, eye: Pixels, place: Grid) -> None:
        """The Flieringa ring, with its four episcleral stitches."""
        circle = ellipse((0, 0), 1.36, 1.36, 0, 60)
        line(eye, place, circle, (66, 68, 74), 0.06, closed=True)
        line(eye, place, circle, (182, 186, 192), 0.03, closed=True)
        for angle in (0.6, 2.3, 3.9, 5.4):
            line(eye, place, [at(1.26, angle), at(1.47, angle)], NYLON, 0.018)

    def _mark(self, eye: Pixels, place: Grid, state: State) -> None:
        """Ink from the marker after measuring: centre and meridians."""
        shown = state.of(Verb.MEASURE) * (1 - state.of(Verb.PLACE_GRAFT))
        if shown > 0.5:
            for angle in np.arange(8) * np.pi / 4 + self._turn:
                line(eye, place, [at(0.74, angle), at(0.9, angle)], (78, 60, 150), 0.018)

    def _cut(self, eye: Pixels, place: Grid, state: State) -> None:
        """The trephine's groove; then the button comes off along it and the eye is open."""
        trephined, excised, placed = state.of(Verb.TREPHINE), state.of(Verb.EXCISE_BUTTON), state.of(Verb.PLACE_GRAFT)
        if trephined > 0.5:
            line(eye, place, ellipse((0, 0), BED, BED, 0, 60), (96, 84, 80), 0.02, closed=True)
            line(eye, place, ellipse((0, 0), BED + 0.03, BED + 0.03, 0, 60), (224, 226, 226), 0.014, closed=True)
        if excised > 0 and placed < 1:
            start = button_angle(0, self._hands)
            line(eye, place, arc(BED, start, button_angle(excised, self._hands)), (46, 18, 16), 0.045)
            line(eye, place, arc(BED + 0.05, start, button_angle(excised, self._hands)), (206, 150, 140), 0.02)
        filled = state.of(Verb.FILL_CHAMBER) * (1 - placed)
        if filled > 0:
            veil(eye, place, ellipse((0, 0.04), 0.6, 0.56, 0), (226, 232, 236), 0.16 * filled, soft=0.05)
            line(eye, place, arc(0.5, 3.5, 4.9), (255, 255, 252), 0.03)

    def _graft(self, eye: Pixels, place: Grid, centre: Point) -> None:
        """A clear button: seen by its edge and its sheen."""
        veil(eye, place, ellipse(centre, BED, BED, 0, 48), (196, 208, 216), 0.2, soft=0.01)
        line(eye, place, ellipse(centre, BED, BED, 0, 60), (232, 236, 238), 0.03, closed=True)
        line(eye, place, ellipse(centre, BED + 0.025, BED + 0.025, 0, 60), (104, 92, 88), 0.016, closed=True)
        line(eye, place, arc(0.5, 3.6, 4.7, centre), (250, 252, 252), 0.024)

    def _sutures(self, eye: Pixels, place: Grid, sutured: float) -> None:
        """Interrupted radial stitches, cardinal ones first."""
        order = sorted(range(SUTURES), key=lambda k: (k % 4 != 0, k % 2 != 0, k))
        for k in order[: round(sutured * SUTURES)]:
            angle = self._hands.right + 0.3 + k * 2 * np.pi / SUTURES
            line(eye, place, [at(BED - 0.17, angle), at(BED + 0.17, angle)], NYLON, 0.016)
            line(eye, place, [at(BED + 0.1, angle - 0.03), at(BED + 0.12, angle + 0.03)], NYLON, 0.02)
