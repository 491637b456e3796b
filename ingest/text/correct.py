"""Surgical terms put right where the recogniser broke them: "cystitone" to "cystotome", "bim annual" to "bimanual".

A span of words is replaced only if every gate lets it pass: something in it is doubtful (a word that is neither English
nor of the lexicon, or that the recogniser was unsure of), it sounds like a term (Metaphone), it is spelled nearly like
it (Levenshtein), and other surgical terms are said nearby. Equal input gives equal output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from ingest.config import CorrectConfig
from ingest.records import Correction, Segment, Word
from ingest.text.english import FUNCTION_WORDS, uses_per_million
from ingest.text.lexicon import Lexicon
from ingest.text.segment import compression_ratio, join_words
from ingest.text.sounds import Likeness, Sounds, letters_of, phonetic_likeness, sounds_of

_FORMS = "s es d ed ing al ally ly ar us um a ae i ic ium e y ies n"
_ENDINGS = frozenset(("", *_FORMS.split()))
"""Endings of one word's forms."""
_SHORTEST_STEM = 4
_EDGE_SPELLING = 0.6
"""How well a span must be spelled that begins or ends with a word that needs no correction."""
_LENGTH_SHARE = 0.25
"""Span and term differ by at most this share of the longer one's letters."""
_JOINS = "-'\u2019"


@dataclass(frozen=True, slots=True)
class _Heard:
    """One word as it is judged."""

    letters: str
    probability: float
    inside: bool
    """Whether it belongs to a term that was heard right."""
    known: bool
    """Whether some term of the lexicon holds it."""
    unknown: bool
    """Whether it is neither English nor a word of the lexicon."""
    empty: bool
    """Whether it only holds the sentence together."""
    breaks: bool
    """Whether punctuation after it ends any span."""


@dataclass(frozen=True, slots=True)
class _Change:
    """Words `first` up to `end` of a sentence are to be replaced."""

    first: int
    end: int
    likeness: Likeness
    merit: float


def correct(
    sentences: Sequence[Segment], lexicon: Lexicon, config: CorrectConfig
) -> tuple[tuple[Segment, ...], tuple[Correction, ...]]:
    """Sentences in order with their terms put right, and every change that was made.

    Sentences without words are passed on as they are. The words of a term share the time of the words that they
    replace; where their numbers differ, they are flagged as interpolated.
    """
    if not config.enabled:
        return tuple(sentences), ()
    sounds = sounds_of(lexicon.terms)
    spans = [_terms_in(sentence.words, lexicon) for sentence in sentences]
    telling = [_telling(sentence.words, inside, config) for sentence, inside in zip(sentences, spans, strict=True)]
    mended: list[Segment] = []
    corrections: list[Correction] = []
    for place, sentence in enumerate(sentences):
        near = slice(max(0, place - config.context_sentences), place + config.context_sentences + 1)
        context = len(frozenset().union(*telling[near]))
        changes: list[_Change] = []
        if context >= config.min_context_terms:
            heard = _judge_words(sentence.words, spans[place], sounds, config)
            changes = _choose(_candidates(heard, sounds, config))
        mended.append(_rewrite(sentence, changes))
        corrections += [_record(sentence.words, change, context) for change in changes]
    return tuple(mended), tuple(corrections)


def _terms_in(words: Sequence[Word], lexicon: Lexicon) -> list[tuple[int, int]]:
    """Terms of the lexicon in these words, as spans of words."""
    ends = list(accumulate(len(word.text) + 1 for word in words))
    starts = [0, *ends]
    return [
        (
            sum(start <= mention.start for start in starts) - 1,
            sum(start < mention.end for start in starts),
        )
        for mention in lexicon.find(" ".join(word.text for word in words))
    ]


def _telling(words: Sequence[Word], spans: Sequence[tuple[int, int]], config: CorrectConfig) -> frozenset[str]:
    """Those terms that say that this is surgery: at least one of their words is rare in English."""
    found = set()
    for first, end in spans:
        letters = _bare(words[first:end])
        if letters and min(map(uses_per_million, letters)) < config.common_per_million:
            found.add(" ".join(letters))
    return frozenset(found)


def _judge_words(
    words: Sequence[Word], spans: Sequence[tuple[int, int]], sounds: Sounds, config: CorrectConfig
) -> list[_Heard]:
    right = [span for span in spans if " ".join(_bare(words[slice(*span)])) not in sounds.spellings]
    inside = {place for span in right for place in range(*span)}
    return [_judge(word, place in inside, sounds, config) for place, word in enumerate(words)]


def _bare(words: Sequence[Word]) -> list[str]:
    return [letters for letters in (letters_of(word.text) for word in words) if letters]


def _judge(word: Word, inside: bool, sounds: Sounds, config: CorrectConfig) -> _Heard:
    letters = letters_of(word.text)
    return _Heard(
        letters=letters,
        probability=word.probability,
        inside=inside,
        known=letters in sounds.words,
        unknown=not inside and letters not in sounds.words and uses_per_million(letters) < config.rare_per_million,
        empty=letters in FUNCTION_WORDS or not letters,
        breaks=not word.text[-1:].isalnum() and word.text[-1:] not in _JOINS,
    )


def _candidates(heard: Sequence[_Heard], sounds: Sounds, config: CorrectConfig) -> Iterator[_Change]:
    for place, word in enumerate(heard):
        if not _doubtful(word, config):
            continue
        for first in range(max(0, place - config.max_words + 1), place + 1):
            for end in range(place + 1, min(first + config.max_words, len(heard)) + 1):
                # Each span once, at its first doubtful word.
                if not any(_doubtful(one, config) for one in heard[first:place]):
                    yield from _fitting(heard, first, end, sounds, config)


