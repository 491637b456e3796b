"""Structured titles: what is read out of words, with evidence, what is denied, and what is called vague."""

from __future__ import annotations

import pytest

from ingest.records import Chapter, Metadata, Segment, Word
from ingest.text.lexicon import Lexicon, load_lexicon
from ingest.text.titles import MAX_VALUES, StructuredTitle, clean_title, clean_value, from_text, structure, to_text


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon(["ophthalmology"])


def said(*texts: str) -> tuple[Segment, ...]:
    """Sentences of ten seconds each, every word half a second."""
    return tuple(
        Segment(
            start_seconds=10.0 * place,
            end_seconds=10.0 * place + 9.0,
            text=text,
            words=tuple(
                Word(
                    start_seconds=10.0 * place + nth / 2,
                    end_seconds=10.0 * place + nth / 2 + 0.4,
                    text=f" {word}",
                    probability=0.9,
                )
                for nth, word in enumerate(text.split())
            ),
        )
        for place, text in enumerate(texts)
    )


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


def test_attributes_come_from_title_and_description_by_their_canonical_names(lexicon: Lexicon) -> None:
    made, evidence = structure(
        Metadata(
            title="PKP for bullous keratopathy",
            description="A vacuum trephine, then cardinal sutures.\nSurgery in order to restore a clear cornea.",
        ),
        lexicon,
    )
    assert made.procedure == ("penetrating keratoplasty",)
    assert made.eye_condition == ("bullous keratopathy",)
    assert made.instruments == ("vacuum trephine",)
    assert made.phases == ("cardinal suture placement",)
    assert made.objective == ("restore a clear cornea",)
    assert not made.vague
    text = (
        "PKP for bullous keratopathy: a video of penetrating keratoplasty; for bullous keratopathy; "
        "with vacuum trephine; in order to restore a clear cornea; showing cardinal suture placement."
    )
    assert to_text(made) == text
    assert from_text(text) == made
    assert [(one.attribute, one.origin, one.quote) for one in evidence][:2] == [
        ("procedure", "title", "PKP for bullous keratopathy"),
        ("eye_condition", "title", "PKP for bullous keratopathy"),
    ]
    assert {one.value for one in evidence} == {value for _name, value in made.values()}


def test_terms_match_whole_words_and_the_longest_first(lexicon: Lexicon) -> None:
    made, _ = structure(Metadata(title="Phaco chop with a phaco probe in a phacomorphic eye"), lexicon)
    assert made.technique == ("phaco chop",)
    assert made.instruments == ("phaco handpiece",)
    assert made.procedure == ()


@pytest.mark.parametrize(
    ("title", "description"),
    [
        ("Case 12", "No vitrectomy was needed."),
        ("Case 12", "Vitrectomy was not necessary."),
        ("Case 12", "This was done without a pars plana vitrectomy."),
        ("Case 12", "We avoided vitrectomy here"),
        ("Case 12", "Vitrectomy wasn't performed"),
        ("Case 12", "Patient with previous vitrectomy"),
        ("Case 12", "She had a vitrectomy 3 years ago"),
        ("Case 12", "Watch also my other videos: vitrectomy"),
        ("Instead of vitrectomy", ""),
        ("Eye after vitrectomy", ""),
    ],
)
def test_what_is_denied_or_past_is_no_evidence(title: str, description: str, lexicon: Lexicon) -> None:
    made, evidence = structure(Metadata(title=title, description=description), lexicon)
    assert made.procedure == ()
    assert evidence == ()


@pytest.mark.parametrize(
    "title",
    [
        "Not only vitrectomy",
        "No problem but vitrectomy",
        "Without sutures, vitrectomy",
        "Vitrectomy is not easy",
        "No stitch. Vitrectomy",
        "Vitrectomy in a non-compliant patient",
    ],
)
def test_a_denial_of_something_else_denies_nothing(title: str, lexicon: Lexicon) -> None:
    assert structure(Metadata(title=title), lexicon)[0].procedure == ("pars plana vitrectomy",)


def test_harm_that_is_only_feared_is_no_condition(lexicon: Lexicon) -> None:
    feared = Metadata(title="Phaco", description="This lowers the risk of endophthalmitis.")
    assert structure(feared, lexicon)[0].eye_condition == ()
    there = Metadata(title="Vitrectomy for endophthalmitis")
    assert structure(there, lexicon)[0].eye_condition == ("endophthalmitis",)


def test_chapters_give_phases_with_their_second(lexicon: Lexicon) -> None:
    chapters = [Chapter(start_seconds=61.5, end_seconds=90.0, title="3. Capsulorhexis")]
    made, (evidence,) = structure(Metadata(title="Case 1"), lexicon, chapters)
    assert made.phases == ("capsulorhexis",)
    assert (evidence.origin, evidence.quote, evidence.start_seconds) == ("chapter", "Capsulorhexis", 61.5)


