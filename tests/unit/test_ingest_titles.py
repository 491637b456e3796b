"""Structured titles: what is read out of a title and its description, and what is called vague."""

from __future__ import annotations

import pytest

from ingest.records import Metadata
from ingest.text.titles import clean_title, from_text, structure, to_text


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("Phaco with small pupil | #cataract https://x.y/z", "Phaco with small pupil"),
        ("IMG_2034.mp4", "IMG 2034"),
        ("Trabeculectomy: step by step (HD)", "Trabeculectomy step by step"),
        ("  ★ Amazing\tcase!!! ★ ", "Amazing case!"),
        ("1080p Penetrating   keratoplasty [4K]", "Penetrating keratoplasty"),
        ("", ""),
    ],
)
def test_titles_are_cleaned(raw: str, cleaned: str) -> None:
    assert clean_title(raw) == cleaned


def test_attributes_come_from_title_and_description_by_their_canonical_names() -> None:
    made = structure(
        Metadata(title="PKP for bullous keratopathy", description="A vacuum trephine is used, then cardinal sutures.")
    )
    assert made.surgery == ("penetrating keratoplasty",)
    assert made.phase == ("graft suturing",)
    assert made.instrument == ("trephine",)
    assert not made.vague
    text = "PKP for bullous keratopathy; surgery: penetrating keratoplasty; phase: graft suturing; instrument: trephine"
    assert to_text(made) == text
    assert from_text(text) == made


def test_terms_match_whole_words_and_the_longest_first() -> None:
    made = structure(Metadata(title="Phaco chop with a phaco probe in a phacomorphic eye"))
    assert made.phase == ("nucleus removal",)
    assert made.instrument == ("phaco handpiece",)
    assert made.surgery == ()


@pytest.mark.parametrize(
    "title", ["Case 12", "Eye surgery", "MVI_0231", "Live surgery part 3", "", "Interesting case!!!"]
)
def test_titles_that_say_nothing_are_vague_but_kept(title: str) -> None:
    made = structure(Metadata(title=title))
    assert made.vague
    assert to_text(made) == clean_title(title)


@pytest.mark.parametrize("title", ["Hard brown nucleus", "Trabeculectomy", "Case 12: subluxated lens"])
def test_titles_that_say_something_are_not(title: str) -> None:
    assert not structure(Metadata(title=title)).vague


def test_a_telling_description_makes_up_for_a_vague_title() -> None:
    assert not structure(Metadata(title="Case 12", description="Trabeculectomy with mitomycin C")).vague
