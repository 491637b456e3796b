"""One video's picture at any second: eyeball, tissue, instruments, lids, lamp, camera."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ophclip.simulate.camera import Camera, Moment
from ophclip.simulate.cataract import CataractTissue
from ophclip.simulate.eye import Floats, Grid, Pixels, eyeball, lids
from ophclip.simulate.glaucoma import FilteringTissue
from ophclip.simulate.keratoplasty import GraftTissue
from ophclip.simulate.language import Instrument, Procedure, Program, Verb
from ophclip.simulate.look import LOOKS, EyeLook, eye_look
from ophclip.simulate.motion import Hands
from ophclip.simulate.state import State, Timeline
from ophclip.simulate.surface import Surface
from ophclip.simulate.tools import View, box, draw, silhouette

SHADOW = 0.4
COARSE = 4
"""Shadows are soft: they are drawn at this fraction of the picture's size."""


HALF = 128
"""A pixel that is covered so much, of 255, counts as covered."""


class Anatomy(IntEnum):
    """What lies behind the instruments."""

    PUPIL = 0
    IRIS = 1
    WHITE = 2
    """Outside the limbus."""
    LID = 3
    """Lids, drape and speculum."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An instrument that can be seen at one second, and its box (x0, y0, x1, y1) in pixels."""

    instrument: Instrument
    box: tuple[float, float, float, float]


class Tissue(Protocol):
    """What one kind of operation changes in the eye."""

    def __init__(self, rng: np.random.Generator, look: EyeLook, hands: Hands, scale: float) -> None: ...

    def paint(self, eye: Pixels, place: Grid, state: State) -> None: ...


TISSUES: dict[Procedure, type[Tissue]] = {
    Procedure.PHACO: CataractTissue,
    Procedure.TRABECULECTOMY: FilteringTissue,
    Procedure.KERATOPLASTY: GraftTissue,
}


