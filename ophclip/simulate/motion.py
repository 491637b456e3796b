"""How each action moves its instruments: pure functions of the share of the action that has passed.

The picture's x runs right and y down, the surgeon sits at the bottom; lengths are in limbus radii.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ophclip.simulate.language import Action, Instrument, Surgeon, Verb
from ophclip.simulate.paint import Point, at
from ophclip.simulate.tools import Pose

TAU = 2 * np.pi
RETREAT = 3.4
"""How far an instrument slides back to be out of the picture."""
SLIDE_SECONDS = 0.55


@dataclass(frozen=True, slots=True)
class Hands:
    """Where this surgeon works: the angles of the main wound and the side port, and the size of the rhexis."""

    main: float
    side: float
    rhexis_radius: float
    handed: int
    tremor: float

    @property
    def right(self) -> float:
        """Direction to the leading hand for work on the eye's surface."""
        return self._mirror(0.9)

    @property
    def left(self) -> float:
        return self._mirror(2.25)

    def _mirror(self, angle: float) -> float:
        return angle if self.handed > 0 else float(np.pi - angle)


def hands(person: Surgeon, rhexis_radius: float) -> Hands:
    main = np.radians(person.main_angle_degrees)
    side = main + np.radians(78)
    if person.handed < 0:
        main, side = np.pi - main, np.pi - side
    return Hands(float(main), float(side), rhexis_radius, person.handed, person.tremor)


def through(instrument: Instrument, tip: Point, wound: float, opening: float = 0.0) -> Pose:
    """A pose that passes through the wound at angle `wound` with its tip in the eye."""
    pivot = at(1.3, wound)
    return Pose(instrument, tip, float(np.arctan2(pivot[1] - tip[1], pivot[0] - tip[0])), opening)


def _wave(share: float, turns: float, phase: float = 0.0) -> float:
    return float(np.sin(TAU * (turns * share + phase)))


def _pulse(share: float, turns: float) -> float:
    """0 to 1 and back, `turns` times."""
    return float(0.5 - 0.5 * np.cos(TAU * turns * share))


def _visit(share: float, spots: list[Point]) -> Point:
    """Stay at each spot for a while, then go on to the next."""
    place = share * (len(spots) - 1)
    index = min(int(place), len(spots) - 2)
    move = np.clip((place - index - 0.55) / 0.45, 0, 1)
    move = move * move * (3 - 2 * move)
    (x0, y0), (x1, y1) = spots[index], spots[index + 1]
    return float(x0 + (x1 - x0) * move), float(y0 + (y1 - y0) * move)


Mover = Callable[[float, Hands, tuple[Instrument, ...]], list[Pose]]


