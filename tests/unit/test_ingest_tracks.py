"""Text is followed through read pictures: what stands, moves, runs along its line, and what is not known."""

from __future__ import annotations

from ingest.pictures.overlays import TextBox
from ingest.pictures.tracks import Cover, Gap, follow, hull, link

WIDTH, HEIGHT = 342, 256


def box(x: int, y: int, text: str = "MUELLER, ANNA", width: int = 120) -> TextBox:
    return TextBox(x=x, y=y, width=width, height=12, text=text, score=0.9)


def test_text_that_stands_most_of_the_time_is_static_though_it_is_missed_once() -> None:
    found = follow({0: (box(5, 5),), 10: (), 20: (box(5, 5),), 30: (box(5, 5),)}, WIDTH, HEIGHT)
    assert found.static == (box(5, 5),)
    assert (found.moves, found.ends, found.lost) == ((), (), False)


def test_text_seen_in_many_pictures_of_a_short_time_is_not_static() -> None:
    read = {place: (box(5, 5),) if 40 <= place <= 44 else () for place in (0, 40, 41, 42, 43, 44, 100)}
    found = follow(read, WIDTH, HEIGHT)
    assert found.static == ()
    assert found.ends == (Gap(before=0, after=40), Gap(before=44, after=100))


def test_a_small_move_is_covered_by_the_hull() -> None:
    found = follow({0: (), 1: (box(100, 50),), 9: (box(106, 58),), 10: ()}, WIDTH, HEIGHT)
    assert Cover(box=hull(box(100, 50), box(106, 58)), first=1, last=9) in found.covers
    assert found.moves == ()


def test_pictures_between_two_places_far_apart_are_asked_for() -> None:
    found = follow({0: (box(10, 10),), 8: (box(200, 200),)}, WIDTH, HEIGHT)
    assert found.moves == (Gap(before=0, after=8),)
    assert found.moves[0].middle == 4


def test_text_read_nowhere_between_two_places_far_apart_is_lost() -> None:
    found = follow({0: (box(10, 10),), 1: (), 2: (), 3: (box(200, 200),)}, WIDTH, HEIGHT)
    assert found.lost
    assert found.moves == ()


def test_text_that_runs_along_its_line_covers_the_line() -> None:
    found = follow({0: (), 5: (box(200, 240),), 10: (box(60, 240),), 15: ()}, WIDTH, HEIGHT)
    (line,) = found.covers
    assert (line.box.x, line.box.width, line.first, line.last) == (0, WIDTH, 0, 16)
    assert found.moves == ()


def test_text_that_went_is_covered_in_the_first_picture_without_it_and_the_next() -> None:
    found = follow({0: (), 5: (), 6: (box(5, 5),), 7: (box(5, 5),), 8: (), 20: ()}, WIDTH, HEIGHT)
    assert {(one.first, one.last) for one in found.covers} == {(4, 6), (6, 7), (7, 9)}


def test_text_that_jumps_and_is_missed_for_a_while_is_lost() -> None:
    read = {place: (box(10, 10 if place < 5 else 200),) for place in range(2, 9)}
    assert not follow(read | {0: (), 1: ()}, WIDTH, HEIGHT).lost
    assert follow(read | {9: (), 10: (), 11: ()}, WIDTH, HEIGHT).lost


def test_text_that_jumps_and_was_read_in_part_is_covered_in_whole() -> None:
    part = box(130, 10, "ANNA", width=40)
    found = follow({0: (box(10, 200),), 1: (part,), 2: (part,)}, WIDTH, HEIGHT)
    assert all(one.box.x <= 50 and one.box.x + one.box.width >= 250 for one in found.covers if one.first == 1)


def test_like_wording_elsewhere_is_nearer_than_other_wording_at_the_same_place() -> None:
    tracks = link({0: (box(50, 100, "Dr. Lindqvist"),), 4: (box(50, 70, "Dr. Lindqvist"), box(50, 100, "Case 58557"))})
    assert [[one.text for _, one in track] for track in tracks] == [["Dr. Lindqvist"] * 2, ["Case 58557"]]
