"""What reads text and is built once in a process: the lexicon, the filter, the rewriter. Built when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ingest.config import IngestConfig
from ingest.records import Clip, Correction, Rejection, Segment
from ingest.text.clean import Cleaned
from ingest.text.procedural import SentenceFilter, build_filter, keep_procedural


class TextTools:
    """The tools that `config` asks for. A tool that is switched off passes text through."""

    def __init__(self, config: IngestConfig) -> None:
        self._config = config

    @property
    def hot_words(self) -> Sequence[str]:
        """Terms that the recogniser was prompted with."""
        return self._config.asr.terms

    def corrected(self, sentences: Sequence[Segment]) -> tuple[tuple[Segment, ...], tuple[Correction, ...]]:
        """Misheard terms put right."""
        return tuple(sentences), ()

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
