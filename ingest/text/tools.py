"""What reads text and is built once in a process: the lexicon, the filter, the rewriter. Built when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ingest.config import IngestConfig
from ingest.records import Clip, Correction, Rejection, Segment
from ingest.text.clean import Cleaned
from ingest.text.correct import correct
from ingest.text.lexicon import Lexicon, load_lexicon
from ingest.text.procedural import SentenceFilter, build_filter, keep_procedural


class TextTools:
    """The tools that `config` asks for. A tool that is switched off passes text through."""

    def __init__(self, config: IngestConfig) -> None:
        """Raises ValueError in one line if a lexicon is missing or faulty."""
        self._config = config
        self.lexicon: Lexicon = load_lexicon(config.lexicons)
        self.hot_words: tuple[str, ...] = hot_words(config, self.lexicon)
        """Terms that the recogniser is prompted with."""

    def corrected(self, sentences: Sequence[Segment]) -> tuple[tuple[Segment, ...], tuple[Correction, ...]]:
        """Misheard terms put right."""
        if not self._config.correct.enabled:
            return tuple(sentences), ()
        return correct(sentences, self.lexicon, self._config.correct)

    def masked(self, sentences: Sequence[Segment]) -> tuple[tuple[Segment, ...], tuple[Correction, ...]]:
        """Names, dates and numbers of persons taken out."""
        return tuple(sentences), ()

    def masked_rejections(self, rejections: Sequence[Rejection]) -> tuple[Rejection, ...]:
        """The same of what was refused."""
        return tuple(rejections)

    def procedural(self, sentences: Sequence[Segment]) -> Cleaned:
        """Sentences that describe the operation, and the others."""
        if not self._config.filter.enabled:
            return Cleaned(accepted=tuple(sentences), rejected=())
        return keep_procedural(sentences, self._filter, self._config.filter.threshold)

    def rewritten(self, clip: Clip) -> Clip:
        """A clip with its narration rewritten by a language model, the spoken words kept beside it."""
        return clip

    @cached_property
    def _filter(self) -> SentenceFilter:
        return build_filter(self._config.filter)


def hot_words(config: IngestConfig, lexicon: Lexicon) -> tuple[str, ...]:
    """`asr.terms`, or where there are none those that the lexicons mark as hot."""
    return tuple(config.asr.terms) or lexicon.hot
