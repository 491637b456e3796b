"""Queries by name: every name of an instrument is the same query, sentences are themselves, suggestions are names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ophclip.evaluation.prompts import Style, builtin_prompts
from ophclip.search.instruments import instrument_named, prompts_of, suggestions
from ophclip.search.queries import query_vector_of_text, query_wordings


class _Letters:
    """Counts letters: texts that differ have vectors that differ."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = [[text.count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        return np.asarray(counts, dtype=np.float32)


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("IOL injector", "lens injector", "a Lens Cartridge", "lens cartridges", "the IOL-inserter"), "lens injector"),
        (("slit knife", "slit blade", "KERATOME", "main incision knife"), "keratome"),
        (("Rycroft", "irrigating cannula", "BSS cannula"), "irrigating cannula"),
        (("Swan knife", "Barkan knife", "goniotomy knife"), "goniotomy knife"),
        (("KDB", "kdb", "Kahook blade"), "Kahook Dual Blade"),
    ],
)
def test_every_name_of_an_instrument_is_the_same_query(names: tuple[str, ...], label: str) -> None:
    assert [instrument_named(name) for name in names] == [label] * len(names)
    vectors = [query_vector_of_text(_Letters(), name) for name in names]  # type: ignore[arg-type]
    for vector in vectors:
        np.testing.assert_array_equal(vector, vectors[0])
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "sentence",
    [
        "viscoelastic into the anterior chamber",
        "the forceps hold the suture",
        "lens injector in the main wound",
        "no instrument",
        "!?",
    ],
)
def test_a_sentence_is_itself(sentence: str) -> None:
    assert instrument_named(sentence) is None
    assert query_wordings(sentence)[0][0] == sentence
    assert len(query_wordings(sentence)) == 1


def test_names_of_the_prompts_are_theirs_and_none_is_lost() -> None:
    for entry in builtin_prompts("instruments").classes:
        for name in (entry.label, *entry.name, *entry.synonyms):
            named = instrument_named(name)
            # A name of several, such as "needle and suture", is read as a sentence.
            assert named in (entry.label, None), name
        assert instrument_named(entry.label) == entry.label
        assert prompts_of(entry.label) == entry
        assert query_wordings(entry.label)[1] == entry.sentences(Style.ENSEMBLE)


def test_suggestions_begin_with_what_was_typed_and_end() -> None:
    assert suggestions("lens i", 3)[0] == "lens injector"
    assert suggestions("phaco")[0] == "phaco handpiece"
    assert "keratome" in suggestions("", 8)
    assert suggestions("INJ", 1) == suggestions("inj", 1)
    assert suggestions("no such thing") == []
    found = suggestions("c", 500)
    assert len(found) == len({name.casefold() for name in found}) > 50
    assert all(any(word.startswith("c") for word in name.casefold().replace("-", " ").split()) for name in found[:100])
    with pytest.raises(ValueError, match="limit is 0"):
        suggestions("a", 0)
