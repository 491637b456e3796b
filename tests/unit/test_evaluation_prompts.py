"""Prompts: shipped sets, files in both forms, and labels found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophclip.evaluation.prompts import Style, builtin_prompts, load_prompts

SHIPPED = (
    *("autolaparo", "cataract1k", "cataract101", "cataract_tools", "cataracts", "catreldet", "cholec80"),
    *("instruments", "lensid", "ophnet", "procedures"),
)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_prompts_have_an_author_a_date_and_every_style(name: str) -> None:
    prompts = builtin_prompts(name)
    assert prompts.author
    assert len(prompts.date) == len("2026-01-01")
    assert prompts.styles == (Style.NAME, Style.NARRATION, Style.DESCRIPTION, Style.ENSEMBLE)
    for entry in prompts.classes:
        assert entry.sentences(Style.ENSEMBLE) == entry.name + entry.narration + entry.description
        assert all(text == text.strip() and "\n" not in text for text in entry.sentences(Style.ENSEMBLE))


def test_shipped_sets_are_complete() -> None:
    assert {name: len(builtin_prompts(name).classes) for name in ("cataract101", "ophnet")} == {
        "cataract101": 10, "ophnet": 52,
    }  # fmt: skip
    assert len(builtin_prompts("instruments").classes) >= 16


@pytest.mark.parametrize(
    ("called", "is_one_of"),
    [
        ("Phacoemulsifier_Handpiece", "phaco handpiece"),
        ("I/A handpiece", "irrigation and aspiration handpiece"),
        ("Slit/incision knife", "keratome"),
        ("implant-injector", "lens injector"),
        ("micromanipulator", "chopper"),
        ("Rycroft cannula", "irrigating cannula"),
        ("Vannas scissors", "Vannas scissors"),
        ("Mendez ring", "marker"),
    ],
)
def test_instruments_answer_to_the_names_that_datasets_use(called: str, is_one_of: str) -> None:
    instruments = builtin_prompts("instruments")
    chosen = instruments.for_labels([called]).classes[0]
    assert chosen.label == called
    assert chosen.name == next(entry.name for entry in instruments.classes if entry.label == is_one_of)


def test_unknown_labels_are_all_named_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"labels 'Juggling', 'Lunch'") as caught:
        builtin_prompts("cataract101").for_labels(["Rhexis", "Juggling", "Lunch"])
    assert "\n" not in str(caught.value)


def test_labels_may_share_a_class_only_where_nothing_has_to_tell_them_apart() -> None:
    instruments = builtin_prompts("instruments")
    shared = instruments.for_labels(["Rycroft cannula", "Charleux cannula"])
    assert shared.classes[0].name == shared.classes[1].name
    with pytest.raises(ValueError, match="'Rycroft cannula' and 'Charleux cannula' are one class"):
        instruments.for_labels(["Rycroft cannula", "Charleux cannula"], distinct=True)


def test_an_instrument_is_found_inside_a_query_by_its_longest_name() -> None:
    instruments = builtin_prompts("instruments")
    named = instruments.named_in("where is the Capsulorhexis-Forceps used?")
    assert named is not None
    assert named.label == "capsulorhexis forceps"
    assert instruments.named_in("phacos") is None


def test_a_text_file_gives_one_class_a_line_in_order(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("\ufeffI make an incision.\n\nI fold the lens.\n", encoding="utf-8")
    prompts = load_prompts(path)
    assert [entry.label for entry in prompts.classes] == ["I make an incision.", "I fold the lens."]
    assert prompts.styles == (Style.NAME, Style.ENSEMBLE)


def test_the_hash_changes_with_a_sentence_and_not_with_a_synonym(tmp_path: Path) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text("classes:\n  A: {name: [a], synonyms: [x]}\n", encoding="utf-8")
    first = load_prompts(path).sha256
    path.write_text("classes:\n  A: {name: [a], synonyms: [y]}\n", encoding="utf-8")
    assert load_prompts(path).sha256 == first
    path.write_text("classes:\n  A: {name: [b], synonyms: [x]}\n", encoding="utf-8")
    assert load_prompts(path).sha256 != first


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("classes: [a, b]", "an entry per class"),
        ("classes:\n  A: {name: [a], colour: [red]}", "and nothing else"),
        ("classes:\n  A: {name: a}", "must be a list of sentences"),
        ("classes:\n  A: {synonyms: [a]}", "has no sentence"),
        ("classes:\n  A: {name: [a]}\n  B: {name: [b], synonyms: [A]}", "it must name one class"),
        ("classes: {", "not YAML"),
    ],
)
def test_damaged_prompt_files_are_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "prompts.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=says) as caught:
        load_prompts(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: expected a prompts file"):
        load_prompts(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match=r"one of autolaparo, .*, ophnet, procedures"):
        load_prompts("cataract")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no sentence"):
        load_prompts(tmp_path / "empty.txt")


def test_labels_of_any_script_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "cyrillic.yaml"
    path.write_text(
        "author: a\ndate: 2026-11-26\nclasses:\n"
        "  Incision: {synonyms: [разрез], name: [an incision]}\n  '+': {name: [plus]}\n",
        encoding="utf-8",
    )
    prompts = load_prompts(path)
    assert prompts.for_labels(["разрез".upper(), "+"]).classes[0].name == ("an incision",)
    with pytest.raises(ValueError, match="линза"):
        prompts.for_labels(["разрез", "линза"])
    with pytest.raises(ValueError, match="'-'"):
        prompts.for_labels(["-"])


def test_lines_of_a_text_file_belong_to_classes_by_their_order(tmp_path: Path) -> None:
    path = tmp_path / "two.txt"
    path.write_text("I open the eye.\nI close the eye.\n", encoding="utf-8")
    found = load_prompts(path).for_labels(["X", "Y"], distinct=True)
    assert [(entry.label, entry.name) for entry in found.classes] == [
        ("X", ("I open the eye.",)),
        ("Y", ("I close the eye.",)),
    ]
    with pytest.raises(ValueError, match="2 sentences for 3 classes; expected one a line, in the order X, Y, Z"):
        load_prompts(path).for_labels(["X", "Y", "Z"])
