"""Who a patient or speaker might be: names, dates, ages, numbers and places in text, replaced by what they are.

Rules only, for text as recognisers write it: also in lower case and with spelled numbers. Surgical numbers and eponyms
(10-0 nylon, 3 o'clock, Sinskey hook) stay. The records of what was masked hold no masked words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from ingest.records import Segment, Word
from ingest.text.lexicon import Lexicon
from ingest.text.segment import compression_ratio, join_words

_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_ORDINAL = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|"
    "sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|twenty[- ](?:first|second|third|fourth|fifth|"
    "sixth|seventh|eighth|ninth)|thirty[- ]first"
)
_DIGIT_WORD = "zero|oh|one|two|three|four|five|six|seven|eight|nine|double"
_TEEN = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TEN = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_UNDER_100 = rf"(?:(?:{_TEN})(?:[- ](?:{_DIGIT_WORD}))?|{_TEEN}|{_DIGIT_WORD})"
_YEAR = (
    rf"(?:(?:18|19|20)\d\d|(?:nineteen|twenty)(?:[- ](?:hundred|oh))?[- ]{_UNDER_100}"
    rf"|two thousand(?: and)?(?: {_UNDER_100})?)"
)
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL}|{_UNDER_100})"
_TITLE = r"(?:dr|doctor|prof|professor|mr|mister|mrs|missus|ms|miss|sir|madam)\b\.?"
_RECORD = (
    r"(?:mrn|m r n|medical record(?: number)?|(?:record|patient|hospital|file|chart|insurance|passport|accession|nhs|"
    r"social security|identification|phone|telephone|mobile) (?:id|number|no\.?)|patient id|date of birth number)"
)
_CODE = (
    r"(?:[A-Za-z]{0,4}[-#]?\d[\w/-]*(?:[ -]\d+)*"
    rf"|(?:{_UNDER_100}|hundred|thousand|[a-z]\b)(?:[ -](?:{_UNDER_100}|hundred))*)"
)
_VERB = rf"(?!(?:may|mar|march) (?:the )?(?:{_ORDINAL}|{_UNDER_100})\b(?!,? {_YEAR}))"
"""Without a year, `may second` and `march two` are verbs as well."""
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("e-mail", r"(?P<it>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
        (
            "e-mail",
            r"(?P<it>\b\w+(?: (?:dot|underscore) \w+)* at \w+(?: dot \w+)* dot (?:com|org|net|edu|de|uk|in|info)\b)",
        ),
        ("date", r"(?P<it>\b(?:18|19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}\b)"),
        ("date", r"(?P<it>\b\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})\b)"),
        ("date", rf"(?P<it>\b(?:the )?{_DAY}(?: of)? (?:{_MONTHS})\b\.?(?:,? {_YEAR}\b)?)"),
        ("date", rf"(?P<it>\b{_VERB}(?:{_MONTHS})\b\.? (?:the )?{_DAY}\b(?:,? {_YEAR}\b)?)"),
        ("date", rf"(?P<it>\b(?:{_MONTHS})\b\.?(?: of)?,? {_YEAR}\b)"),
        ("date", rf"\b(?:born|birth)\b(?: (?:in|on|is|was))*:? (?P<it>{_YEAR})\b"),
        ("number", rf"\b{_RECORD}\b(?: (?:is|was|number))*\s*[:#]?\s*(?P<it>{_CODE})"),
        ("number", r"(?P<it>(?<![\w.])\+?\(?\d{2,4}\)?(?:[ -]\d{2,4}){2,}\b)"),
        ("number", r"(?P<it>\b\d{6,}\b)"),
        ("number", rf"(?P<it>\b(?:{_DIGIT_WORD})(?:[ -](?:{_DIGIT_WORD})){{5,}}\b)"),
        ("age", r"(?P<it>\b(?:9\d|1[0-2]\d))(?=[- ]years?[- ]old|[- ]y\.?o\.?\b)"),
        (
            "age",
            rf"(?P<it>\b(?:ninety(?:[- ](?:{_DIGIT_WORD}))?|(?:one|a) hundred(?:(?: and)? {_UNDER_100})?))"
            r"(?=[- ]years?[- ]old)",
        ),
        ("age", rf"\bage[ds]?(?: of)? (?P<it>9\d|1[0-2]\d|ninety(?:[- ](?:{_DIGIT_WORD}))?)\b"),
    )
)
_TOKEN = re.compile(r"[^\W\d_]+(?:[-'\u2019][^\W\d_]+)*")
_CUES = re.compile(
    rf"\b(?:(?P<title>{_TITLE})|my name is|(?:his|her|the patient's|patient|patient's) name(?: is|:)?|named|"
    r"(?:patient|lady|gentleman|man|woman|boy|girl) called|by the name of|name:|surgeon:|signed(?: by)?|"
    r"(?P<weak>performed by|narrated by|presented by|operated by|courtesy of|thanks to|i am|i'm|this is))[ \t]+",
    re.IGNORECASE,
)
_PLACES = re.compile(
    r"\b(?P<it>(?:[\w.'\u2019-]+ ){1,4})(?:hospitals?|clinic|infirmary|eye institute|(?:medical|eye) cent(?:er|re))\b",
    re.IGNORECASE,
)
_ARTICLES = frozenset({"the", "a", "an", "your", "our", "this", "that", "another", "every"})
_INITIAL = re.compile(r"[A-Z]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Masked:
    """That something was masked at `text[start:end]` of the text before; what it was stands nowhere."""

    kind: str
    """`name`, `date`, `age`, `number`, `e-mail` or `place`."""
    start: int
    end: int


def mask_identifiers(text: str, allow: Lexicon, words: Iterable[str] = ()) -> tuple[str, tuple[Masked, ...]]:
    """`text` with identifiers replaced by `[name]`, `[date]`, ..., and where they stood.

    Terms of `allow`, shipped eponyms and `words` (any case) are no names unless a title (Dr., Mrs.) stands before them.
    """
    found = find_identifiers(text, allow, words)
    for one in reversed(found):
        text = f"{text[: one.start]}[{one.kind}]{text[one.end :]}"
    return text, found


def find_identifiers(text: str, allow: Lexicon, words: Iterable[str] = ()) -> tuple[Masked, ...]:
    """Where identifiers stand in `text`: in order, without overlaps."""
    terms = [range(mention.start, mention.end) for mention in allow.find(text)]
    kept = frozenset(word.lower() for word in words) | _lists()["eponyms"]
    found = [
        *(_masked(kind, match.span("it"), text) for kind, pattern in _RULES for match in pattern.finditer(text)),
        *(_masked("name", span, text) for span in _names(text, terms, kept)),
        *(_masked("place", span, text) for span in _places(text, terms)),
    ]
    chosen: list[Masked] = []
    for one in sorted(found, key=lambda masked: (masked.start - masked.end, masked.start)):
        if all(one.end <= other.start or other.end <= one.start for other in chosen):
            chosen.append(one)
    return tuple(sorted(chosen, key=lambda masked: masked.start))


def mask_sentence(sentence: Segment, allow: Lexicon, words: Iterable[str] = ()) -> tuple[Segment, tuple[Masked, ...]]:
    """The same for a sentence with words: a mask is one word over the time of those that it replaces."""
    text = join_words(sentence.words) if sentence.words else sentence.text
    masked, found = mask_identifiers(text, allow, words)
    if not found:
        return sentence, ()
    spoken = tuple(_masked_words(sentence.words, found))
    return replace(sentence, text=masked, words=spoken, compression_ratio=compression_ratio(masked)), found


def _masked(kind: str, span: tuple[int, int], text: str) -> Masked:
    start, end = span
    while end > start and text[end - 1] in " \t,.;:":
        end -= 1
    return Masked(kind=kind, start=start, end=end)


def _masked_words(words: Sequence[Word], found: Sequence[Masked]) -> Iterator[Word]:
    held: tuple[Masked, Word] | None = None
    place = 0
    for word in words:
        size = len(word.text.strip())
        if not size:
            continue
        covering = next((one for one in found if one.start < place + size and place < one.end), None)
        if held is not None and covering is not held[0]:
            yield held[1]
            held = None
        if covering is None:
            yield word
        elif held is None:
            before = word.text.strip()[: max(0, covering.start - place)]
            after = word.text.strip()[max(0, covering.end - place) :]
            held = covering, replace(word, text=f"{before}[{covering.kind}]{after}")
        else:
            after = word.text.strip()[max(0, covering.end - place) :]
            held = covering, replace(held[1], end_seconds=word.end_seconds, text=held[1].text + after)
        place += size + 1
    if held is not None:
        yield held[1]


@lru_cache(maxsize=1)
def _lists() -> dict[str, frozenset[str]]:
    path = resources.files("ingest.text") / "identifier_words.yaml"
    listed: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: frozenset(str(word).lower() for word in words) for name, words in listed.items()}


def _names(text: str, terms: Sequence[range], kept: frozenset[str]) -> Iterator[tuple[int, int]]:
    for cue in _CUES.finditer(text):
        before = text[: cue.start()].split()[-1:]
        titled = cue["title"] is not None
        if titled and before and before[0].lower() in _ARTICLES and not _capital(text, cue.end()):
            continue
        span = _after_cue(text, cue.end(), terms, kept, titled=titled, weak=cue["weak"] is not None)
        if span is not None:
            yield span
    yield from _first_and_last(text, terms, kept)


def _capital(text: str, place: int) -> bool:
    return bool(_INITIAL.match(text, place))


def _after_cue(
    text: str, place: int, terms: Sequence[range], kept: frozenset[str], *, titled: bool, weak: bool
) -> tuple[int, int] | None:
    """Up to three words that can be a name; capitalised ones only, if the first is."""
    start, end, count = place, place, 0
    title = re.compile(_TITLE + r"[ \t]+", re.IGNORECASE).match(text, place)
    if title is not None:
        return None  # the title is a cue of its own
    capital = _capital(text, place)
    while count < (3 if capital else 2):
        token = _TOKEN.match(text, end + (1 if count else 0))
        if token is None or (count and text[end] not in " "):
            break
        word = token.group().lower().removesuffix("'s")
        after_first = count > 0 and _first(text[start:end])
        surname = titled or after_first
        known = word in _lists()["no_names"] or (not surname and (word in kept or _inside(token.start(), terms)))
        doubtful = weak and not capital and not count and not _first(word)
        plain = count > 0 and not capital and not after_first and _is_common(word)
        if known or doubtful or plain or (capital and not _capital(text, token.start())):
            break
        end, count = token.end(), count + 1
        if text[end : end + 2] == ". " and len(word) == 1:
            end += 1
    return (start, end) if count and not (weak and count < 2) else None


def _inside(place: int, terms: Sequence[range]) -> bool:
    return any(place in term for term in terms)


def _first(word: str) -> bool:
    return word.lower() in _lists()["first_names"]


def _first_and_last(text: str, terms: Sequence[range], kept: frozenset[str]) -> Iterator[tuple[int, int]]:
    """A first name with the word after it, if that is capitalised too, or in lower case no common word."""
    for token in _TOKEN.finditer(text):
        last = _TOKEN.match(text, token.end() + 1) if text[token.end() : token.end() + 1] == " " else None
        if last is None or not _first(token.group()) or any(token.start() in term for term in terms):
            continue
        word = last.group().lower()
        if word in kept or word in _lists()["no_names"] or any(last.start() in term for term in terms):
            continue
        if (_capital(text, token.start()) and _capital(text, last.start())) or not _is_common(word):
            yield token.start(), last.end()


@lru_cache(maxsize=1)
def _spelling() -> Any:
    from spellchecker import SpellChecker

    return SpellChecker(language="en", distance=1)


def _is_common(word: str) -> bool:
    return bool(_spelling().word_frequency[word.lower()] > 0)


def _places(text: str, terms: Sequence[range]) -> Iterator[tuple[int, int]]:
    general = _lists()["general_places"] | _lists()["no_names"]
    for match in _PLACES.finditer(text):
        words = list(re.finditer(r"\S+", match["it"]))
        own: list[re.Match[str]] = []
        for word in reversed(words):
            plain = word.group().lower()
            if plain in general and not (own and plain == "general"):
                if own or plain in _ARTICLES or plain in {"in", "at", "to", "from", "of", "and"}:
                    break
                continue
            own.append(word)
        capital = [word for word in own if word.group()[0].isupper()]
        named = capital or [word for word in own if _is_own(word.group().lower())]
        if named and not any(match.start("it") + named[0].start() in term for term in terms):
            yield match.start("it") + min(word.start() for word in named), match.start("it") + own[0].end()


def _is_own(word: str) -> bool:
    return word in {"saint", "st", "st."} or not _is_common(word)
