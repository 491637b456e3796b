"""A verifier that finds what a rewrite adds, and lets honest wording pass."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.text.lexicon import Category, Lexicon, Term
from ingest.text.quantities import quantities
from ingest.text.stems import stem
from ingest.text.verify import Verifier, added

LEXICON = Lexicon(
    (
        Term(name="keratome", category=Category.INSTRUMENT, variants=("slit knife",)),
        Term(name="Sinskey hook", category=Category.INSTRUMENT),
        Term(name="ophthalmic viscosurgical device", category=Category.MEDICATION, variants=("viscoelastic", "visco")),
        Term(name="trypan blue", category=Category.MEDICATION, variants=("vision blue",)),
        Term(name="intraocular lens", category=Category.INSTRUMENT, abbreviations=("IOL",)),
        Term(name="anterior chamber", category=Category.ANATOMY, abbreviations=("AC",)),
        Term(name="posterior capsule", category=Category.ANATOMY),
        Term(name="vitrectomy", category=Category.PROCEDURE),
        Term(name="capsulorhexis", category=Category.PHASE, variants=("rhexis", "CCC")),
        Term(name="speculum insertion", category=Category.PHASE),
    )
)
HONEST = [
    (
        "so i uh make a two point four millimeter cut with the keratome",
        "A 2.4 mm incision is made with the slit knife.",
    ),
    ("visco goes into the ac and fills it", "The AC is filled with viscoelastic."),
    ("visco is injected", "An ophthalmic viscosurgical device is instilled."),
    ("then the i o l well the iol is put in", "The IOL is inserted."),
    ("we put the speculum in", "The speculum insertion."),
    ("ten zero nylon is passed at three o'clock", "10-0 nylon is passed at 3 o'clock."),
    ("the tear goes one hundred eighty degrees", "The tear extends 180 degrees."),
    ("no vitrectomy was needed here", "Vitrectomy was not needed."),
    ("all right now i rotate the lens", "The lens is rotated."),
    ("the stone is left in place", "The stone is left in place."),
    ("there are both haptics", "The two haptics are visible."),
    ("we're polishing the posterior capsule", "The posterior capsule is polished."),
    ("dissection of the adhesions with scissors", "Adhesions are dissected with scissors."),
    ("the haemorrhage is coagulated", "Hemorrhage is cauterized."),
    ("we do not touch the iris but we rotate the lens", "The lens is rotated without touching the iris."),
]
LIES = [
    ("i make a cut with the keratome", "A 2.4 mm incision is made with the keratome.", "number: 2.4 mm"),
    ("the lens is rotated", "The lens is rotated with a Sinskey hook.", "instrument: Sinskey hook"),
    ("the capsule is stained", "The capsule is stained with trypan blue.", "medication: trypan blue"),
    ("visco is injected", "Viscoelastic is aspirated.", "action: aspirated"),
    ("the cut is made on the left", "The incision is made on the right.", "side: right"),
    ("right now i make the cut", "The incision is made on the right.", "side: right"),
    ("it is left in place", "The left side is in place.", "side: left"),
    ("no vitrectomy was needed", "Vitrectomy was needed.", "negation: Vitrectomy"),
    ("a vitrectomy was needed", "No vitrectomy was needed.", "negation: vitrectomy"),
    ("the posterior capsule is not torn", "The posterior capsule is torn.", "negation: torn"),
    ("the capsule is torn", "The capsule isn't torn.", "negation: torn"),
    ("we place it at three o'clock", "It is placed at nine o'clock.", "number: nine o'clock"),
    ("three millimeters", "three degrees", "number: three degrees"),
    ("nylon is used", "10-0 nylon is used.", "number: 10-0"),
    ("then comes the second step", "Two steps follow.", "number: Two"),
    (
        "the wound is closed",
        "The wound is closed and cefuroxime with moxifloxacin is given.",
        "medication: moxifloxacin",
    ),
    ("the duct is divided", "The duct is divided with scissors.", "instrument: scissors"),
    ("the appendix is removed", "An appendectomy follows.", "procedure: appendectomy"),
    ("the bag is empty", "The bag is empty and bleeding is seen.", "action: bleeding"),
    ("the capsule is polished", "The posterior capsule is polished.", "anatomy: posterior capsule"),
    ("the eye is ready", "The temporal side of the eye is ready.", "side: temporal"),
]


@pytest.mark.parametrize(("transcript", "rewrite"), HONEST)
def test_honest_wording_passes(transcript: str, rewrite: str) -> None:
    assert added(transcript, rewrite, LEXICON) == ()


@pytest.mark.parametrize(("transcript", "rewrite", "claim"), LIES)
def test_what_is_added_is_named(transcript: str, rewrite: str, claim: str) -> None:
    assert claim in added(transcript, rewrite, LEXICON)


@pytest.mark.parametrize("transcript", [transcript for transcript, _ in HONEST] + [one for one, _, _ in LIES])
def test_a_text_adds_nothing_to_itself(transcript: str) -> None:
    verifier = Verifier(LEXICON)
    assert verifier.added(transcript, transcript) == ()
    assert verifier.added(transcript, "") == ()


WORDS = st.sampled_from(
    [
        "no",
        "not",
        "the",
        "lens",
        "keratome",
        "left",
        "right",
        "two",
        "2.4",
        "mm",
        "second",
        "inject",
        "aspirate",
        "and",
        "but",
        ",",
        ".",
        "we",
        "vitrectomy",
        "without",
        "posterior",
        "capsule",
        "one",
        "hundred",
        "point",
        "oh",
        "five",
        "o'clock",
        "behind",
        "n't",
        "cannot",
        "avoid",
    ]
)


@given(st.lists(WORDS, max_size=14).map(" ".join), st.lists(WORDS, max_size=8).map(" ".join))
def test_text_of_any_form_adds_nothing_to_itself(told: str, more: str) -> None:
    verifier = Verifier(LEXICON)
    assert verifier.added(told, told) == ()
    assert all(": " in claim for claim in verifier.added(told, more))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two point four millimeters", [("2.4", "mm")]),
        ("a 2.4-mm keratome, 2,4 mm", [("2.4", "mm"), ("2.4", "mm")]),
        ("one hundred and eighty degrees", [("180", "degree")]),
        ("twenty three gauge, 23-gauge", [("23", "gauge"), ("23", "gauge")]),
        ("ten oh nylon and 8/0 vicryl", [("10-0", ""), ("8-0", "")]),
        ("three clock hours at 6 and 12 o'clock", [("3", "clock hour"), ("6", ""), ("12", "clock")]),
        ("second instrument for thirty seconds", [("2", "ordinal"), ("30", "second")]),
        ("point one two percent, 0.120 %", [("0.12", "percent"), ("0.12", "percent")]),
        ("1,000 ml or two thousand five hundred ml", [("1000", "ml"), ("2500", "ml")]),
        ("five six seven", [("5", ""), ("6", ""), ("7", "")]),
        ("1:1000", [("1", ""), ("1000", "")]),
        ("the hundred eyes point to the clock", []),
        ("zero degrees", [("0", "degree")]),
    ],
)
def test_numbers_as_spoken_and_written(text: str, expected: list[tuple[str, str]]) -> None:
    found = quantities(text)
    assert [(one.value, one.unit) for one in found] == expected
    assert all(one.start < two.start for one, two in itertools.pairwise(found))


@given(st.integers(min_value=0, max_value=999_999))
def test_every_number_is_read_as_it_is_spoken(number: int) -> None:
    assert [one.value for one in quantities(spoken(number))] == [str(number)]


ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spoken(number: int) -> str:
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f"-{ONES[number % 10]}" if number % 10 else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = number % size
    return f"{spoken(number // size)} {name}" + (f" {spoken(rest)}" if rest else "")


@pytest.mark.parametrize(
    "words",
    [
        "inject injects injected injecting injection",
        "irrigate irrigated irrigation irrigating",
        "haemostasis hemostasis",
        "visualise visualized visualizing",
        "remove removed removal removing",
        "placed placement placing",
        "division divide dividing",
        "grip gripping gripped",
        "knife knives",
    ],
)
def test_forms_of_a_word_share_a_stem(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


def test_different_words_keep_different_stems() -> None:
    words = [
        "lens",
        "iris",
        "inject",
        "aspirate",
        "irrigate",
        "incise",
        "insert",
        "remove",
        "rotate",
        "retract",
        "dilate",
        "divide",
        "needle",
        "need",
    ]
    assert len({stem(word) for word in words}) == len(words)
