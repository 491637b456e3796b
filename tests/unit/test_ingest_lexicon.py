"""Lexicons: what the shipped ones hold, how terms are found, and what a malformed file is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.text.lexicon import Category, Lexicon, load_lexicon, shipped_lexicons
from ingest.text.spelling import british, conjugated, plural
from ingest.text.titles import clean_value


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon(["ophthalmology"])


def names(lexicon: Lexicon, text: str) -> list[str]:
    return [one.term.name for one in lexicon.find(text)]


def test_the_shipped_terms_are_many_distinct_and_complete(lexicon: Lexicon) -> None:
    assert len({term.name.casefold() for term in lexicon.terms}) == len(lexicon.terms) >= 1500
    assert {term.category for term in lexicon.terms} == set(Category)
    assert all(term.source for term in lexicon.terms)
    assert all(clean_value(term.name) == term.name for term in lexicon.terms)
    spelled_alike = {british(term.name.casefold()) for term in lexicon.terms}
    assert len(spelled_alike) == len(lexicon.terms)
    assert 30 <= len(lexicon.hot) <= 40
    for category in Category:
        assert len(lexicon.names(category)) >= 100, category


def test_the_shipped_lexicons_can_be_joined_in_any_order() -> None:
    assert shipped_lexicons() == ("laparoscopy", "ophthalmology")
    one, two = load_lexicon(["ophthalmology", "laparoscopy"]), load_lexicon(["laparoscopy", "ophthalmology"])
    assert {term.name for term in one.terms} == {term.name for term in two.terms}
    assert len(load_lexicon(["laparoscopy"]).terms) >= 150


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Paracenteses and RHEXIS.", ["paracentesis", "capsulorhexis"]),
        ("an I O L, an I.O.L. and IOLs", ["intraocular lens"] * 3),
        ("ppv or PPV, not Ppvs", ["pars plana vitrectomy"] * 2 + ["pars plana vitrectomy"]),
        ("Descemets membrane; Descemet\u2019s membrane", ["Descemet membrane"] * 2),
        ("posterior capsule polishing", ["capsule polishing"]),
        ("the iris. Hook it", ["iris"]),
        ("iris-hook and irises", ["iris hook", "iris"]),
        ("corneal oedema, vitreous haemorrhage", ["corneal edema", "vitreous hemorrhage"]),
        ("it was hydrodissected and grasped", ["hydrodissect", "grasp"]),
        ("phacoemulsificationist ac", []),
    ],
)
def test_terms_are_found(text: str, found: list[str], lexicon: Lexicon) -> None:
    assert names(lexicon, text) == found
    assert all(text[one.start : one.end].strip() == text[one.start : one.end] != "" for one in lexicon.find(text))


def test_forms_follow_by_rule() -> None:
    assert [plural(one) for one in ("hook", "iridectomy", "rhexis", "scissors")] == [
        "hooks",
        "iridectomies",
        "rhexes",
        "scissors",
    ]
    assert conjugated("crack the nucleus") == ("cracks the nucleus", "cracked the nucleus", "cracking the nucleus")
    assert conjugated("grip") == ("grips", "gripped", "gripping")


def test_users_bring_their_own(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("source: a\nsources: {a: ours}\nterms: {instrument: {keratome: {also: [our knife]}, thing: }}\n")
    joined = load_lexicon(["ophthalmology", str(own)])
    assert names(joined, "slit knife, our knife, thing") == ["keratome", "keratome", "thing"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("terms: [", "not readable as YAML"),
        ("term: {}", "expected a mapping of"),
        ("terms: {tool: {a: }}", "terms: 'tool'"),
        ("terms: {action: {a: }}", "term 'a': source ''"),
        ("source: s\nsources: {s: x}\nterms: {action: {a: , a: }}", "'a' stands twice"),
        ("source: s\nsources: {s: x}\nterms: {action: {a: {also: [1]}}}", "term 'a': also"),
        ("source: s\nsources: {s: x}\nterms: {action: {a: {hot: 1}}}", "term 'a': hot"),
        ("source: s\nsources: {s: x}\nterms: {action: {a: {alias: [b]}}}", "term 'a': expected a mapping"),
        ("source: s\nsources: {s: x}\nterms: {action: {a: {also: [x]}, b: {also: [X]}}}", "'x' means 'a'"),
        ('source: s\nsources: {s: x}\nterms: {action: {"a, b": }}', "term 'a, b'"),
    ],
)
def test_a_malformed_file_is_told_in_one_line(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"own\.yaml") as caught:
        load_lexicon([str(path)])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_lexicon_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="no such file and not shipped; expected laparoscopy, ophthalmology"):
        load_lexicon(["opthalmology"])