def _doubtful(word: _Heard, config: CorrectConfig) -> bool:
    if word.inside or word.empty:
        return False
    return word.probability < (config.unknown_probability if word.unknown else config.unsure_probability)


def _fitting(heard: Sequence[_Heard], first: int, end: int, sounds: Sounds, config: CorrectConfig) -> Iterator[_Change]:
    span = heard[first:end]
    letters = "".join(word.letters for word in span)
    if any(word.breaks for word in span[:-1]) or len(letters) < config.min_letters or all(word.empty for word in span):
        return
    content = [word for word in span if not word.empty]
    unknown = any(word.unknown for word in span)
    if not unknown and len(content) == 1 and uses_per_million(content[0].letters) > config.common_per_million:
        return
    if len(content) == 1 and content[0].known:
        return
    edges = (span[0].empty or span[0].inside) + (span[-1].empty or span[-1].inside)
    for like in sounds.like(letters, 1.0 - config.min_phonetic):
        if not _fits(span, letters, like, config) or _same_word(content, like):
            continue
        merit = 0.6 * like.phonetic + 0.4 * like.spelling
        need = config.min_merit if unknown else config.min_merit_english
        if merit - 0.05 * edges >= need and not (edges and like.spelling < _EDGE_SPELLING):
            yield _Change(first, end, like, merit - 0.05 * edges)


def _fits(span: Sequence[_Heard], letters: str, like: Likeness, config: CorrectConfig) -> bool:
    """Whether spelling and length agree, also in what is left without the words that both have at either end."""
    other = like.writing.letters
    if like.spelling < config.min_spelling or abs(len(letters) - len(other)) > _LENGTH_SHARE * max(
        len(letters), len(other)
    ):
        return False
    heard, meant = _rest([word.letters for word in span], [letters_of(word) for word in like.writing.text.split()])
    if len(heard) == len(letters):
        return True
    return phonetic_likeness(heard, meant) >= config.min_phonetic and bool(meant)


def _rest(heard: list[str], meant: list[str]) -> tuple[str, str]:
    while heard and meant and heard[0] == meant[0]:
        heard, meant = heard[1:], meant[1:]
    while heard and meant and heard[-1] == meant[-1]:
        heard, meant = heard[:-1], meant[:-1]
    return "".join(heard), "".join(meant)


def _same_word(span: Sequence[_Heard], like: Likeness) -> bool:
    """Whether the span is only another form of the term: "corneas" is no misheard "cornea"."""
    one, other = "".join(word.letters for word in span), like.writing.letters
    stem = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return (
        any(one[cut:] in _ENDINGS and other[cut:] in _ENDINGS for cut in range(stem, _SHORTEST_STEM - 1, -1))
        and one != other
    )


def _choose(found: Iterator[_Change]) -> list[_Change]:
    """The best changes that do not overlap, in order."""
    chosen: list[_Change] = []
    for change in sorted(found, key=lambda one: (-one.merit, one.first, one.end, one.likeness.writing.text)):
        if all(change.end <= other.first or other.end <= change.first for other in chosen):
            chosen.append(change)
    return sorted(chosen, key=lambda one: one.first)


def _record(words: Sequence[Word], change: _Change, context: int) -> Correction:
    span, like = words[change.first : change.end], change.likeness
    return Correction(
        start_seconds=span[0].start_seconds,
        end_seconds=span[-1].end_seconds,
        before=join_words(span),
        after=join_words(_replacement(span, like.writing.text)),
        reason=f"sound {like.phonetic:.2f}, spelling {like.spelling:.2f}, "
        f"least probability {min(word.probability for word in span):.2f}, {context} terms nearby",
    )


def _rewrite(sentence: Segment, changes: Sequence[_Change]) -> Segment:
    if not changes:
        return sentence
    words: list[Word] = []
    reached = 0
    for change in changes:
        words += sentence.words[reached : change.first]
        words += _replacement(sentence.words[change.first : change.end], change.likeness.writing.text)
        reached = change.end
    words += sentence.words[reached:]
    text = join_words(words)
    return replace(sentence, words=tuple(words), text=text, compression_ratio=compression_ratio(text))


def _replacement(span: Sequence[Word], writing: str) -> list[Word]:
    """The words of a writing with the time, the trust and the outer punctuation of the span."""
    texts = _dressed(writing, span[0].text, span[-1].text).split()
    if len(texts) == len(span):
        return [replace(word, text=text) for word, text in zip(span, texts, strict=True)]
    start, end = span[0].start_seconds, span[-1].end_seconds
    letters = [0, *accumulate(1 + len(text) for text in texts)]
    edges = [min(start + (end - start) * count / letters[-1], end) for count in letters]
    return [
        Word(
            start_seconds=edges[number],
            end_seconds=edges[number + 1],
            text=text,
            probability=min(word.probability for word in span),
            interpolated=len(texts) > 1 or any(word.interpolated for word in span),
        )
        for number, text in enumerate(texts)
    ]


def _dressed(writing: str, first: str, last: str) -> str:
    head = first[: len(first) - len(first.lstrip("\"'([\u201c\u2018"))]
    tail = last[len(last.rstrip(".,;:!?\"')]\u201d\u2019\u2026")) :]
    capital = first[len(head) :][:1].isupper() and writing[:1].islower()
    return head + (writing[:1].upper() + writing[1:] if capital else writing) + tail
