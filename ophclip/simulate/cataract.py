"""Tissue of cataract surgery: red reflex, capsule, nucleus, cortex, implant, painted inside the pupil."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ophclip.simulate.eye import Floats, Grid, Pixels, grid, mix, noise, polar_noise, step
from ophclip.simulate.language import Verb
from ophclip.simulate.look import Colour, EyeLook
from ophclip.simulate.motion import Hands, dial_angle, tear_angle
from ophclip.simulate.paint import arc, at, bubble, ellipse, line, veil
from ophclip.simulate.state import State

PATCH_RADIUS = 0.78


class CataractTissue:
    """Textures of one lens, and how they look in any state."""

    def __init__(self, rng: np.random.Generator, look: EyeLook, hands: Hands, scale: float) -> None:
        self._look, self._hands = look, hands
        self._place = place = grid(PATCH_RADIUS, PATCH_RADIUS, scale)
        height, width = place.x_hw.shape
        self._cloud = 0.5 + 0.2 * noise(rng, height, width, scale * 0.22)
        self._wisps = np.clip(0.55 + 0.4 * polar_noise(rng, place, 46, 3), 0, 1)
        self._grain = noise(rng, height, width, scale * 0.07)
        self._quadrants = _quadrants(place, hands.main)
        self._order = rng.permutation(4)
        self._bubbles = [(float(r), float(a), float(s)) for r, a, s in zip(
            rng.uniform(0.1, 0.5, 5), rng.uniform(0, 6.28, 5), rng.uniform(0.025, 0.06, 5), strict=True)]  # fmt: skip
        wobble = 0.012 * polar_noise(rng, place, 9, 2)
        self._pupil = step(look.pupil_radius + 0.02, look.pupil_radius - 0.03, place.radius_hw + wobble)
        self._reflex = self._red_reflex(look.reflex)

    def _red_reflex(self, colour: Colour) -> Floats:
        place = self._place
        glow = 1.12 - 0.5 * step(0.0, 0.75, place.radius_hw) - 0.38 * place.y_hw
        reflex = np.asarray(colour, np.float32) * glow[..., None]
        bright = step(0.62, 0.3, np.hypot(place.x_hw * 0.8, place.y_hw + 0.55))
        reflex = mix(reflex.astype(np.float32), (255, 176, 84), 0.5 * bright)
        return np.asarray(reflex * (1 + 0.02 * self._grain[..., None]), np.float32)

    def paint(self, eye: Pixels, place: Grid, state: State) -> None:
        """Lay the pupil's contents over the eyeball, in place."""
        inside = self._capsule(self._nucleus(self._cortex(self._reflex, state), state), state)
        picture = np.clip(inside, 0, 255).astype(np.uint8)
        self._fluid_wave(picture, state)
        self._edge(picture, state)
        self._implant(picture, state)
        self._bubble(picture, state)
        half = (self._place.x_hw.shape[0] - 1) // 2
        row, column = (place.x_hw.shape[0] - 1) // 2, (place.x_hw.shape[1] - 1) // 2
        region = eye[row - half : row + half + 1, column - half : column + half + 1]
        region[:] = (region + (picture - region.astype(np.float32)) * self._pupil[..., None]).astype(np.uint8)

    def _cortex(self, inside: Floats, state: State) -> Floats:
        """A veil in front of the reflex; aspiration clears it sector by sector, polishing takes the last film."""
        phaco, cleaned = state.of(Verb.REMOVE_FRAGMENTS), state.of(Verb.ASPIRATE_CORTEX)
        turned = np.mod(self._place.angle_hw - self._hands.main - 0.6, 2 * np.pi) / (2 * np.pi)
        left = step(-0.04, 0.04, turned - cleaned * 1.05 + 0.02) if cleaned > 0 else 1.0
        ring = step(0.22, 0.42, self._place.radius_hw)
        shell = (0.35 + 0.4 * self._look.haze) * self._wisps * (0.35 + 0.65 * ring) * left
        inside = mix(inside, (216, 196, 172), np.asarray(shell * (0.85 if phaco > 0 else 0.45), np.float32))
        film = 0.2 * (1 - state.of(Verb.POLISH)) * (1 - state.of(Verb.INJECT_LENS)) * step(0.35, 0.7, self._cloud)
        return mix(inside, (226, 206, 190), np.asarray(film, np.float32))

    def _nucleus(self, inside: Floats, state: State) -> Floats:
        """A cloudy disc that is grooved, cracked into quadrants that drift apart, and eaten one by one."""
        removed = state.of(Verb.REMOVE_FRAGMENTS)
        if removed >= 1:
            return inside
        place = self._place
        spin = 1.2 * state.of(Verb.ROTATE_NUCLEUS)
        grooved, cracked = state.of(Verb.SCULPT), state.of(Verb.CRACK)
        body = step(0.56, 0.44, place.radius_hw + 0.03 * self._grain)
        density = body * (0.4 + 0.55 * self._look.haze) * (0.84 + 0.3 * self._cloud)
        if removed > 0 or cracked > 0:
            density = density * self._pieces(removed)
        cross = np.minimum(*(np.abs(axis) for axis in _axes(place, self._hands.main + spin)))
        width = 0.06 + 0.03 * cracked
        groove = max(0.85 * min(1.0, grooved * 1.3), cracked) * step(width, width * 0.35, cross)
        reach = step(0.52, 0.38, place.radius_hw) if cracked < 0.3 else 1.0
        density = density * (1 - groove * reach * (0.8 + 0.2 * cracked))
        shade = 1 + 0.12 * self._grain - 0.25 * step(0.1, 0.5, place.radius_hw)
        colour: NDArray[np.floating[Any]] = np.asarray(self._look.lens, np.float32) * shade[..., None]
        rim = groove * (1 - groove) * 4 if grooved + cracked > 0 else 0.0
        colour = colour * (1 + 0.16 * np.asarray(rim)[..., None])
        return mix(inside, colour.astype(np.float32), np.clip(density, 0, 0.97))

    def _pieces(self, removed: float) -> Floats:
        """How much of each quadrant is left: the current one shrinks toward the middle."""
        left = np.zeros_like(self._place.x_hw)
        for turn, quadrant in enumerate(self._order):
            eaten = float(np.clip(removed * 4 - turn, 0, 1))
            limit = 0.62 * (1 - eaten)
            left += self._quadrants[quadrant] * step(limit, limit - 0.06, self._place.radius_hw) * float(eaten < 1)
        return np.minimum(left, 1)

    def _fluid_wave(self, picture: Pixels, state: State) -> None:
        """The bright front that runs behind the lens during hydrodissection."""
        if not state.now(Verb.HYDRODISSECT):
            return
        front = -0.7 + 1.5 * ((state.share * 2.5) % 1.0)
        x, y = at(1.0, self._hands.main)
        along = -(self._place.x_hw * x + self._place.y_hw * y) - 0.3 * self._place.radius_hw**2
        wave = np.asarray(0.55 * np.exp(-(((along - front) / 0.06) ** 2)), np.float32)
        picture[:] = mix(picture.astype(np.float32), (255, 226, 180), wave).astype(np.uint8)

    def _capsule(self, inside: Floats, state: State) -> Floats:
        """The anterior capsule's sheen, its blue stain, and the clear window once the rhexis is done."""
        torn = state.of(Verb.TEAR_CAPSULE)
        stained = state.of(Verb.STAIN_CAPSULE) if self._look.stained else 0.0
        window = step(self._hands.rhexis_radius - 0.02, self._hands.rhexis_radius + 0.01, self._place.radius_hw)
        turned = np.mod(self._place.angle_hw - tear_angle(0, self._hands), 2 * np.pi) / (2 * np.pi)
        opened = (1 - window) * (turned < torn)
        cover = (1 - opened) * (1 - 0.6 * state.of(Verb.INJECT_LENS))
        inside = mix(inside, (206, 196, 196), np.asarray(0.1 * cover, np.float32))
        return mix(inside, (44, 70, 176), np.asarray(0.5 * stained * cover, np.float32))

    def _edge(self, picture: Pixels, state: State) -> None:
        """The torn edge grows along the circle, with the flap folded over behind it."""
        torn, start = state.of(Verb.TEAR_CAPSULE), tear_angle(0, self._hands)
        radius = self._hands.rhexis_radius
        if state.of(Verb.PUNCTURE_CAPSULE) > 0 and torn < 1:
            grown = max(torn, 0.0)
            tip = tear_angle(grown, self._hands)
            root = at(radius * (0.25 + 0.5 * (1 - state.of(Verb.PUNCTURE_CAPSULE))), start)
            fold = [at(radius, tip), at(radius * 0.55, tip - 0.55), at(radius * 0.5, tip - 1.1), root]
            veil(picture, self._place, [*fold, *arc(radius * 0.93, max(start, tip - 1.3), tip)], (236, 214, 200), 0.45)
            line(picture, self._place, [at(0.02, start), at(radius, start)], (250, 224, 196), 0.014)
        if torn > 0:
            colour = (66, 92, 180) if self._look.stained else (252, 222, 190)
            edge = arc(radius, start, tear_angle(torn, self._hands))
            line(picture, self._place, arc(radius + 0.025, start, tear_angle(torn, self._hands)), (120, 44, 22), 0.014)
            line(picture, self._place, edge, colour, 0.014 if torn >= 1 else 0.028)

    def _implant(self, picture: Pixels, state: State) -> None:
        """The lens leaves the cartridge folded, opens, and lies in the bag with its two haptics."""
        share = float(np.clip((state.of(Verb.INJECT_LENS) - 0.3) / 0.7, 0, 1))
        if share <= 0:
            return
        unfolded = share**1.5
        centre = at(0.45 * (1 - share) ** 2, self._hands.main)
        turn = dial_angle(state.of(Verb.DIAL_LENS), self._hands)
        long, short = 0.47, 0.47 * (0.22 + 0.78 * unfolded)
        optic = ellipse(centre, long, short, self._hands.main)
        veil(picture, self._place, optic, (236, 222, 224), 0.34 - 0.24 * unfolded)
        line(picture, self._place, ellipse(centre, long + 0.012, short + 0.012, self._hands.main), (92, 34, 26), 0.014)
        line(picture, self._place, [*optic, optic[0]], (255, 236, 206), 0.014)
        for side in (0.0, np.pi):
            root, reach = turn + side, 0.47 + 0.2 * unfolded
            curve = [at(0.46 + (reach - 0.46) * s**0.6, root + 1.15 * s * unfolded) for s in np.linspace(0, 1, 8)]
            haptic = [(centre[0] + x, centre[1] + y) for x, y in curve]
            line(picture, self._place, haptic, (86, 120, 196), 0.026)
        shine = [(centre[0] + x, centre[1] + y) for x, y in arc(0.36, 3.7, 4.7)]
        line(picture, self._place, shine, (255, 250, 240), 0.014)

    def _bubble(self, picture: Pixels, state: State) -> None:
        """Air bubbles stand in the viscoelastic until it is washed out."""
        filled = max(state.of(Verb.FILL_CHAMBER), 0.0) * (1 - state.of(Verb.CRACK))
        filled = max(filled, state.of(Verb.FILL_BAG)) * (1 - state.of(Verb.ASPIRATE_VISCOELASTIC))
        for number, (radius, angle, size) in enumerate(self._bubbles[: round(5 * filled)]):
            drift = 0.05 * np.sin(state.seconds * 0.7 + number)
            x, y = at(radius + drift, angle + 0.1 * drift)
            bubble(picture, self._place, (x, y), size)


def _axes(place: Grid, angle: float) -> tuple[Floats, Floats]:
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return place.x_hw * c + place.y_hw * s, place.y_hw * c - place.x_hw * s


def _quadrants(place: Grid, angle: float) -> list[Floats]:
    along, across = _axes(place, angle)
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return [((along * a > 0) & (across * b > 0)).astype(np.float32) for a, b in signs]
