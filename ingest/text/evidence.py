"""Where title, description, chapters and narration speak of an operation's attributes, and whether they assert it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.records import Chapter, Evidence, Metadata, Segment
from ingest.text.lexicon import Category, Lexicon, Mention

_ADDRESS = re.compile(r"https?://\S+|www\.\S+|\S+@\S+\.\S+")
_TAG = re.compile(r"[#@][\w-]+")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|[\n\r|•]+|\s[-\u2013\u2014]\s")
_ELSEWHERE = re.compile(
    r"\b(?:subscribe|playlists?|channel|other videos?|related|follow (?:me|us)|watch (?:also|more)|see also"
    r"|next video)\b",
    re.IGNORECASE,
)

_ATTRIBUTES = {
    Category.PROCEDURE: "procedure",
    Category.TECHNIQUE: "technique",
    Category.DISEASE: "eye_condition",
    Category.COMPLICATION: "eye_condition",
    Category.INSTRUMENT: "instruments",
    Category.MEDICATION: "medications",
    Category.PHASE: "phases",
}

_WORDS_BETWEEN = r"(?:[^\w,;:()]+(?!(?:but|then|so|because|however)\b)[\w'\u2019]+){0,4}[^\w,;:()]*$"
_DENIED_BEFORE = re.compile(
    r"\b(?:no|not(?! only\b)|never|without|nor|neither|cannot|\w+n['\u2019]t|avoid\w*|instead of|rather than|omit\w*"
    r"|skip\w*|unnecessary|lack\w*|lieu of)\b" + _WORDS_BETWEEN,
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"^[-\s]?(?:free|less)\b"
    r"|^(?:[^\w,;:()]+[\w'\u2019]+){0,3}?[^\w,;:()]+(?:unnecessary|avoided|omitted|skipped|contraindicated"
    r"|(?:not|never|\w+n['\u2019]t)(?:\s+\w+)?\s+(?:needed|required|necessary|performed|done|used|possible|indicated|given"
    r"|placed|made|attempted))\b",
    re.IGNORECASE,
)
_PAST_BEFORE = re.compile(
    r"\b(?:previous(?:ly)?|prior|past|history of|status post|s/p|post|after|following|failed|had undergone|earlier)\b"
    r"(?:[^\w,;:()]+[\w'\u2019]+){0,3}[^\w,;:()]*$",
    re.IGNORECASE,
)
_PAST_AFTER = re.compile(
    r"^(?:[^\w,;:()]+[\w'\u2019]+){0,5}?[^\w,;:()]+(?:(?:years?|months?|weeks?|days?) (?:ago|earlier|before)"
    r"|previously|elsewhere)\b",
    re.IGNORECASE,
)
_FEARED_BEFORE = re.compile(
    r"\b(?:risks?|chances?|danger|fear|prevent\w*|avoid\w*|possib\w*|in case|if|may|might|could|can|unless|reduc\w*"
    r"|lower\w*|minimi[sz]\w*|against|exclud\w*)\b" + _WORDS_BETWEEN,
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:some surgeons|other surgeons|alternatively|would|could|might|if|in (?:other|some) cases"
    r"|next (?:video|time|case))\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    r"\b(?:I|we|I['\u2019](?:m|ve|ll)|we['\u2019](?:re|ve|ll)|let['\u2019]s|now|using|used|perform\w*|inject\w*|insert\w*"
    r"|placed?|implant\w*|applied|instill\w*|remov\w*|grasp\w*|made|creat\w*)\b",
    re.IGNORECASE,
)
_PRESENTED = re.compile(
    r"\b(?:patient|eye|case|presents?|presented|presenting|diagnos\w*|has|had|suffer\w*|shows?)\b", re.IGNORECASE
)

_VERBS = {
    "management": "manage",
    "treatment": "treat",
    "correction": "correct",
    "repair": "repair",
    "prevention": "prevent",
    "control": "control",
    "reduction": "reduce",
    "restoration": "restore",
    "relief": "relieve",
    "removal": "remove",
}
_PURPOSE_NOUN = re.compile(rf"\bfor\s+(?:the\s+)?(?P<noun>{'|'.join(_VERBS)})\s+of\s+(?P<rest>.+)", re.IGNORECASE)
_PURPOSE_STATED = re.compile(
    r"\b(?:in order to|(?:aim|goal|purpose|objective)\b(?:\s+\w+){0,6}?\s+(?:is|was)\s+to)\s+(?P<rest>.+)",
    re.IGNORECASE,
)
_PURPOSE_VERB = re.compile(
    r"\bto\s+(?P<rest>(?:reduce|lower|decrease|prevent|treat|manage|correct|restore|repair|relieve|improve|control"
    r"|preserve|achieve|minimi[sz]e|eliminate|reattach)\s.+)",
    re.IGNORECASE,
)
_PURPOSE_END = re.compile(
    r"[,;:()\[\]\"!?]|\.(?!\d)"
    r"|\s(?:using|with|by|via|through|while|after|before|followed|during|and then|in this|in a|in an)\s",
    re.IGNORECASE,
)
_PURPOSE_WORDS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One place that speaks of an attribute."""

    evidence: Evidence
    sure: bool
    """Whether it is enough alone; a passing word of the narration is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Passage:
    """A sentence of one origin."""

    text: str
    origin: str
    start_seconds: float | None = None
    segment: Segment | None = None


def findings(
    metadata: Metadata, lexicon: Lexicon, chapters: Sequence[Chapter], narration: Sequence[Segment]
) -> tuple[Finding, ...]:
    """Everything that is asserted of an attribute: title, description, chapters, narration, each in its order.

    A sentence gives one finding for each value at most.
    """
    found: list[Finding] = []
    for passage in _passages(metadata, chapters, narration):
        once: dict[tuple[str, str], Finding] = {}
        for one in (*_terms(passage, lexicon), *_objectives(passage)):
            once.setdefault((one.evidence.attribute, one.evidence.value), one)
        found += once.values()
    return tuple(found)


def _passages(metadata: Metadata, chapters: Sequence[Chapter], narration: Sequence[Segment]) -> Iterator[_Passage]:
    for text in sentences_of(metadata.title):
        yield _Passage(text=text, origin="title")
    for text in sentences_of(metadata.description):
        if not _ELSEWHERE.search(text):
            yield _Passage(text=text, origin="description")
    for chapter in chapters:
        for text in sentences_of(chapter.title):
            yield _Passage(text=text, origin="chapter", start_seconds=chapter.start_seconds)
    for segment in narration:
        if not _SUPPOSED.search(segment.text):
            yield _Passage(text=segment.text, origin="narration", start_seconds=segment.start_seconds, segment=segment)


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences and lines of a written text, without addresses and tags, each in one line."""
    return tuple(line for part in _SENTENCE_END.split(text) if (line := " ".join(without_noise(part).split())))


