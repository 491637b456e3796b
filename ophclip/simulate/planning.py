"""A seed becomes an operation: phases kept or left out, lengths, pauses, complications, and what is said when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ophclip.simulate.config import Site
from ophclip.simulate.draw import stream, weighted
from ophclip.simulate.language import (
    Action,
    Complication,
    Finding,
    Instrument,
    Line,
    Phase,
    PhaseName,
    Procedure,
    Program,
    Surgeon,
    Technique,
    Verb,
)
from ophclip.simulate.narration import Narrator, speech_seconds
from ophclip.simulate.recipes import FINDINGS, RECIPES, TECHNIQUES, Step

SURGEONS_PER_SITE = 6
EXCHANGE_SECONDS = (0.2, 0.8)
LONG_IDLE_SECONDS = (1.8, 3.5)
PREPARATION_SECONDS = (1.5, 3.5)
CLOSING_SECONDS = (1.5, 3.0)
SPEECH_SCALES = (0.82, 0.88, 0.95)
CLOCK = 0.65
"""The recipes' seconds are compressed by this, so that an operation fits into 60-90 s."""


_Chosen = tuple[PhaseName, bool, Action, tuple[float, float]]
"""Label, whether it opens the phase, action, usual span."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """An action with its length and what is said over it, before the clock runs."""

    phase: PhaseName
    opens_phase: bool
    action: Action
    seconds: float
    idle_seconds: float
    lines: tuple[tuple[str, bool], ...]


def surgeon(seed: int, site: Site, number: int) -> Surgeon:
    """The habits of surgeon `number` of a site, the same in every video of that seed."""
    rng = stream(seed, "surgeon", site.value, number)
    experience = 1 + int(number % 3 != 0)
    return Surgeon(
        number=number,
        experience=experience,
        tempo=float(rng.uniform(0.9, 1.05) + (0.1 if experience == 1 else 0.0)),
        speech_scale=SPEECH_SCALES[int(rng.integers(len(SPEECH_SCALES)))],
        handed=1 if rng.random() < 0.8 else -1,
        main_angle_degrees=float(rng.uniform(55, 85)),
        chattiness=float(rng.uniform(0.05, 0.2)),
        tremor=float(rng.uniform(0.4, 0.8) + (0.6 if experience == 1 else 0.0)),
    )


def plan(seed: int, site: Site, role: str, index: int, *, procedure: Procedure, pace: float) -> Program:
    """The operation of one video; `role` (narrated, silent, held_out) and `index` name its stream of chance."""
    rng = stream(seed, "program", site.value, role, index)
    person = surgeon(seed, site, 1 + int(rng.integers(SURGEONS_PER_SITE)))
    technique = weighted(rng, TECHNIQUES[procedure])
    finding = weighted(rng, FINDINGS[procedure])
    narrator = Narrator(stream(seed, "words", site.value, role, index), person.chattiness)
    planned = [
        _lengthen(rng, narrator, person, pace, item) for item in _choose(rng, procedure, technique, finding, person)
    ]
    start_seconds = float(rng.uniform(*PREPARATION_SECONDS)) * min(1.0, pace)
    phases, lines, end_seconds = _run_clock(rng, planned, start_seconds, person)
    opening = narrator.opening(procedure)
    if opening and speech_seconds(opening, person.speech_scale) < start_seconds:
        lines = (Line(start_seconds=0.1, text=opening, procedural=False), *lines)
    closing_seconds = float(rng.uniform(*CLOSING_SECONDS)) * min(1.0, pace)
    duration_seconds = round(end_seconds + closing_seconds, 3)
    last = replace(phases[-1], end_seconds=duration_seconds)
    return Program(
        procedure=procedure, technique=technique, finding=finding, surgeon=person, site=site,
        phases=(*phases[:-1], last), lines=lines, duration_seconds=duration_seconds,
    )  # fmt: skip


def _choose(
    rng: np.random.Generator,
    procedure: Procedure,
    technique: Technique | None,
    finding: Finding | None,
    person: Surgeon,
) -> list[_Chosen]:
    """Phases and actions that this operation has, in order."""
    chosen = []
    for stage in RECIPES[procedure]:
        if rng.random() > stage.chance:
            continue
        opens = True
        for step in stage.steps:
            if rng.random() <= step.chance and _applies(step, technique, finding):
                chosen.append((stage.name, opens, _action(rng, step, person), step.seconds))
                opens = False
    return chosen


def _applies(step: Step, technique: Technique | None, finding: Finding | None) -> bool:
    return step.technique in (None, technique) and step.finding in (None, finding)


def _action(rng: np.random.Generator, step: Step, person: Surgeon) -> Action:
    complication = None
    risk = 0.2 if person.experience == 1 else 0.1
    if step.verb in (Verb.CUT_MAIN_WOUND, Verb.OPEN_CONJUNCTIVA, Verb.CUT_IRIS) and rng.random() < risk:
        complication = Complication.BLEEDING
    if step.verb is Verb.HYDRODISSECT and rng.random() < risk / 2:
        complication = Complication.IRIS_PROLAPSE
    return Action(
        verb=step.verb,
        instruments=step.instruments,
        target=step.target,
        medication=step.medication,
        complication=complication,
    )


def _lengthen(
    rng: np.random.Generator,
    narrator: Narrator,
    person: Surgeon,
    pace: float,
    chosen: _Chosen,
) -> _Planned:
    """Every action lasts at least as long as what is said over it, in narrated and silent videos alike."""
    phase, opens, action, (low, high) = chosen
    seconds = float(rng.uniform(low, high)) * person.tempo * CLOCK
    lines = narrator.describe(action, roomy=seconds > 5.5)
    spoken = sum(speech_seconds(text, person.speech_scale) + 0.35 for text, _ in lines)
    idle = rng.uniform(*LONG_IDLE_SECONDS) if opens and rng.random() < 0.15 else rng.uniform(*EXCHANGE_SECONDS)
    return _Planned(phase, opens, action, max(seconds, spoken) * pace, float(idle) * min(1.0, pace), lines)


def _run_clock(
    rng: np.random.Generator, planned: list[_Planned], clock: float, person: Surgeon
) -> tuple[tuple[Phase, ...], tuple[Line, ...], float]:
    """Put the actions on the clock; a phase runs to the start of the next one."""
    opened: list[tuple[PhaseName, list[Action]]] = []
    lines: list[Line] = []
    previous: set[Instrument] = set()
    for item in planned:
        if item.opens_phase or not set(item.action.instruments) & previous:
            clock += item.idle_seconds
        previous = set(item.action.instruments)
        start, clock = round(clock, 3), clock + item.seconds
        placed = replace(item.action, start_seconds=start, end_seconds=round(clock, 3))
        if item.opens_phase:
            opened.append((item.phase, []))
        opened[-1][1].append(placed)
        lines.extend(_place(rng, item.lines, start, person))
    return _phases(opened, clock), tuple(sorted(lines, key=lambda line: line.start_seconds)), clock


def _place(rng: np.random.Generator, texts: tuple[tuple[str, bool], ...], start: float, person: Surgeon) -> list[Line]:
    """Sentences follow each other from shortly after the action begins."""
    spoken, clock = [], start + float(rng.uniform(0.0, 0.35))
    for text, procedural in texts:
        spoken.append(Line(start_seconds=round(clock, 3), text=text, procedural=procedural))
        clock += speech_seconds(text, person.speech_scale) + float(rng.uniform(0.15, 0.5))
    return spoken


def _phases(opened: list[tuple[PhaseName, list[Action]]], end_seconds: float) -> tuple[Phase, ...]:
    starts = [actions[0].start_seconds for _, actions in opened]
    ends = [*starts[1:], end_seconds]
    return tuple(
        Phase(name=name, start_seconds=start, end_seconds=round(end, 3), actions=tuple(actions))
        for (name, actions), start, end in zip(opened, starts, ends, strict=True)
    )
