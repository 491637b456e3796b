"""Programs follow their procedure, titles read back, narration fits what is on screen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ophclip.simulate.config import Site
from ophclip.simulate.language import CATARACT101_IDS, OPHNET_IDS, Instrument, Procedure, Program, Verb
from ophclip.simulate.motion import MOVES
from ophclip.simulate.narration import PHRASES, speech_seconds
from ophclip.simulate.phrases import DRUGS, SYNONYMS
from ophclip.simulate.planning import plan
from ophclip.simulate.recipes import RECIPES
from ophclip.simulate.shapes import SHAPES
from ophclip.simulate.titles import VAGUE, facts_of, parse_title, write_title


def _program(procedure: Procedure, index: int) -> Program:
    return plan(3, Site.A, "narrated", index, procedure=procedure, pace=1.0)


def test_cataract101_names_are_the_ten_of_the_dataset() -> None:
    assert [name.value for name in CATARACT101_IDS] == [
        "Incision", "Viscous agent injection", "Rhexis", "Hydrodissection", "Phacoemulsification",
        "Irrigation and aspiration", "Capsule polishing", "Lens implant setting-up", "Viscous agent removal",
        "Tonifying and antibiotics",
    ]  # fmt: skip


def test_every_verb_has_a_motion_and_words_and_every_instrument_a_shape_and_names() -> None:
    used = {step.verb for stages in RECIPES.values() for stage in stages for step in stage.steps}
    assert used == set(Verb) == set(MOVES) == set(PHRASES)
    assert set(SHAPES) == set(SYNONYMS) == set(Instrument)
    assert len(Instrument) >= 12


@pytest.mark.parametrize("procedure", list(Procedure))
def test_phases_are_contiguous_labelled_and_end_with_the_video(procedure: Procedure) -> None:
    names = CATARACT101_IDS if procedure is Procedure.PHACO else OPHNET_IDS
    for index in range(12):
        program = _program(procedure, index)
        assert all(phase.name in names for phase in program.phases)
        assert program.phases[-1].end_seconds == program.duration_seconds
        for first, second in itertools.pairwise(program.phases):
            assert first.end_seconds == second.start_seconds
            assert first.start_seconds < first.end_seconds
        for action in program.actions():
            assert action.start_seconds < action.end_seconds <= program.duration_seconds


def test_phases_are_left_out_and_repeated_in_some_operations() -> None:
    sequences = {tuple(phase.name for phase in _program(Procedure.PHACO, k).phases) for k in range(30)}
    lengths = {len(sequence) for sequence in sequences}
    assert len(sequences) > 2
    assert min(lengths) < 10
    assert any(len(set(sequence)) < len(sequence) for sequence in sequences)


def test_sentences_are_spoken_over_their_action_and_never_planned_to_overlap() -> None:
    for procedure, index in itertools.product(Procedure, range(8)):
        program = _program(procedure, index)
        scale = program.surgeon.speech_scale
        for first, second in itertools.pairwise(program.lines):
            assert first.start_seconds + speech_seconds(first.text, scale) <= second.start_seconds + 0.6
        for line in program.lines:
            if line.procedural:
                spans = [(a.start_seconds, a.end_seconds) for a in program.actions()]
                assert any(start <= line.start_seconds < end for start, end in spans)


def test_a_phaco_operation_says_at_least_ten_procedural_sentences() -> None:
    for index in range(20):
        assert sum(line.procedural for line in _program(Procedure.PHACO, index).lines) >= 10


def test_phrases_name_nothing_that_is_left_unfilled() -> None:
    fields = {"tool": "x", "second": "y", "drug": "z", "suture": "w"}
    for options in PHRASES.values():
        assert len(options) >= 3
        assert all("{" not in text.format(**fields) for text in options)
    assert all(len(names) >= 2 for names in DRUGS.values())


@pytest.mark.parametrize("procedure", list(Procedure))
def test_titles_read_back_as_the_facts_they_were_written_from(procedure: Procedure) -> None:
    rng = np.random.default_rng(0)
    for index in range(40):
        facts = facts_of(_program(procedure, index))
        assert parse_title(write_title(facts, rng)) == facts


def test_vague_titles_say_nothing() -> None:
    assert all(parse_title(title.format(n=7)) is None for title in VAGUE)


def test_the_plan_does_not_depend_on_what_else_is_planned() -> None:
    alone = _program(Procedure.TRABECULECTOMY, 5)
    _program(Procedure.PHACO, 4)
    assert _program(Procedure.TRABECULECTOMY, 5) == alone