def test_narration_counts_if_it_says_so_twice_or_says_it_is_done(lexicon: Lexicon) -> None:
    once = said("The keratome matters.")
    assert structure(Metadata(), lexicon, (), once)[0].instruments == ()
    twice = said("The keratome matters.", "A keratome is sharp.")
    assert structure(Metadata(), lexicon, (), twice)[0].instruments == ("keratome",)
    done = said("Here the next thing.", "So I make it with a keratome.")
    made, (evidence,) = structure(Metadata(), lexicon, (), done)
    assert made.instruments == ("keratome",)
    assert (evidence.origin, evidence.start_seconds) == ("narration", 13.0)
    assert evidence.quote == "So I make it with a keratome."
    supposed = said("Some surgeons would use a keratome.", "If I use a keratome it is quicker.")
    assert structure(Metadata(), lexicon, (), supposed)[0].instruments == ()


def test_a_spoken_procedure_counts_only_where_nothing_written_names_one(lexicon: Lexicon) -> None:
    narration = said("We perform a trabeculectomy.", "Now the trabeculectomy goes on.")
    assert structure(Metadata(title="Case 3"), lexicon, (), narration)[0].procedure == ("trabeculectomy",)
    assert structure(Metadata(title="Goniotomy"), lexicon, (), narration)[0].procedure == ("goniotomy",)


def test_an_attribute_stays_short_and_keeps_what_is_written(lexicon: Lexicon) -> None:
    narration = said(*(f"I use a {name}." for name in lexicon.hot[:20]), "I take the Simcoe cannula.")
    made, _ = structure(Metadata(title="Phaco with a Malyugin ring"), lexicon, (), narration)
    assert len(made.instruments) == MAX_VALUES
    assert made.instruments[0] == "Malyugin ring"


@pytest.mark.parametrize(
    ("text", "objective"),
    [
        ("Trabeculectomy for the management of uncontrolled glaucoma", "manage uncontrolled glaucoma"),
        ("Ahmed valve to lower intraocular pressure in a child", "lower intraocular pressure"),
        ("LRI in order to reduce astigmatism, step by step", "reduce astigmatism"),
        ("The aim of this surgery is to flatten the retina with oil", "flatten the retina"),
        ("Phaco", None),
    ],
)
def test_objectives_are_read_by_their_patterns(text: str, objective: str | None, lexicon: Lexicon) -> None:
    made, _ = structure(Metadata(title="A", description=text), lexicon)
    assert made.objective == ((objective,) if objective else ())


@pytest.mark.parametrize(
    "title", ["Case 12", "Eye surgery", "MVI_0231", "Live surgery part 3", "", "Interesting case!!!"]
)
def test_titles_that_say_nothing_are_vague_but_kept(title: str, lexicon: Lexicon) -> None:
    made, evidence = structure(Metadata(title=title), lexicon)
    assert made.vague
    assert evidence == ()
    assert to_text(made) == clean_title(title)


@pytest.mark.parametrize("title", ["Hard brown nucleus", "Trabeculectomy", "Case 12: subluxated lens"])
def test_titles_that_say_something_are_not(title: str, lexicon: Lexicon) -> None:
    assert not structure(Metadata(title=title), lexicon)[0].vague


def test_a_telling_description_makes_up_for_a_vague_title(lexicon: Lexicon) -> None:
    made, _ = structure(Metadata(title="Case 12", description="Trabeculectomy with mitomycin C"), lexicon)
    assert not made.vague
    assert to_text(made) == "Case 12: a video of trabeculectomy; giving mitomycin C."


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (StructuredTitle(instruments=("keratome",)), "a surgical video; with keratome."),
        (StructuredTitle(title="a video of x"), "a video of x"),
        (
            StructuredTitle(title="a surgical video", phases=("a", "b")),
            "a surgical video: a surgical video; showing a, b.",
        ),
        (StructuredTitle(), ""),
    ],
)
def test_text_parses_back_where_a_title_sounds_like_the_template(made: StructuredTitle, text: str) -> None:
    assert to_text(made) == text
    assert from_text(text) == made


def test_what_would_break_the_sentence_is_refused() -> None:
    with pytest.raises(ValueError, match="without colon"):
        StructuredTitle(title="a: b")
    with pytest.raises(ValueError, match="technique: 'a, b'"):
        StructuredTitle(technique=("a, b",))
    with pytest.raises(ValueError, match="no clause"):
        from_text("nonsense.")
    assert clean_value(' a, "b"; c. ') == "a b c"
