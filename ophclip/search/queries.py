"""A query as one vector: the name of an instrument stands for the instrument, any other words for themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.embedder import Embedder
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import Style
from ophclip.evaluation.vectors import unit
from ophclip.search.instruments import instrument_named, prompts_of, suggestions

__all__ = ["TEMPLATES", "instrument_named", "query_vector_of_text", "query_wordings", "suggestions", "wordings_vector"]

TEMPLATES = ("{query}", "a surgical video of {query}", "now we see {query}")


def query_wordings(query: str) -> tuple[tuple[str, ...], ...]:
    """The groups of sentences that stand for a query; each group weighs the same.

    Whatever name of an instrument is given, its label is put into `TEMPLATES`, and what `instruments.yaml` says of it
    is a second group: equal instruments have equal rankings. Any other query stands in `TEMPLATES` as it is.

    Raises:
        ValueError: the query is empty.
    """
    query = " ".join(query.split())
    if not query:
        raise ValueError('search: the query is empty; give some words, such as "phaco handpiece"')
    label = instrument_named(query)
    own = tuple(template.format(query=label or query) for template in TEMPLATES)
    described = None if label is None else prompts_of(label)
    return (own,) if described is None else (own, described.sentences(Style.ENSEMBLE))


def wordings_vector(embedder: Embedder, wordings: Sequence[Sequence[str]]) -> Floats:
    """Unit vector [D] of a query's groups of sentences."""
    vectors = [embedder.embed_texts(list(group)).astype(np.float64) for group in wordings]
    return unit(np.stack([unit(group.mean(axis=0)) for group in vectors]).mean(axis=0))


def query_vector_of_text(embedder: Embedder, text: str) -> NDArray[np.float32]:
    """Unit vector float32 [D] of a query in words.

    Raises:
        ValueError: the query is empty.
    """
    return wordings_vector(embedder, query_wordings(text)).astype(np.float32)
