"""What reads text and is built once in a process: the lexicon, the filter, the rewriter. Built when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ingest.config import IngestConfig
from ingest.records import REWRITTEN, Clip, Correction, Evidence, Metadata, Refused, Rejection, Segment, Transcript
from ingest.text.clean import Cleaned
from ingest.text.correct import correct
from ingest.text.identifiers import mask_identifiers, mask_sentence
from ingest.text.lexicon import Lexicon, load_lexicon
from ingest.text.procedural import SentenceFilter, build_filter, keep_procedural
from ingest.text.rewrite import build_rewriter
from ingest.text.titles import StructuredTitle, clean_value


class TextTools:
    """The tools that `config` asks for. A tool that is switched off passes text through."""

    def __init__(self, config: IngestConfig, corpus: Path) -> None:
        """Raises ValueError in one line if a lexicon is missing or faulty."""
        self._config = config
        self.lexicon: Lexicon = load_lexicon(config.lexicons)
        self.hot_words: tuple[str, ...] = hot_words(config, self.lexicon)
        """Terms that the recogniser is prompted with."""
        self.rewriter = build_rewriter(config.rewrite, corpus, self.lexicon)

    def corrected(self, sentences: Sequence[Segment]) -> tuple[tuple[Segment, ...], tuple[Correction, ...]]:
        """Misheard terms put right."""
        if not self._config.correct.enabled:
            return tuple(sentences), ()
        return correct(sentences, self.lexicon, self._config.correct)

    def masked(self, transcript: Transcript) -> tuple[Transcript, tuple[Correction, ...]]:
        """A transcript without names, dates and numbers of persons, and where they were; not what they were."""
        if not self._config.identifiers.enabled:
            return transcript, ()
        segments: list[Segment] = []
        changes: list[Correction] = []
        for segment in transcript.segments:
            masked, found = mask_sentence(segment, self.lexicon, self._config.identifiers.allow)
            segments.append(masked)
            changes += [_mask_record(segment, one.kind) for one in found]
        return replace(transcript, segments=tuple(segments)), tuple(changes)

    def masked_metadata(self, metadata: Metadata) -> Metadata:
        """The same of title, description and chapters."""
        if not self._config.identifiers.enabled:
            return metadata
        chapters = tuple(replace(one, title=self._masked_text(one.title)) for one in metadata.chapters)
        title, description = self._masked_text(metadata.title), self._masked_text(metadata.description)
        return replace(metadata, title=title, description=description, chapters=chapters)

    def _masked_text(self, text: str) -> str:
        return mask_identifiers(text, self.lexicon, self._config.identifiers.allow)[0]

    def procedural(self, sentences: Sequence[Segment]) -> Cleaned:
        """Sentences that describe the operation, and the others."""
        if not self._config.filter.enabled:
            return Cleaned(accepted=tuple(sentences), rejected=())
        return keep_procedural(sentences, self._filter, self._config.filter.threshold)

    def rewritten(self, clip: Clip) -> tuple[Clip, tuple[Correction, ...], tuple[Rejection, ...]]:
        """A clip in the words of a language model, its own kept beside them, with the account of it."""
        if self.rewriter is None:
            return clip, (), ()
        found = self.rewriter.rewrite(clip.narration)
        span = (clip.start_seconds, clip.end_seconds)
        if not found.kept:
            reason = f"rewrite: {found.reason} ({found.attempts} answers)"
            return clip, (), (_refused_rewrite(span, found.before, reason),)
        reason = f"{REWRITTEN}: {found.attempts} answers"
        change = Correction(
            start_seconds=span[0], end_seconds=span[1], before=found.before, after=found.after, reason=reason
        )
        return replace(clip, narration=found.after, alternatives=(found.before, *clip.alternatives)), (change,), ()

    def read_title(self, title: StructuredTitle, text: str) -> tuple[StructuredTitle, tuple[Evidence, ...]]:
        """A title with what a language model finds in the video's text besides."""
        if self.rewriter is None:
            return title, ()
        added: list[Evidence] = []
        for one in self.rewriter.title_fields(text).evidence:
            known: tuple[str, ...] = getattr(title, one.attribute)
            value = clean_value(one.value)
            if value and value not in known:
                title = _extended(title, one.attribute, value)
                added.append(replace(one, value=value))
        return title, tuple(added)

    @cached_property
    def _filter(self) -> SentenceFilter:
        return build_filter(self._config.filter)


def _extended(title: StructuredTitle, attribute: str, value: str) -> StructuredTitle:
    values: dict[str, Any] = {attribute: (*getattr(title, attribute), value)}
    return replace(title, **values)


def _mask_record(segment: Segment, kind: str) -> Correction:
    return Correction(
        start_seconds=segment.start_seconds,
        end_seconds=segment.end_seconds,
        before="",
        after=f"[{kind}]",
        reason="identifier",
    )


def _refused_rewrite(span: tuple[float, float], text: str, reason: str) -> Rejection:
    return Rejection(start_seconds=span[0], end_seconds=span[1], text=text, reason=reason, kind=Refused.REWRITE)


def hot_words(config: IngestConfig, lexicon: Lexicon) -> tuple[str, ...]:
    """`asr.terms`, or where there are none those that the lexicons mark as hot."""
    return tuple(config.asr.terms) or lexicon.hot
