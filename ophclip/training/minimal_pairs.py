"""Counterparts of the narrations of a batch, ready for the text tower."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from ingest.text.counterparts import Opposites, counterpart
from ingest.text.lexicon import load_lexicon, shipped_lexicons
from ophclip.data.batch import Tokens
from ophclip.data.tokenizer import Tokenizer
from ophclip.training.chance import derived_seed


class Contradicting(NamedTuple):
    """Texts of a batch with one word exchanged, and which of the batch each contradicts (int64 [p])."""

    tokens: Tokens
    row_p: Tensor


class MinimalPairs:
    """Draws a counterpart for each text that has one, with the terms of all shipped lexicons."""

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        self._opposites = Opposites(load_lexicon(shipped_lexicons()))
        self._tokenizer = tokenizer
        self._seed = seed

    def draw(self, texts: Sequence[str], step: int, first: int = 0) -> Contradicting | None:
        """One counterpart for each text at the most; None if no text has any.

        `first` is how many texts other ranks hold before these: each draws by its place among all.
        """
        chances = (
            Random(derived_seed(self._seed, step, f"counterpart {first + place}")) for place in range(len(texts))
        )
        drawn = [counterpart(text, self._opposites, random) for text, random in zip(texts, chances, strict=True)]
        rows = [row for row, text in enumerate(drawn) if text is not None]
        if not rows:
            return None
        return Contradicting(self._tokenizer([text for text in drawn if text is not None]), torch.tensor(rows))
