"""Sentences to clips: pure functions over words and scene cuts.

A clip is the span of one sentence, or of a few short ones. Clips are in order, never overlap, begin and end between
words, and do not reach over a scene cut unless a word does. Together with what is refused they hold every word once.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.config import SegmentConfig
from ingest.records import Clip, Refused, Rejection, Segment, Word
from ingest.text.segment import join_words

Words = tuple[Word, ...]


def make_clips(
    video_id: str,
    accepted: Sequence[Segment],
    duration_seconds: float,
    config: SegmentConfig,
    cuts: Sequence[float] = (),
) -> tuple[tuple[Clip, ...], tuple[Rejection, ...]]:
    """Turn sentences with words, in order, into clips of one video of `duration_seconds`.

    Sentences are split at the scene `cuts` (seconds, in order) that they span, and at their widest pauses if they are
    too long; short ones join a neighbour of the same scene. A clip reaches `segment.pad_seconds` past its speech, and
    further until it is `segment.min_clip_seconds` long, but at most half way to its neighbour and not over a cut. What
    stays too short, and speech after the video's end, is refused.
    """
    pieces = [
        piece
        for sentence in accepted
        for part in split_at_cuts(sentence.words, cuts, config.min_clip_seconds)
        for piece in split_long(part, config.max_clip_seconds)
    ]
    groups = merge_short(pieces, config, cuts)
    clips: list[Clip] = []
    refused: list[Rejection] = []
    for number, group in enumerate(groups):
        start, end = _span(_room(groups, number, duration_seconds, cuts), group, config)
        reason = _fault(start, end, group, duration_seconds, config)
        if reason:
            refused.append(_refusal(group, reason))
        else:
            clips.append(
                Clip(
                    video_id=video_id,
                    index=len(clips),
                    start_seconds=start,
                    end_seconds=end,
                    narration=join_words(group),
                )
            )
    return tuple(clips), tuple(refused)


def _refusal(group: Words, reason: str) -> Rejection:
    return Rejection(
        start_seconds=group[0].start_seconds,
        end_seconds=group[-1].end_seconds,
        text=join_words(group),
        reason=reason,
        kind=Refused.CLIP,
    )


def _fault(start: float, end: float, group: Words, duration_seconds: float, config: SegmentConfig) -> str:
    if group[0].start_seconds >= duration_seconds:
        return "after the last picture"
    # A length is a difference of two floats: a clip as long as asked must not fail by a rounding.
    if end - start < config.min_clip_seconds - 1e-6:
        return f"too short: {end - start:.1f} s between its neighbours and scene cuts"
    return ""


def split_at_cuts(words: Sequence[Word], cuts: Sequence[float], min_seconds: float) -> list[Words]:
    """Split between the words nearest to each cut, unless a part would be shorter than `min_seconds`."""
    parts: list[Words] = []
    rest = tuple(words)
    for cut in cuts:
        if not rest or cut >= rest[-1].end_seconds:
            break
        place = _gap_nearest(rest, cut)
        if place and min(_seconds(rest[:place]), _seconds(rest[place:])) >= min_seconds:
            parts.append(rest[:place])
            rest = rest[place:]
    return [*parts, rest] if rest else parts


def _gap_nearest(words: Words, cut: float) -> int:
    """Number of words before a cut, 0 if it is not between two of them."""
    if cut <= words[0].start_seconds or len(words) < 2:
        return 0
    return min(
        range(1, len(words)),
        key=lambda place: abs((words[place - 1].end_seconds + words[place].start_seconds) / 2 - cut),
    )


def split_long(words: Sequence[Word], max_seconds: float) -> list[Words]:
    """Cut at the widest pause, the one nearest the middle among equals, until every part is short enough."""
    if len(words) < 2 or words[-1].end_seconds - words[0].start_seconds <= max_seconds:
        return [tuple(words)] if words else []
    middle = (words[0].start_seconds + words[-1].end_seconds) / 2

    def merit(cut: int) -> tuple[float, float]:
        pause = words[cut].start_seconds - words[cut - 1].end_seconds
        return round(pause, 2), -abs(words[cut].start_seconds - middle)

    cut = max(range(1, len(words)), key=merit)
    return split_long(words[:cut], max_seconds) + split_long(words[cut:], max_seconds)


def merge_short(pieces: Sequence[Words], config: SegmentConfig, cuts: Sequence[float] = ()) -> list[Words]:
    """Join each piece under `segment.min_clip_seconds` to its nearer neighbour of the scene, up to the longest clip."""
    groups = list(pieces)
    place = 0
    while place < len(groups):
        if _seconds(groups[place]) >= config.min_clip_seconds:
            place += 1
            continue
        partners = [other for other in (place - 1, place + 1) if _can_join(groups, place, other, config, cuts)]
        if not partners:
            place += 1
            continue
        first = min(place, min(partners, key=lambda other: _gap(groups, place, other)))
        groups[first : first + 2] = [groups[first] + groups[first + 1]]
        place = first
    return groups


def _seconds(group: Sequence[Word]) -> float:
    return group[-1].end_seconds - group[0].start_seconds


def _gap(groups: Sequence[Words], place: int, other: int) -> float:
    first, second = sorted((place, other))
    return groups[second][0].start_seconds - groups[first][-1].end_seconds


def _can_join(groups: Sequence[Words], place: int, other: int, config: SegmentConfig, cuts: Sequence[float]) -> bool:
    if not 0 <= other < len(groups):
        return False
    first, second = sorted((place, other))
    ends, begins = groups[first][-1].end_seconds, groups[second][0].start_seconds
    if bisect_right(cuts, begins) > bisect_left(cuts, ends):
        return False
    joined = groups[second][-1].end_seconds - groups[first][0].start_seconds
    return joined <= config.max_clip_seconds and begins - ends <= config.max_pause_seconds


@dataclass(frozen=True, slots=True)
class _Room:
    """How far a clip may reach on either side of its speech."""

    first_second: float
    end_second: float


def _room(groups: Sequence[Words], number: int, duration_seconds: float, cuts: Sequence[float]) -> _Room:
    start, end = groups[number][0].start_seconds, groups[number][-1].end_seconds
    before = groups[number - 1][-1].end_seconds if number else -math.inf
    after = groups[number + 1][0].start_seconds if number + 1 < len(groups) else math.inf
    cut_before = cuts[place - 1] if (place := bisect_right(cuts, start)) else 0.0
    cut_after = cuts[place] if (place := bisect_left(cuts, end)) < len(cuts) else math.inf
    return _Room(
        first_second=max(0.0, cut_before, min(start, (start + before) / 2)),
        end_second=min(duration_seconds, cut_after, max(end, (end + after) / 2)),
    )


def _span(room: _Room, group: Words, config: SegmentConfig) -> tuple[float, float]:
    """Start and end of a clip: its speech, a little more on either side, and more still if it is too short."""
    start, end = group[0].start_seconds, min(group[-1].end_seconds, room.end_second)
    spare = max(0.0, config.max_clip_seconds - (end - start)) / 2
    pad = min(spare, max(config.pad_seconds, (config.min_clip_seconds - (end - start)) / 2))
    left, right = min(pad, start - room.first_second), min(pad, room.end_second - end)
    missing = config.min_clip_seconds - (end - start) - left - right
    if missing > 0.0:
        left = min(left + missing, start - room.first_second)
        missing = config.min_clip_seconds - (end - start) - left - right
        right = min(right + max(0.0, missing), room.end_second - end)
    return max(room.first_second, start - left), min(room.end_second, end + right)
