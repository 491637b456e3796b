"""Words to sentences to clips: pure functions over the recogniser's words.

A clip is the span of one sentence, or of a few short ones. Clips are in order, never overlap, and together hold every
word exactly once.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence

from ingest.config import SegmentConfig
from ingest.records import Clip, Segment, Word

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


def make_clips(
    video_id: str, accepted: Sequence[Segment], duration_seconds: float, config: SegmentConfig
) -> tuple[Clip, ...]:
    """Turn sentences with words, in order, into clips of one video of `duration_seconds`.

    Long sentences are split at their widest pauses, short ones join a neighbour, and each clip reaches
    `segment.pad_seconds` past its speech, but at most half way to its neighbour. Speech after the video's end makes no
    clip.
    """
    pieces = [piece for sentence in accepted for piece in split_long(sentence.words, config.max_clip_seconds)]
    groups = [group for group in merge_short(pieces, config) if group[0].start_seconds < duration_seconds]
    return tuple(
        Clip(
            video_id=video_id,
            index=number,
            start_seconds=_start(groups, number, config.pad_seconds),
            end_seconds=_end(groups, number, config.pad_seconds, duration_seconds),
            narration=join_words(group),
        )
        for number, group in enumerate(groups)
    )


def split_long(words: Sequence[Word], max_seconds: float) -> list[tuple[Word, ...]]:
    """Cut at the widest pause, the one nearest the middle among equals, until every part is short enough."""
    if len(words) < 2 or words[-1].end_seconds - words[0].start_seconds <= max_seconds:
        return [tuple(words)] if words else []
    middle = (words[0].start_seconds + words[-1].end_seconds) / 2

    def merit(cut: int) -> tuple[float, float]:
        pause = words[cut].start_seconds - words[cut - 1].end_seconds
        return round(pause, 2), -abs(words[cut].start_seconds - middle)

    cut = max(range(1, len(words)), key=merit)
    return split_long(words[:cut], max_seconds) + split_long(words[cut:], max_seconds)


def merge_short(pieces: Sequence[tuple[Word, ...]], config: SegmentConfig) -> list[tuple[Word, ...]]:
    """Join each piece under `segment.min_clip_seconds` to its nearer neighbour, within the longest clip."""
    groups = list(pieces)
    place = 0
    while place < len(groups):
        if _seconds(groups[place]) >= config.min_clip_seconds:
            place += 1
            continue
        partners = [other for other in (place - 1, place + 1) if _can_join(groups, place, other, config)]
        if not partners:
            place += 1
            continue
        first = min(place, min(partners, key=lambda other: _gap(groups, place, other)))
        groups[first : first + 2] = [groups[first] + groups[first + 1]]
        place = first
    return groups


def _seconds(group: Sequence[Word]) -> float:
    return group[-1].end_seconds - group[0].start_seconds


def _gap(groups: Sequence[tuple[Word, ...]], place: int, other: int) -> float:
    first, second = sorted((place, other))
    return groups[second][0].start_seconds - groups[first][-1].end_seconds


def _can_join(groups: Sequence[tuple[Word, ...]], place: int, other: int, config: SegmentConfig) -> bool:
    if not 0 <= other < len(groups):
        return False
    first, second = sorted((place, other))
    joined = groups[second][-1].end_seconds - groups[first][0].start_seconds
    return joined <= config.max_clip_seconds and _gap(groups, place, other) <= config.max_pause_seconds


def _start(groups: Sequence[tuple[Word, ...]], number: int, pad_seconds: float) -> float:
    start = groups[number][0].start_seconds
    before = groups[number - 1][-1].end_seconds if number else -math.inf
    return max(0.0, start - pad_seconds, min(start, (start + before) / 2))


def _end(groups: Sequence[tuple[Word, ...]], number: int, pad_seconds: float, duration_seconds: float) -> float:
    end = groups[number][-1].end_seconds
    after = groups[number + 1][0].start_seconds if number + 1 < len(groups) else math.inf
    return min(duration_seconds, end + pad_seconds, max(end, (end + after) / 2))
