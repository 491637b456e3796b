"""Where speech is, the windows of it that a recogniser hears, and the way back from a window to the video's clock.

Silence is cut out before recognition, because Whisper invents text on it; every word is put back onto the video's
clock and kept inside the stretch of speech it was heard in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.config import VadConfig
from ingest.records import SAMPLE_RATE_HZ, Word

WINDOW_SECONDS = 30.0
"""What a Whisper model hears at once."""
_SHORTEST_WORD_SECONDS = 0.02
"""One step of Whisper's clock; a word that is no longer got no time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech from one sample up to another, on the video's clock."""

    first_sample: int
    end_sample: int

    @property
    def start_seconds(self) -> float:
        return self.first_sample / SAMPLE_RATE_HZ

    @property
    def end_seconds(self) -> float:
        return self.end_sample / SAMPLE_RATE_HZ

    @property
    def seconds(self) -> float:
        return (self.end_sample - self.first_sample) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Window:
    """Stretches of speech heard as one, silence between them left out."""

    stretches: tuple[Stretch, ...]

    @property
    def seconds(self) -> float:
        return sum(stretch.seconds for stretch in self.stretches)

    def cut(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sound of this window."""
        return np.concatenate([audio[stretch.first_sample : stretch.end_sample] for stretch in self.stretches])

    def to_clock(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Move words from this window's clock to the video's, each kept inside one stretch of speech."""
        placed: list[list[Word]] = [[] for _ in self.stretches]
        begins = np.cumsum([0.0, *(stretch.seconds for stretch in self.stretches)])
        for word in words:
            middle = (word.start_seconds + word.end_seconds) / 2
            place = int(np.clip(np.searchsorted(begins, middle, side="right") - 1, 0, len(self.stretches) - 1))
            placed[place].append(_move(word, self.stretches[place], float(begins[place])))
        return tuple(
            word
            for stretch, group in zip(self.stretches, placed, strict=True)
            for word in mend_words(group, stretch.start_seconds, stretch.end_seconds)
        )


def _move(word: Word, stretch: Stretch, begin: float) -> Word:
    def clock(second: float) -> float:
        return float(np.clip(second - begin + stretch.start_seconds, stretch.start_seconds, stretch.end_seconds))

    return replace(word, start_seconds=clock(word.start_seconds), end_seconds=clock(word.end_seconds))


def find_speech(audio: NDArray[np.float32], config: VadConfig) -> tuple[Stretch, ...]:
    """Stretches of speech in mono sound at 16 kHz, by Silero, none longer than a window, none overlapping."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=config.threshold,
        min_speech_duration_ms=round(1000 * config.min_speech_seconds),
        max_speech_duration_s=WINDOW_SECONDS,
        min_silence_duration_ms=round(1000 * config.min_silence_seconds),
        speech_pad_ms=round(1000 * config.pad_seconds),
    )
    found = get_speech_timestamps(audio, options)
    return tuple(Stretch(int(part["start"]), int(part["end"])) for part in found if part["end"] > part["start"])


def pack_windows(stretches: Sequence[Stretch], window_seconds: float = WINDOW_SECONDS) -> tuple[Window, ...]:
    """Fill windows in order, each as full as it gets without cutting a stretch."""
    windows: list[Window] = []
    held: list[Stretch] = []
    for stretch in stretches:
        if held and sum(one.seconds for one in held) + stretch.seconds > window_seconds:
            windows.append(Window(tuple(held)))
            held = []
        held.append(stretch)
    return (*windows, Window(tuple(held))) if held else tuple(windows)


def mend_words(words: Sequence[Word], first_second: float, end_second: float) -> list[Word]:
    """Put words of one stretch in order and give a time to those that have none, between their neighbours, flagged.

    The time of a word may shrink for its neighbour; all words stay within `first_second` and `end_second`.
    """
    mended: list[Word] = []
    place = 0
    ordered = _in_order(words, first_second)
    while place < len(ordered):
        run = place
        while run < len(ordered) and not _has_time(ordered[run]):
            run += 1
        if run > place:
            after = ordered[run].start_seconds if run < len(ordered) else end_second
            if not mended and run < len(ordered) and after - first_second < _SHORTEST_WORD_SECONDS * (run - place):
                # Nothing stands before them that could give them time: the word after them does.
                run, after = run + 1, ordered[run].end_seconds
            mended.extend(_spread(mended, ordered[place:run], first_second, after))
            place = run
            continue
        mended.append(ordered[run])
        place = run + 1
    return mended


def _has_time(word: Word) -> bool:
    return word.end_seconds - word.start_seconds > _SHORTEST_WORD_SECONDS / 2


def _in_order(words: Sequence[Word], first_second: float) -> list[Word]:
    ordered: list[Word] = []
    reached = first_second
    for word in words:
        start = max(word.start_seconds, reached)
        ordered.append(replace(word, start_seconds=start, end_seconds=max(word.end_seconds, start)))
        reached = ordered[-1].end_seconds
    return ordered


def _spread(before: list[Word], timeless: Sequence[Word], first_second: float, after: float) -> list[Word]:
    """Share the room before `after` by length of word; where there is none, the word before gives some of its own."""
    group = list(timeless)
    begin = before[-1].end_seconds if before else first_second
    if before and after - begin < _SHORTEST_WORD_SECONDS * len(group):
        group.insert(0, before.pop())
        begin = group[0].start_seconds
    # Words are short: in a long pause they stay with the one before them.
    after = min(after, begin + 0.5 * len(group))
    letters = np.cumsum([0, *(1 + len(word.text) for word in group)])
    edges = np.minimum(begin + (after - begin) * letters / letters[-1], after)
    return [
        replace(
            word,
            start_seconds=float(edges[number]),
            end_seconds=float(edges[number + 1]),
            interpolated=word.interpolated or not _has_time(word),
        )
        for number, word in enumerate(group)
    ]