class Scene:
    """Everything that is drawn once per video, and `render` for each frame of it."""

    def __init__(self, program: Program, rng: np.random.Generator, width: int, height: int) -> None:
        self._name = program.site
        self.site = LOOKS[program.site]
        self.look = eye_look(program, rng)
        self.width, self.height = width, height
        self._scale = self.site.limbus_share * height * self.look.zoom
        self.timeline = Timeline(program, min(0.44, self.look.pupil_radius * 0.82))
        self._eye, self._place = eyeball(rng, self.look, self._scale)
        self._lids, self._eye_share = _layers(*lids(rng, self.look, self.site, self._place))
        self._camera = Camera(rng, self.site, width, height, program.duration_seconds)
        self._tissue = TISSUES[program.procedure](rng, self.look, self.timeline.hands, self._scale)
        self._surface = Surface(rng, self.timeline.hands)
        self._painted = self._eye
        self._painted_state: State | None = None

    def render(self, seconds: float) -> Pixels:
        """The frame at `seconds`: (height, width, RGB), uint8."""
        state, moment = self.timeline.state(seconds), self._camera.moment(seconds)
        view = self._view(moment)
        eye = self._turned(self._paint(state.coarse()), moment)
        canvas = cv2.add(cv2.multiply(eye, self._eye_share, scale=1 / 255), self._lids)
        size = (self.width, self.height)
        warped = cv2.warpAffine(canvas, self._matrix(moment), size, borderMode=cv2.BORDER_REPLICATE)
        frame = np.asarray(warped, np.uint8)
        self._instruments(frame, state, view)
        self._reflexes(frame, state, view)
        return self._camera.expose(frame, moment)

    def _paint(self, state: State) -> Pixels:
        """The eyeball in this state; kept until the state changes visibly."""
        if state != self._painted_state:
            self._painted = self._eye.copy()
            self._tissue.paint(self._painted, self._place, state)
            self._surface.paint(self._painted, self._place, state)
            self._painted_state = state
        return self._painted

    def seen(self, seconds: float) -> list[Seen]:
        """Instruments whose working end is in the picture at `seconds`."""
        view = self._view(self._camera.moment(seconds))
        found = []
        for pose in self.timeline.poses(seconds):
            where = box(pose, view, self._name, self.width, self.height)
            if where is not None:
                found.append(Seen(pose.instrument, where))
        return found

    def silhouettes(self, seconds: float) -> list[tuple[Instrument, NDArray[np.bool_]]]:
        """The visible pixels (h, w) of every instrument in `seen`; of two that cross the upper one has them."""
        view, shown = self._view(self._camera.moment(seconds)), {item.instrument for item in self.seen(seconds)}
        found: list[tuple[Instrument, NDArray[np.bool_]]] = []
        for pose in self.timeline.poses(seconds):
            mask = np.zeros((self.height, self.width), np.uint8)
            silhouette(mask, pose, view, self._name)
            found = [(instrument, below & (mask < HALF)) for instrument, below in found]
            found.append((pose.instrument, mask >= HALF))
        return [(instrument, pixels) for instrument, pixels in found if instrument in shown and pixels.any()]

    def anatomy(self, seconds: float) -> NDArray[np.uint8]:
        """What each pixel (h, w) shows behind the instruments, as numbers of `Anatomy`."""
        moment, radius = self._camera.moment(seconds), self._place.radius_hw
        layers = np.where(radius < 1, Anatomy.IRIS, Anatomy.WHITE)
        layers[radius < self.look.pupil_radius] = Anatomy.PUPIL
        eye = self._turned(layers.astype(np.uint8)[..., None], moment)[..., 0]
        canvas = np.where(self._eye_share[..., 0] < HALF, np.uint8(Anatomy.LID), eye)
        size, nearest = (self.width, self.height), cv2.INTER_NEAREST
        warped = cv2.warpAffine(canvas, self._matrix(moment), size, flags=nearest, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, np.uint8)

    def _gaze(self, moment: Moment) -> tuple[int, int]:
        """How far the eye has turned under the lids, in whole pixels of the painted eye."""
        return round(moment.eye[0] * self._scale), round(moment.eye[1] * self._scale)

    def _turned(self, eye: Pixels, moment: Moment) -> Pixels:
        x, y = self._gaze(moment)
        turned = np.empty_like(eye)
        height, width = eye.shape[:2]
        rows, columns = slice(max(0, y), height + min(0, y)), slice(max(0, x), width + min(0, x))
        turned[rows, columns] = eye[max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)]
        return turned

    def _view(self, moment: Moment) -> View:
        """Limbus radii around the turned eye's middle to pixels of the frame."""
        half_y, half_x = (np.array(self._eye.shape[:2]) - 1) / 2
        x, y = self._gaze(moment)
        centre = self._matrix(moment) @ np.array([half_x + x, half_y + y, 1.0])
        return View((float(centre[0]), float(centre[1])), self._scale * moment.zoom, moment.rotation)

    def _matrix(self, moment: Moment) -> NDArray[np.float64]:
        """From pixels of the painted eye to pixels of the frame."""
        scale = self._scale * moment.zoom
        middle_x = self.width / 2 + scale * (self.look.centre[0] + moment.camera[0])
        middle_y = self.height / 2 + scale * (self.look.centre[1] + moment.camera[1])
        half_y, half_x = (np.array(self._eye.shape[:2]) - 1) / 2
        c, s = np.cos(moment.rotation) * moment.zoom, np.sin(moment.rotation) * moment.zoom
        return np.array([[c, -s, middle_x - c * half_x + s * half_y], [s, c, middle_y - s * half_x - c * half_y]])

    def _instruments(self, frame: Pixels, state: State, view: View) -> None:
        poses = self.timeline.poses(state.seconds)
        if not poses:
            return
        mask = np.zeros((self.height // COARSE, self.width // COARSE), np.uint8)
        offset = 0.06 * view.scale
        middle = ((view.centre[0] + offset) / COARSE, (view.centre[1] + offset * 1.2) / COARSE)
        under = View(middle, view.scale / COARSE, view.rotation)
        for pose in poses:
            silhouette(mask, pose, under, self._name)
        light = 255 - (cv2.blur(mask, (3, 3)) * np.float32(SHADOW)).astype(np.uint8)
        wide = cv2.resize(light, (self.width, self.height), interpolation=cv2.INTER_LINEAR)
        cv2.multiply(frame, cv2.merge([wide, wide, wide]), dst=frame, scale=1 / 255)
        for pose in poses:
            draw(frame, pose, view, self._name)

    def _reflexes(self, frame: Pixels, state: State, view: View) -> None:
        """Images of the lamp on the wet cornea; none on an open eye or under the trephine."""
        if state.now(Verb.TREPHINE) or (state.of(Verb.EXCISE_BUTTON) > 0 and state.of(Verb.PLACE_GRAFT) < 1):
            return
        for number, (x, y, radius) in enumerate(self.site.reflexes):
            wobble = 0.012 * np.sin(state.seconds * 5.1 + number)
            px, py = view.pixels(np.array([x + wobble, y]))
            centre = (round(float(px) * 16), round(float(py) * 16))
            size = round(radius * view.scale * 16)
            cv2.circle(frame, centre, round(size * 1.3), (236, 222, 214), 1, cv2.LINE_AA, 4)
            cv2.circle(frame, centre, size, (255, 255, 250), -1, cv2.LINE_AA, 4)


def _layers(colours: Pixels, cover: Floats) -> tuple[Pixels, Pixels]:
    """The lids' share of the picture, ready to add, and the eye's share (0..255), ready to multiply."""
    share = cover[..., None]
    eye_share = np.repeat(255 - share * 255, 3, axis=2)
    return (colours * share).astype(np.uint8), np.ascontiguousarray(eye_share.astype(np.uint8))
