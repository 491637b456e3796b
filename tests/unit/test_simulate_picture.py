"""Frames are a pure function of the second, tissue changes with progress, boxes hold what is drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ophclip.simulate.config import Site
from ophclip.simulate.draw import stream
from ophclip.simulate.language import Instrument, Procedure, Program, Verb
from ophclip.simulate.look import LOOKS
from ophclip.simulate.planning import plan
from ophclip.simulate.scene import Scene
from ophclip.simulate.shapes import SHAPES
from ophclip.simulate.tools import Pose, View, box, draw


def _scene(procedure: Procedure, site: Site = Site.A) -> tuple[Program, Scene]:
    program = plan(0, site, "silent", 2, procedure=procedure, pace=1.0)
    width, height = (160, 120) if site is Site.A else (192, 108)
    return program, Scene(program, stream(0, "test"), width, height)


def _middle(program: Program, verb: Verb) -> float:
    action = next(action for action in program.actions() if action.verb is verb)
    return (action.start_seconds + action.end_seconds) / 2


@pytest.mark.parametrize("procedure", list(Procedure))
@pytest.mark.parametrize("site", list(Site))
def test_frames_do_not_depend_on_the_order_in_which_they_are_asked_for(procedure: Procedure, site: Site) -> None:
    program, scene = _scene(procedure, site)
    seconds = np.linspace(0, program.duration_seconds - 0.1, 12)
    forward = [scene.render(float(t)) for t in seconds]
    again = [scene.render(float(t)) for t in reversed(seconds)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, again, strict=True))
    assert forward[0].dtype == np.uint8
    assert forward[0].shape == ((120, 160, 3) if site is Site.A else (108, 192, 3))
    assert all(frame.std() > 20 for frame in forward)


def test_instruments_of_an_action_are_seen_in_its_middle() -> None:
    for procedure in Procedure:
        program, scene = _scene(procedure)
        for action in program.actions():
            seen = {item.instrument for item in scene.seen((action.start_seconds + action.end_seconds) / 2)}
            assert seen == set(action.instruments), action.verb


def test_nothing_is_seen_before_the_first_incision() -> None:
    for procedure in Procedure:
        assert _scene(procedure)[1].seen(0.1) == []


def test_boxes_lie_in_the_picture() -> None:
    program, scene = _scene(Procedure.PHACO)
    for second in range(int(program.duration_seconds)):
        for item in scene.seen(float(second)):
            x0, y0, x1, y1 = item.box
            assert 0 <= x0 < x1 <= 160
            assert 0 <= y0 < y1 <= 120


def test_the_cataract_is_gone_and_the_reflex_red_once_the_nucleus_is_out() -> None:
    program, scene = _scene(Procedure.PHACO)
    before, after = scene.render(0.2), scene.render(program.duration_seconds - 0.2)
    red = [float((frame[..., 0].astype(int) - frame[..., 2])[50:70, 70:90].mean()) for frame in (before, after)]
    assert red[1] > red[0] + 10


@pytest.mark.parametrize("instrument", list(SHAPES))
@pytest.mark.parametrize("site", list(Site))
def test_an_instrument_changes_pixels_inside_its_box_only(instrument: Instrument, site: Site) -> None:
    picture = np.full((240, 320, 3), 127, np.uint8)
    pose, view = Pose(instrument, (0.1, 0.05), 1.1, 0.4), View((160.0, 110.0), 70.0, 0.0)
    draw(picture, pose, view, site)
    where = box(pose, view, site, 320, 240)
    assert where is not None
    rows, columns = np.nonzero((picture != 127).any(axis=2))
    assert rows.size > 100
    x0, y0, x1, y1 = where
    assert x0 - 2.5 <= columns.min() <= columns.max() <= x1 + 2.5
    assert y0 - 2.5 <= rows.min() <= rows.max() <= y1 + 2.5


def test_instruments_differ_in_the_middle_of_the_picture() -> None:
    """Every pair of instruments, held alike, can be told apart by its pixels."""
    pictures = {}
    for instrument in SHAPES:
        picture = np.zeros((120, 120, 3), np.uint8)
        draw(picture, Pose(instrument, (0.0, 0.0), 1.2, 0.3), View((60.0, 40.0), 36.0, 0.0), Site.A)
        pictures[instrument] = picture.astype(int)
    for (first, one), (second, other) in itertools.combinations(pictures.items(), 2):
        assert np.abs(one - other).sum() > 20_000, (first, second)


def test_the_sites_differ_in_light_zoom_and_handles() -> None:
    a, b = LOOKS[Site.A], LOOKS[Site.B]
    assert a.light != b.light
    assert a.limbus_share != b.limbus_share
    assert sum(a.hubs[instrument] != b.hubs[instrument] for instrument in a.hubs) >= 8