def _side_port(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [Pose(tools[0], at(1.14 - 0.5 * _pulse(u, 1), h.side), h.side)]


def _main_wound(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    depth = 0.3 * min(1.0, u * 3) + 0.28 * _pulse(max(0.0, u - 0.25) / 0.75, 1)
    return [Pose(tools[0], at(1.2 - depth, h.main + 0.05 * _wave(u, 2)), h.main)]


def _inject(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    far = 0.62 - 0.95 * _pulse(u, 1)
    x, y = at(far, h.main)
    return [through(tools[0], (x + 0.12 * _wave(u, 2), y), h.main)]


def _puncture(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    reach = h.rhexis_radius * min(1.0, u * 1.6)
    return [through(tools[0], at(reach * 0.9, h.main + 2.6 - 0.5 * u), h.main)]


def _tear(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    angle = tear_angle(u, h)
    inward = 0.8 - 0.25 * _pulse(u, 4)
    return [through(tools[0], at(h.rhexis_radius * inward, angle - 0.25), h.main, 0.7 * max(0.0, _wave(u, 4) - 0.5))]


def tear_angle(u: float, h: Hands) -> float:
    """Where the edge of the capsulorhexis tears: it starts opposite the wound and goes once around."""
    return float(h.main + 2.1 + TAU * u)


def _hydrodissect(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    spots = [at(h.rhexis_radius * 1.15, h.main + turn) for turn in (2.4, 3.4, 1.5, 3.0)]
    return [through(tools[0], _visit(u, spots), h.main)]


def _rotate(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [through(tools[0], at(0.3, h.main + 1.6 + 1.4 * _pulse(u, 2)), h.main)]


def _sculpt(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    stroke = 0.27 * _wave(u, 6)
    across = 0.06 if u < 0.5 else 0.16 * _wave(u, 1)
    x, y = at(stroke, h.main)
    return [through(tools[0], (x + across * float(np.sin(h.main)), y - across * float(np.cos(h.main))), h.main)]


def _crack(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    spread = 0.05 + 0.13 * _pulse(u, 3)
    phaco = through(tools[0], at(spread, h.main + 0.7), h.main)
    return [phaco, through(tools[1], at(0.36 - 0.28 * _pulse(u, 3), h.side + 2.4), h.side)]


def _fragments(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    phaco = through(tools[0], (0.09 * _wave(u, 3), 0.08 * _wave(u, 4, 0.2)), h.main)
    push = at(0.34 - 0.2 * _pulse(u, 4), h.side + 1.2 + 2.2 * u)
    return [phaco, through(tools[1], push, h.side)]


def _cortex(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    pull = _pulse(u, 6)
    return [through(tools[0], at(0.54 - 0.36 * pull, h.main + 0.6 + TAU * u), h.main)]


def _polish(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [through(tools[0], (0.17 * _wave(u, 5), 0.05 + 0.15 * _wave(u, 5, 0.25)), h.main)]


def _fill_bag(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [through(tools[0], at(-0.1 - 0.3 * _pulse(u, 1), h.main + 0.3 * _wave(u, 1)), h.main)]


def _lens(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    depth = 0.8 - 0.2 * min(1.0, u * 4)
    return [through(tools[0], at(depth, h.main), h.main, opening=float(np.clip((u - 0.2) / 0.6, 0, 1)))]


def _dial(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [through(tools[0], at(0.3, dial_angle(u, h)), h.main)]


def dial_angle(u: float, h: Hands) -> float:
    return float(h.main + 2.2 + 2.0 * u)


def _visco_out(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    x, y = at(0.3 * _wave(u, 2), h.main)
    return [through(tools[0], (x + 0.22 * _wave(u, 3, 0.1), y + 0.08), h.main)]


def _hydrate(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    spots = [at(0.96, h.main - 0.16), at(0.96, h.main + 0.16), at(0.97, h.side), at(0.97, h.side - 0.04)]
    return [Pose(tools[0], _visit(u, spots), h.main + 0.15)]


def _antibiotic(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [through(tools[0], at(0.72 - 0.15 * _pulse(u, 1), h.side), h.side)]


def _wipe(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [Pose(tools[0], at(1.0 + 0.06 * _pulse(u, 3), h.main + 0.45 * _wave(u, 1.5)), h.right)]


def _open_conjunctiva(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    x = h.handed * (-0.62 + 1.2 * u)
    scissors = Pose(tools[0], (x, 1.16 + 0.05 * abs(x)), h.right, _pulse(u, 7))
    return [Pose(tools[1], (x - h.handed * 0.2, 1.38), h.left, 0.1), scissors]


def _cauterise(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    spots = [(0.3, 1.3), (-0.15, 1.5), (0.1, 1.22), (-0.35, 1.3), (0.25, 1.52)]
    return [Pose(tools[0], _visit(u, [(h.handed * x, y) for x, y in spots]), h.right)]


def _dissect(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    y = 1.55 - 0.5 * u
    knife = Pose(tools[0], (0.2 * _wave(u, 5), y - 0.03), h.right)
    return [knife, Pose(tools[1], (-h.handed * 0.24, y + 0.04), h.left)]


def _soak(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [Pose(tools[0], (0.05 * _wave(u, 1), 1.3 + 0.05 * _wave(u, 2)), h.right)]


def _excise_block(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    scissors = Pose(tools[0], (0.12 * _wave(u, 2), 1.1), h.right, _pulse(u, 5))
    return [Pose(tools[1], (-h.handed * 0.16, 1.12), h.left, 0.1), scissors]


def _cut_iris(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    pull = 0.1 * _pulse(min(1.0, u * 1.2), 1)
    scissors = Pose(tools[0], (h.handed * 0.05, 1.06), h.right, _pulse(u, 3))
    return [Pose(tools[1], (-h.handed * 0.04, 1.02 + pull), h.left, 0.1), scissors]


def _stitch(point: Point, u: float, h: Hands, tools: tuple[Instrument, ...], hold: Point) -> list[Pose]:
    """Pass the needle with a turn of the wrist, then pull the thread."""
    roll = 0.45 * _wave(u, 3)
    holder = Pose(tools[0], (point[0] + 0.05 * _wave(u, 3, 0.2), point[1]), h.right + roll, 0.15)
    return [Pose(tools[2], hold, h.left, 0.15), holder, Pose(tools[1], holder.tip, holder.angle)]


def _suture_flap(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    side = h.handed if u < 0.5 else -h.handed
    return _stitch((side * 0.25, 1.52), u, h, tools, (side * 0.12, 1.42))


def _close_conjunctiva(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    side = h.handed if u < 0.5 else -h.handed
    return _stitch((side * 0.6, 1.08), u, h, tools, (side * 0.45, 1.22))


def _steroid(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [Pose(tools[0], (-h.handed * (1.2 - 0.1 * _pulse(u, 1)), 0.72), h.right)]


def _measure(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    turn = np.pi / 2 + h.handed * 0.12 * _wave(u, 0.6)
    return [Pose(tools[0], (0.0, 0.04 * _wave(u, 1)), turn, 0.25 + 0.75 * min(1.0, u * 2))]


def _trephine(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    return [Pose(tools[0], (0.0, 0.0), h.right, 0.55 * u * 1.6)]


def _excise_button(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    angle = button_angle(u, h)
    scissors = Pose(tools[0], at(0.7, angle), h.right + 0.5 * _wave(u, 1), _pulse(u, 7))
    return [Pose(tools[1], at(0.55, angle - 0.5), h.left, 0.1), scissors]


def button_angle(u: float, h: Hands) -> float:
    """How far around the host button has been cut."""
    return float(h.right + TAU * u)


def _place_graft(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    x, y = graft_centre(u, h)
    return [Pose(tools[0], (x + 0.5 * float(np.cos(h.right)), y + 0.5 * float(np.sin(h.right))), h.right, 0.2)]


def graft_centre(u: float, h: Hands) -> Point:
    """The donor comes in with the forceps and is laid down."""
    far = 2.0 * (1 - min(1.0, u * 1.8)) ** 2
    return at(far, h.right)


def _suture_graft(u: float, h: Hands, tools: tuple[Instrument, ...]) -> list[Pose]:
    count = int(u * 4)
    angle = h.right + (0.3, 3.3, 1.8, 4.9)[min(count, 3)]
    return _stitch(at(0.72, angle), u, h, tools, at(0.6, angle - 0.3))


MOVES: dict[Verb, Mover] = {
    Verb.CUT_SIDE_PORT: _side_port,
    Verb.CUT_MAIN_WOUND: _main_wound,
    Verb.STAIN_CAPSULE: _inject,
    Verb.FILL_CHAMBER: _inject,
    Verb.PUNCTURE_CAPSULE: _puncture,
    Verb.TEAR_CAPSULE: _tear,
    Verb.HYDRODISSECT: _hydrodissect,
    Verb.ROTATE_NUCLEUS: _rotate,
    Verb.SCULPT: _sculpt,
    Verb.CRACK: _crack,
    Verb.REMOVE_FRAGMENTS: _fragments,
    Verb.ASPIRATE_CORTEX: _cortex,
    Verb.POLISH: _polish,
    Verb.FILL_BAG: _fill_bag,
    Verb.INJECT_LENS: _lens,
    Verb.DIAL_LENS: _dial,
    Verb.ASPIRATE_VISCOELASTIC: _visco_out,
    Verb.HYDRATE: _hydrate,
    Verb.GIVE_ANTIBIOTIC: _antibiotic,
    Verb.WIPE: _wipe,
    Verb.OPEN_CONJUNCTIVA: _open_conjunctiva,
    Verb.CAUTERISE: _cauterise,
    Verb.DISSECT_FLAP: _dissect,
    Verb.SOAK_MITOMYCIN: _soak,
    Verb.EXCISE_BLOCK: _excise_block,
    Verb.CUT_IRIS: _cut_iris,
    Verb.SUTURE_FLAP: _suture_flap,
    Verb.REFORM_CHAMBER: _antibiotic,
    Verb.CLOSE_CONJUNCTIVA: _close_conjunctiva,
    Verb.INJECT_STEROID: _steroid,
    Verb.MEASURE: _measure,
    Verb.TREPHINE: _trephine,
    Verb.EXCISE_BUTTON: _excise_button,
    Verb.PLACE_GRAFT: _place_graft,
    Verb.SUTURE_GRAFT: _suture_graft,
}


def share_done(action: Action, seconds: float) -> float:
    """The share of an action's own work that has passed, without coming and going."""
    margin = min(SLIDE_SECONDS, 0.25 * (action.end_seconds - action.start_seconds))
    start, end = action.start_seconds + margin, action.end_seconds - margin
    return float(np.clip((seconds - start) / max(end - start, 1e-6), 0, 1))


def poses(
    action: Action, seconds: float, h: Hands, entering: frozenset[Instrument], leaving: frozenset[Instrument]
) -> list[Pose]:
    """Where the action's instruments are at `seconds`; those that come or go slide along their own axis."""
    u = share_done(action, seconds)
    coming = _away(seconds - action.start_seconds)
    going = _away(action.end_seconds - seconds)
    moved = []
    for number, pose in enumerate(MOVES[action.verb](u, h, action.instruments)):
        away = max(coming if pose.instrument in entering else 0.0, going if pose.instrument in leaving else 0.0)
        shake = 0.008 * h.tremor
        x = pose.tip[0] + shake * np.sin(seconds * 41 + number) + away * np.cos(pose.angle)
        y = pose.tip[1] + shake * np.sin(seconds * 37 + 2 * number) + away * np.sin(pose.angle)
        moved.append(Pose(pose.instrument, (float(x), float(y)), pose.angle, pose.opening))
    return moved


def _away(seconds: float) -> float:
    """How far back an instrument still is, `seconds` from the moment at which it is wholly out."""
    return float(np.clip(1 - seconds / SLIDE_SECONDS, 0, 1)) ** 2 * RETREAT
