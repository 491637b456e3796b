"""Words to sentences: pure functions over the recogniser's words."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence

from ingest.config import SegmentConfig
from ingest.records import Segment, Word

_ENDINGS = (".", "?", "!", "…")
_CLOSERS = "\"'\u201d\u2019)]"
_ABBREVIATIONS = frozenset({"dr.", "prof.", "mr.", "mrs.", "ms.", "vs.", "e.g.", "i.e.", "approx.", "fig."})
_SMALLEST_PROBABILITY = 1e-6


def sentences(segments: Sequence[Segment], config: SegmentConfig) -> tuple[Segment, ...]:
    """Regroup what the recogniser returned into sentences, each with its own words and figures of trust.

    A sentence ends at a full stop, a question or exclamation mark, or before a pause over `segment.max_pause_seconds`.
    Words must be in order. Segments without words are passed on as they are.
    """
    grouped: list[Segment] = []
    held: list[Word] = []
    heard: list[Segment] = []
    for segment in segments:
        if not segment.words:
            grouped.append(segment)
        for word in segment.words:
            if held and _ends(held[-1], word, config.max_pause_seconds):
                grouped.append(_sentence(held, heard))
                held, heard = [], []
            held.append(word)
            if not heard or heard[-1] is not segment:
                heard.append(segment)
    if held:
        grouped.append(_sentence(held, heard))
    return tuple(sorted(grouped, key=lambda sentence: sentence.start_seconds))


def _ends(word: Word, following: Word, max_pause_seconds: float) -> bool:
    if following.start_seconds - word.end_seconds > max_pause_seconds:
        return True
    bare = word.text.rstrip(_CLOSERS)
    return bare.endswith(_ENDINGS) and bare.lower() not in _ABBREVIATIONS


def _sentence(words: Sequence[Word], heard: Sequence[Segment]) -> Segment:
    text = join_words(words)
    return Segment(
        start_seconds=words[0].start_seconds,
        end_seconds=words[-1].end_seconds,
        text=text,
        words=tuple(words),
        no_speech_probability=max(segment.no_speech_probability for segment in heard),
        mean_log_probability=sum(_log_probability(word) for word in words) / len(words),
        compression_ratio=compression_ratio(text),
        translated_from=next((segment.translated_from for segment in heard if segment.translated_from), ""),
    )


def _log_probability(word: Word) -> float:
    return math.log(max(word.probability, _SMALLEST_PROBABILITY))


def compression_ratio(text: str) -> float:
    """Length of the text over its length when compressed (zlib, UTF-8): Whisper's measure of repetition."""
    data = text.encode("utf-8")
    return len(data) / len(zlib.compress(data)) if data else 1.0


def join_words(words: Iterable[Word]) -> str:
    """The words as text."""
    return " ".join(word.text.strip() for word in words if word.text.strip())
