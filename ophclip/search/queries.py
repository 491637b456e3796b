"""A query as one vector: what was asked, in a few wordings, and what is known about the instrument that it names."""

from __future__ import annotations

from functools import cache

import numpy as np

from ophclip.evaluation.embedding import unit
from ophclip.evaluation.metrics import Floats
from ophclip.evaluation.prompts import PromptSet, Style, builtin_prompts
from ophclip.models.bundle import Loaded
from ophclip.models.embed import embed_texts

TEMPLATES = ("{query}", "a surgical video of {query}", "now we see {query}")


def text_vector(loaded: Loaded, query: str) -> Floats:
    """Unit vector [D] of a text query.

    The mean over `TEMPLATES`; if the query names an instrument, what `instruments.yaml` says of it has an equal say.

    Raises:
        ValueError: the query is empty.
    """
    wordings = query_wordings(query)
    vectors = [embed_texts(loaded.model, loaded.tokenizer, list(group)).astype(np.float64) for group in wordings]
    return unit(np.stack([unit(group.mean(axis=0)) for group in vectors]).mean(axis=0))


def query_wordings(query: str) -> tuple[tuple[str, ...], ...]:
    """The groups of sentences that stand for a query; each group weighs the same."""
    query = " ".join(query.split())
    if not query:
        raise ValueError('search: the query is empty; give some words, such as "phaco handpiece"')
    own = tuple(template.format(query=query) for template in TEMPLATES)
    named = _instruments().named_in(query)
    return (own,) if named is None else (own, named.sentences(Style.ENSEMBLE))


@cache
def _instruments() -> PromptSet:
    return builtin_prompts("instruments")