def without_noise(text: str) -> str:
    """The text in NFKC, without addresses and tags, with blanks for line breaks."""
    folded = re.sub(r"[\n\r\t]", " ", unicodedata.normalize("NFKC", text))
    return _TAG.sub(" ", _ADDRESS.sub(" ", folded))


def _terms(passage: _Passage, lexicon: Lexicon) -> Iterator[Finding]:
    spoken = passage.origin == "narration"
    for mention in lexicon.find(passage.text):
        category = mention.term.category
        if category not in _ATTRIBUTES or not asserted(passage.text, mention):
            continue
        if spoken and category is Category.COMPLICATION:
            continue
        evidence = Evidence(
            attribute=_ATTRIBUTES[category],
            value=mention.term.name,
            origin=passage.origin,
            quote=passage.text,
            start_seconds=_second(passage, mention.start),
        )
        cue = _PRESENTED if category is Category.DISEASE else _DONE
        yield Finding(evidence=evidence, sure=not spoken or cue.search(passage.text) is not None)


def asserted(text: str, mention: Mention) -> bool:
    """Whether a sentence says that the term is there: not denied; as an operation not past; as harm not only feared."""
    before, after = text[: mention.start], text[mention.end :]
    if _DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after):
        return False
    if mention.term.category is Category.PROCEDURE:
        return not (_PAST_BEFORE.search(before) or _PAST_AFTER.search(after))
    if mention.term.category in (Category.DISEASE, Category.COMPLICATION):
        return not _FEARED_BEFORE.search(before)
    return True


def _objectives(passage: _Passage) -> Iterator[Finding]:
    patterns = [_PURPOSE_STATED] if passage.origin == "narration" else [_PURPOSE_NOUN, _PURPOSE_STATED, _PURPOSE_VERB]
    for pattern in patterns:
        match = pattern.search(passage.text)
        if match is None or re.search(r"\b(?:not|fail\w*|unable)\s*$", passage.text[: match.start()], re.IGNORECASE):
            continue
        rest = _PURPOSE_END.split(match["rest"].strip(), maxsplit=1)[0].split()[:_PURPOSE_WORDS]
        verb = [_VERBS[match["noun"].lower()]] if pattern is _PURPOSE_NOUN else []
        value = " ".join((*verb, *rest)).strip(" .-")
        if len(value.split()) >= 2:
            evidence = Evidence(
                attribute="objective",
                value=value,
                origin=passage.origin,
                quote=passage.text,
                start_seconds=_second(passage, match.start()),
            )
            yield Finding(evidence=evidence, sure=True)
            return


def _second(passage: _Passage, place: int) -> float | None:
    """When the word at a place of the passage was said; the passage's start where its words do not stand in it."""
    cursor = 0
    for word in passage.segment.words if passage.segment else ():
        at = passage.text.find(word.text.strip(), cursor)
        if at < 0:
            break
        cursor = at + len(word.text.strip())
        if cursor > place:
            return word.start_seconds
    return passage.start_seconds
