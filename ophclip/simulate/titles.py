"""Titles: written from the facts of an operation, and read back into the same facts.

A structured title is the procedure, then clauses for technique, finding and implant; every clause has several
wordings, and each wording belongs to one fact. Vague titles carry no fact at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import numpy as np

from ophclip.simulate.draw import pick
from ophclip.simulate.language import Finding, Procedure, Program, Technique


@dataclass(frozen=True, kw_only=True, slots=True)
class TitleFacts:
    """What a title says."""

    procedure: Procedure
    technique: Technique | None = None
    finding: Finding | None = None


PROCEDURES: dict[Procedure, tuple[str, ...]] = {
    Procedure.PHACO: (
        "Phacoemulsification cataract surgery with intraocular lens implantation",
        "Cataract surgery by phacoemulsification",
        "Phaco and foldable IOL implantation",
        "Clear corneal phacoemulsification",
    ),
    Procedure.TRABECULECTOMY: (
        "Trabeculectomy",
        "Glaucoma filtering surgery (trabeculectomy)",
        "Fornix based trabeculectomy",
    ),
    Procedure.KERATOPLASTY: (
        "Penetrating keratoplasty",
        "Full thickness corneal transplant",
        "Penetrating keratoplasty (PKP)",
    ),
}

TECHNIQUES: dict[Technique, tuple[str, ...]] = {
    Technique.DIVIDE_AND_CONQUER: ("divide and conquer", "divide and conquer technique", "four quadrant cracking"),
    Technique.PHACO_CHOP: ("phaco chop", "horizontal chop technique", "nucleus chopping"),
    Technique.MITOMYCIN: ("mitomycin C", "adjunctive MMC"),
    Technique.INTERRUPTED_SUTURES: ("interrupted sutures", "sixteen interrupted nylon sutures"),
}

FINDINGS: dict[Finding, tuple[str, ...]] = {
    Finding.WHITE_CATARACT: (
        "white mature cataract",
        "an intumescent white cataract",
        "white cataract and trypan blue",
    ),
    Finding.BRUNESCENT_CATARACT: ("a brunescent cataract", "hard brown cataract", "a dense nucleus"),
    Finding.SMALL_PUPIL: ("a small pupil", "poor pupil dilation"),
    Finding.OPEN_ANGLE_GLAUCOMA: ("primary open-angle glaucoma", "advanced POAG"),
    Finding.CORNEAL_SCAR: ("a corneal scar", "central corneal leukoma"),
    Finding.BULLOUS_KERATOPATHY: ("bullous keratopathy", "pseudophakic corneal edema"),
}

VAGUE = (
    "Surgery video {n}",
    "OR recording {n}",
    "Interesting case",
    "Eye surgery",
    "Case {n} full video",
    "Surgical video of the week",
    "My operation today",
    "Live surgery part {n}",
    "MVI_{n}",
    "Ophthalmology case no. {n}",
)

WITH, IN = " with ", " in "

Fact = TypeVar("Fact", bound=Enum)


def facts_of(program: Program) -> TitleFacts:
    return TitleFacts(procedure=program.procedure, technique=program.technique, finding=program.finding)


def write_title(facts: TitleFacts, rng: np.random.Generator) -> str:
    """One wording of the facts."""
    title = pick(rng, PROCEDURES[facts.procedure])
    if facts.technique is not None:
        title += (", " if WITH in title else WITH) + pick(rng, TECHNIQUES[facts.technique])
    if facts.finding is not None:
        title += IN + pick(rng, FINDINGS[facts.finding])
    return title


def write_vague_title(rng: np.random.Generator) -> str:
    return pick(rng, VAGUE).format(n=int(rng.integers(2, 980)))


def parse_title(title: str) -> TitleFacts | None:
    """The facts that `write_title` put into a title; None when it is none of its wordings."""
    procedure, rest = _leading(PROCEDURES, title)
    if procedure is None:
        return None
    technique, finding = None, None
    for joint in (", ", WITH):
        if rest.startswith(joint):
            technique, rest = _leading(TECHNIQUES, rest.removeprefix(joint))
    if rest.startswith(IN):
        finding, rest = _leading(FINDINGS, rest.removeprefix(IN))
    return None if rest else TitleFacts(procedure=procedure, technique=technique, finding=finding)


def _leading(wordings: dict[Fact, tuple[str, ...]], text: str) -> tuple[Fact | None, str]:
    """The fact whose longest wording begins the text, and what follows it."""
    found = [(len(w), fact, w) for fact, options in wordings.items() for w in options if text.startswith(w)]
    if not found:
        return None, text
    _, fact, wording = max(found, key=lambda item: item[0])
    return fact, text.removeprefix(wording)
