"""A query as one vector: what was asked, in a few wordings, and what is known about the instrument that it names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from ophclip.evaluation.embedder import Embedder
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import PromptSet, Style, builtin_prompts
from ophclip.evaluation.vectors import unit

TEMPLATES = ("{query}", "a surgical video of {query}", "now we see {query}")


def query_wordings(query: str) -> tuple[tuple[str, ...], ...]:
    """The groups of sentences that stand for a query; each group weighs the same.

    The query in `TEMPLATES`; if it names an instrument, what `instruments.yaml` says of it is a second group.

    Raises:
        ValueError: the query is empty.
    """
    query = " ".join(query.split())
    if not query:
        raise ValueError('search: the query is empty; give some words, such as "phaco handpiece"')
    own = tuple(template.format(query=query) for template in TEMPLATES)
    named = _instruments().named_in(query)
    return (own,) if named is None else (own, named.sentences(Style.ENSEMBLE))


def wordings_vector(embedder: Embedder, wordings: Sequence[Sequence[str]]) -> Floats:
    """Unit vector [D] of a query's groups of sentences."""
    vectors = [embedder.embed_texts(list(group)).astype(np.float64) for group in wordings]
    return unit(np.stack([unit(group.mean(axis=0)) for group in vectors]).mean(axis=0))


@cache
def _instruments() -> PromptSet:
    return builtin_prompts("instruments")
