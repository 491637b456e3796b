"""Gates between what was heard and what is believed. What is refused is kept, with the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ingest.config import GatesConfig
from ingest.records import Rejection, Segment

_LONGEST_LOOP_WORDS = 4
_ECHO_WORDS = 5
"""So many words in the prompt's own order are its echo, not speech."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """Sentences that are believed, and the others with the reason."""

    accepted: tuple[Segment, ...]
    rejected: tuple[Rejection, ...]


def clean(sentences: Sequence[Segment], gates: GatesConfig, terms: Sequence[str] = ()) -> Cleaned:
    """Pass sentences through the gates in order. `terms` are those the recogniser was prompted with."""
    prompt = normalised(" ".join(terms))
    accepted: list[Segment] = []
    rejected: list[Rejection] = []
    for _text, run in groupby(sentences, key=lambda sentence: normalised(sentence.text)):
        same = list(run)
        for sentence in same:
            reason = _repeated(len(same), gates) or doubt(sentence, gates, prompt)
            if reason:
                rejected.append(_rejection(sentence, reason))
            else:
                accepted.append(sentence)
    return Cleaned(accepted=tuple(accepted), rejected=tuple(rejected))


def _rejection(sentence: Segment, reason: str) -> Rejection:
    return Rejection(
        start_seconds=sentence.start_seconds, end_seconds=sentence.end_seconds, text=sentence.text, reason=reason
    )


def _repeated(times: int, gates: GatesConfig) -> str:
    return f"loop: the same sentence {times} times" if times > gates.max_repeats else ""


def doubt(sentence: Segment, gates: GatesConfig, prompt: tuple[str, ...] = ()) -> str:
    """Why a sentence is not to be believed, an empty string if nothing speaks against it."""
    words = normalised(sentence.text)
    if not words:
        return "no words"
    probability, likelihood = sentence.no_speech_probability, sentence.mean_log_probability
    if likelihood < gates.min_mean_log_probability:
        kind = "no speech" if probability > gates.max_no_speech_probability else "unlikely words"
        return f"{kind}: mean log probability {likelihood:.2f}, no-speech probability {probability:.2f}"
    if sentence.compression_ratio > gates.max_compression_ratio:
        return f"repetition: compression ratio {sentence.compression_ratio:.1f}"
    loop = longest_loop(words)
    if loop > gates.max_repeats:
        return f"loop: the same phrase {loop} times"
    if echoes(words, prompt):
        return "prompt: repeats asr.terms"
    return ""


def normalised(text: str) -> tuple[str, ...]:
    """Words in lower case, without punctuation."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


def longest_loop(words: Sequence[str]) -> int:
    """How often a phrase of up to four words follows itself at most."""
    longest = 1 if words else 0
    for size in range(1, _LONGEST_LOOP_WORDS + 1):
        run = 0
        for place in range(size, len(words)):
            run = run + 1 if words[place] == words[place - size] else 0
            longest = max(longest, 1 + run // size)
    return longest


def echoes(words: Sequence[str], prompt: Sequence[str]) -> bool:
    """Whether a text of some length stands in the prompt, word for word."""
    size = len(words)
    if size < _ECHO_WORDS:
        return False
    return any(tuple(prompt[place : place + size]) == tuple(words) for place in range(len(prompt) - size + 1))


def why_silent(accepted: Sequence[Segment], language: str, duration_seconds: float, gates: GatesConfig) -> str:
    """Why believed speech in a `language` does not make a video of `duration_seconds` narrated; empty if it does."""
    heard = measure_speech(accepted, duration_seconds)
    if not heard.words_per_minute or heard.share < gates.min_speech_share:
        return f"too little speech: {heard.share:.1%} of the video"
    if heard.words_per_minute < gates.min_words_per_minute:
        return f"too little speech: {heard.words_per_minute:.1f} words a minute"
    if heard.word_probability < gates.min_word_probability:
        return f"unsure words: {heard.word_probability:.2f} on average"
    if gates.languages and language not in gates.languages:
        return f"spoken in {language or 'no known language'}"
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechMeasure:
    """What decides whether a video is narrated, of its believed speech."""

    share: float
    """Of the video's length."""
    words_per_minute: float
    word_probability: float
    """Mean over the words; 0 without any."""


def measure_speech(accepted: Sequence[Segment], duration_seconds: float) -> SpeechMeasure:
    """Measure the believed sentences of a video; a video without length has no speech."""
    words = sum(len(normalised(sentence.text)) for sentence in accepted)
    sure = [word.probability for sentence in accepted for word in sentence.words]
    if duration_seconds <= 0.0 or not words:
        return SpeechMeasure(share=0.0, words_per_minute=0.0, word_probability=0.0)
    return SpeechMeasure(
        share=sum(sentence.end_seconds - sentence.start_seconds for sentence in accepted) / duration_seconds,
        words_per_minute=60.0 * words / duration_seconds,
        word_probability=sum(sure) / len(sure) if sure else 1.0,
    )
