"""What a program has done to the eye by a given second: the only thing that tissue painting looks at."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from ophclip.simulate.language import Action, Complication, Instrument, Program, Verb
from ophclip.simulate.motion import Hands, hands, poses, share_done
from ophclip.simulate.tools import Pose

SAME_HAND_SECONDS = 0.05
"""An instrument that is used again within this time does not leave the eye in between."""


PAINTED_STEPS = 32


@dataclass(frozen=True, slots=True)
class State:
    """The eye at one second: per verb, the share of all of its work that is done, and what goes on now."""

    seconds: float
    done: dict[Verb, float]
    action: Action | None
    share: float
    bleeding: float
    prolapse: float

    def coarse(self) -> State:
        """The same state in steps too small to be noticed: equal ones need no new painting of the eye."""
        running = self.action is not None and self.action.verb is Verb.HYDRODISSECT
        return State(
            seconds=float(round(self.seconds)),
            done={verb: _stepped(share) for verb, share in self.done.items()},
            action=self.action,
            share=round(self.share, 2) if running else _stepped(self.share),
            bleeding=_stepped(self.bleeding),
            prolapse=_stepped(self.prolapse),
        )

    def of(self, verb: Verb) -> float:
        return self.done.get(verb, 0.0)

    def now(self, verb: Verb) -> bool:
        return self.action is not None and self.action.verb is verb


def _stepped(share: float) -> float:
    return round(share * PAINTED_STEPS) / PAINTED_STEPS


class Timeline:
    """A program, ready to be asked what happens at any second."""

    def __init__(self, program: Program, rhexis_radius: float) -> None:
        self.program = program
        self.hands: Hands = hands(program.surgeon, rhexis_radius)
        self._actions = program.actions()
        self._count = Counter(action.verb for action in self._actions)

    def state(self, seconds: float) -> State:
        done: dict[Verb, float] = defaultdict(float)
        current, share, bleeding, prolapse = None, 0.0, 0.0, 0.0
        for action in self._actions:
            if seconds < action.start_seconds:
                break
            part = share_done(action, seconds)
            done[action.verb] += part / self._count[action.verb]
            if seconds <= action.end_seconds:
                current, share = action, part
            if action.complication is Complication.BLEEDING:
                bleeding = max(bleeding, min(1.0, part * 1.5) * max(0.15, 1 - (seconds - action.end_seconds) / 25))
            if action.complication is Complication.IRIS_PROLAPSE:
                prolapse = max(0.0, min(1.0, part * 2) - max(0.0, (seconds - action.end_seconds) / 6))
        return State(seconds, dict(done), current, share, float(min(1.0, bleeding)), float(prolapse))

    def poses(self, seconds: float) -> list[Pose]:
        """Instruments that are held at this second; some may still be outside the picture."""
        for index, action in enumerate(self._actions):
            if action.start_seconds <= seconds <= action.end_seconds:
                before = self._actions[index - 1] if index else None
                after = self._actions[index + 1] if index + 1 < len(self._actions) else None
                used = frozenset(action.instruments)
                return poses(action, seconds, self.hands, used - _shared(before, action), used - _shared(action, after))
        return []


def _shared(first: Action | None, second: Action | None) -> frozenset[Instrument]:
    """Instruments that stay in the eye from one action to the next."""
    if first is None or second is None or second.start_seconds - first.end_seconds > SAME_HAND_SECONDS:
        return frozenset()
    return frozenset(first.instruments) & frozenset(second.instruments)
