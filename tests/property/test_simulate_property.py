"""Any seed gives a well-formed operation whose title reads back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ophclip.simulate.config import Site
from ophclip.simulate.language import Procedure
from ophclip.simulate.planning import plan
from ophclip.simulate.state import Timeline
from ophclip.simulate.titles import facts_of, parse_title, write_title

SEEDS = st.integers(0, 2**31)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from(Procedure), st.sampled_from(Site), st.floats(0.1, 3.0))
def test_every_program_is_well_formed(seed: int, procedure: Procedure, site: Site, pace: float) -> None:
    program = plan(seed, site, "silent", seed % 7, procedure=procedure, pace=pace)
    bounds = [program.phases[0].start_seconds, *(phase.end_seconds for phase in program.phases)]
    assert bounds == sorted(bounds)
    assert bounds[0] > 0
    assert all(action.instruments for action in program.actions())
    starts = [line.start_seconds for line in program.lines]
    assert starts == sorted(starts)
    title = write_title(facts_of(program), np.random.default_rng(seed))
    assert parse_title(title) == facts_of(program)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.sampled_from(Procedure))
def test_progress_never_runs_backward(seed: int, procedure: Procedure) -> None:
    program = plan(seed, Site.A, "silent", 0, procedure=procedure, pace=1.0)
    timeline = Timeline(program, 0.4)
    states = [timeline.state(float(t)) for t in np.linspace(0, program.duration_seconds, 60)]
    for verb in states[-1].done:
        shares = [state.of(verb) for state in states]
        assert shares == sorted(shares)
        assert shares[0] >= 0
        assert shares[-1] <= 1 + 1e-9
