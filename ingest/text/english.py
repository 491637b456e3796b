"""How common a word is in everyday English, by the word counts that come with pyspellchecker."""

from __future__ import annotations

from functools import lru_cache

_GLUE = """
a an the and or but so if as at by for from in into is it its of off on onto out over than that then there this these
those to up was we were will with you your he she they i me my our be been are has have had do does not no now here can
may very more also which who what when where how all some any each other one
"""
FUNCTION_WORDS = frozenset(_GLUE.split())
"""Words that hold sentences together and name nothing."""


@lru_cache(maxsize=1)
def _counts() -> tuple[dict[str, int], int]:
    from spellchecker import SpellChecker

    frequency = SpellChecker(language="en").word_frequency
    return dict(frequency.dictionary), int(frequency.total_words)


@lru_cache(maxsize=65_536)
def uses_per_million(word: str) -> float:
    """Uses of a lower-case word among a million words of English text, 0 if it is unknown."""
    counts, total = _counts()
    return 1e6 * counts.get(word, 0) / total
