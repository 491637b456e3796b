"""Counterparts: what is exchanged in real sentences, what is left alone, and that endings and articles stay right."""

from __future__ import annotations

import random
from importlib import resources

import numpy as np
import pytest
import yaml

from ingest.text.counterparts import Opposites, counterpart
from ingest.text.lexicon import load_lexicon, shipped_lexicons
from ophclip.simulate.language import Procedure
from ophclip.simulate.narration import Narrator
from ophclip.simulate.phrases import CATARACT_PHRASES, DRUGS, SYNONYMS
from ophclip.simulate.phrases_glaucoma_cornea import OTHER_PHRASES


@pytest.fixture(scope="module")
def opposites() -> Opposites:
    return Opposites(load_lexicon(shipped_lexicons()))


def _made(opposites: Opposites, text: str) -> set[str]:
    return {one.made_in(text) for one in opposites.exchanges(text)}


@pytest.mark.parametrize(
    ("text", "contradicted"),
    [
        ("We inject the dye.", "We aspirate the dye."),
        ("She injects the dye.", "She aspirates the dye."),
        ("The dye was injected slowly.", "The dye was aspirated slowly."),
        ("Injecting the dye takes time.", "Aspirating the dye takes time."),
        ("A second injection follows.", "A second aspiration follows."),
        ("Two injections follow.", "Two aspirations follow."),
        ("THE DYE IS INJECTED", "THE DYE IS ASPIRATED"),
        ("The lens is withdrawn now.", "The lens is advanced now."),
        ("Finally I close the conjunctiva.", "Finally I open the conjunctiva."),
        ("The flap is raised.", "The flap is lowered."),
        ("The anterior capsule is thin.", "The posterior capsule is thin."),
        ("Turn it clockwise.", "Turn it counterclockwise."),
        ("A nasal iris hook.", "A temporal iris hook."),
        ("The left eye is draped.", "The right eye is draped."),
        ("The Left Eye Is Draped", "The Right eye Is Draped"),
        ("The remaining cortex comes.", "The remaining nucleus comes."),
        ("Take the forceps here.", "Take the scissors here."),
        ("Utrata forceps are used.", "Vannas scissors are used."),
        ("Two keratomes are ready.", "Two cystotomes are ready."),
        ("The slit knife comes in.", "The cystotome comes in."),
        ("Stain it with VisionBlue.", "Stain it with triamcinolone."),
        ("Healon goes in.", "Trypan blue goes in."),
        ("The needle driver turns.", "The keratome turns."),
        ("The cystic duct is left lateral.", "The cystic duct is left medial."),
    ],
)
def test_a_word_or_term_is_exchanged_in_its_form(text: str, contradicted: str, opposites: Opposites) -> None:
    assert contradicted in _made(opposites, text)


@pytest.mark.parametrize(
    "text",
    [
        "open angle glaucoma",
        "The angle is open and close to the limbus.",
        "What is left is right there, right now.",
        "The posterior capsule rupture was managed by anterior vitrectomy.",
        "Sutures of nylon, and a suture cut short.",
        "Polish and drain fold in place.",
        "The anterior and the posterior capsule.",
        "self-opening wound, non-injecting",
        "Thank you for watching.",
        "",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str, opposites: Opposites) -> None:
    assert opposites.exchanges(text) == ()
    assert counterpart(text, opposites, random.Random(0)) is None


def test_the_article_still_fits(opposites: Opposites) -> None:
    assert _made(opposites, "An irrigation and aspiration handpiece.") == {"An endolaser probe."}
    of_keratome = _made(opposites, "With a keratome.")
    assert "With a cystotome." in of_keratome
    assert not any("a irr" in one or "a endo" in one for one in of_keratome)


def test_every_name_is_a_term_and_every_form_is_there() -> None:
    lexicon = load_lexicon(shipped_lexicons())
    known = {term.name for term in lexicon.terms}
    listed = yaml.safe_load((resources.files("ingest.text") / "counterparts.yaml").read_text())
    for group in listed["terms"]:
        names = [name for member in group for name in ([member] if isinstance(member, str) else member)]
        assert len(set(names)) == len(names)
        assert set(names) <= known, set(names) - known
    for kind in ("verbs", "nouns", "words"):
        words = [w for group in listed[kind] for m in group for w in ([m] if isinstance(m, str) else m)]
        assert len(set(words)) == len(words), kind
        assert all(len(group) > 1 for group in listed[kind])


def test_what_the_simulated_surgeon_says_has_counterparts(opposites: Opposites) -> None:
    random_words = np.random.default_rng(0)
    tools = [name for names in SYNONYMS.values() for name in names]
    drugs = [name for names in DRUGS.values() for name in names]
    sentences = [
        template.format(
            tool=random_words.choice(tools),
            second=random_words.choice(tools),
            drug=random_words.choice(drugs),
            suture="ten zero nylon",
        )
        for templates in (*CATARACT_PHRASES.values(), *OTHER_PHRASES.values())
        for template in templates
    ]
    found = [counterpart(text, opposites, random.Random(number)) for number, text in enumerate(sentences)]
    assert len(sentences) > 150
    assert sum(one is not None for one in found) > 0.9 * len(sentences)
    assert all(one.lower() != text.lower() for one, text in zip(found, sentences, strict=True) if one is not None)
    opening = Narrator(random_words, 0.5).opening(Procedure.PHACO)
    assert counterpart(opening, opposites, random.Random(0)) != opening


def test_the_same_chance_draws_the_same(opposites: Opposites) -> None:
    text = "I inject viscoelastic into the anterior chamber with the cannula."
    draws = [counterpart(text, opposites, random.Random(seed)) for seed in range(40)]
    assert draws == [counterpart(text, opposites, random.Random(seed)) for seed in range(40)]
    assert len(set(draws)) > 5
    assert {"I aspirate viscoelastic into the anterior chamber with the cannula."} < set(draws)
