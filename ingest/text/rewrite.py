"""Rewriting by a language model, kept only if the verifier finds nothing that the transcript lacks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ingest.config.text import RewriteConfig
from ingest.parsing import parse_json
from ingest.records import Evidence
from ingest.text.chat import Chat, Message, Spent
from ingest.text.lexicon import Lexicon
from ingest.text.stems import stems
from ingest.text.verify import Verifier

CACHE_NAME = "rewrites.sqlite"
_FIELDS = ("procedure", "technique", "eye_condition", "instruments", "medications", "objective", "phases")
_NONE = "NONE"
_SPARE_WORDS = 15
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(?P<inside>.*)\n\s*```\s*\Z", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewrite:
    """One passage and what became of it."""

    before: str
    after: str
    """The rewrite if it is kept, else the passage itself."""
    kept: bool
    reason: str
    """Empty if kept; else what the last answer added."""
    attempts: int
    """Answers that were looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TitleFields:
    """What the model read out of a video's text: verified values, and refused ones with the reason."""

    evidence: tuple[Evidence, ...]
    refused: tuple[str, ...]


class Rewriter:
    """Rewrites passages and reads title fields, over one corpus' file of answers."""

    def __init__(self, config: RewriteConfig, folder: Path, lexicon: Lexicon) -> None:
        self._chat = Chat(config, folder / CACHE_NAME)
        self._verifier = Verifier(lexicon)
        self._config = config
        self._prompt = _prompt(config.prompt, "rewrite")
        self._title_prompt = _prompt(config.title_prompt, "title")

    @property
    def spent(self) -> Spent:
        """Requests and tokens over the life of the corpus."""
        return self._chat.spent

    def rewrite(self, text: str) -> Rewrite:
        """The first answer that the verifier accepts, of `rewrite.attempts` at most; otherwise `text` as it is.

        Raises:
            NoAnswerError: the budget is spent, or the server does not answer or refuses.
        """
        messages: list[Message] = [_says("system", self._prompt), _says("user", text)]
        reason, looked = "", 0
        for attempt in range(self._config.attempts if text.strip() else 0):
            answer = self._chat.ask(messages, self._config.seed + attempt).strip()
            looked += 1
            reason = self._objection(text, answer)
            if not reason:
                return Rewrite(before=text, after=answer, kept=True, reason="", attempts=looked)
            again = f"Not accepted: {reason}. Send the passage again without that."
            messages = [*messages[:2], _says("assistant", answer or _NONE), _says("user", again)]
        return Rewrite(before=text, after=text, kept=False, reason=reason or "empty passage", attempts=looked)

    def _objection(self, text: str, answer: str) -> str:
        if not answer or answer.rstrip(".") == _NONE:
            return "empty"
        if "\n" in answer or answer.startswith(("#", "-", "*", "`", "{", '"')):
            return "form: more than plain sentences"
        if len(answer.split()) > 2 * len(text.split()) + _SPARE_WORDS:
            return "form: much longer than the passage"
        added = self._verifier.added(text, answer)
        return f"adds {'; '.join(added)}" if added else ""

    def title_fields(self, text: str) -> TitleFields:
        """Attributes that the model finds in `text`, each verified against the words it quotes from it.

        Raises:
            NoAnswerError: the budget is spent, or the server does not answer or refuses.
        """
        messages = [_says("system", self._title_prompt), _says("user", text)]
        if not text.strip():
            return TitleFields(evidence=(), refused=())
        listed = _object(self._chat.ask(messages, self._config.seed))
        if listed is None:
            return TitleFields(evidence=(), refused=("form: no JSON object",))
        evidence: list[Evidence] = []
        refused: list[str] = []
        for field in _FIELDS:
            for value, quote in _pairs(listed.get(field)):
                reason = self._unfounded(text, value, quote)
                if reason:
                    refused.append(f"{field}: {value}: {reason}")
                else:
                    evidence.append(Evidence(attribute=field, value=value, origin="model", quote=quote))
        return TitleFields(evidence=tuple(dict.fromkeys(evidence)), refused=tuple(refused))

    def _unfounded(self, text: str, value: str, quote: str) -> str:
        if not value or not quote or not _contains(stems(text), stems(quote)):
            return "its quote does not stand in the text"
        # The quote is judged in its surroundings: words before it may deny it.
        added = self._verifier.added(text, value) or self._verifier.added(quote, value)
        if added:
            return f"adds {'; '.join(added)}"
        named = self._verifier.named(value)
        return "" if named or set(stems(value)) <= set(stems(quote)) else "words that its quote does not hold"


def build_rewriter(config: RewriteConfig, folder: Path, lexicon: Lexicon) -> Rewriter | None:
    """The rewriter of the corpus at `folder`; None without `rewrite.address`: then nothing is ever called.

    Raises:
        ValueError: a prompt file cannot be read.
    """
    return Rewriter(config, folder, lexicon) if config.address else None


def acceptance_rate(rewrites: Sequence[Rewrite]) -> float:
    """Share of the passages whose rewrite was kept; 0 without any."""
    return sum(one.kept for one in rewrites) / len(rewrites) if rewrites else 0.0


def _prompt(path: str, shipped: str) -> str:
    if not path:
        return (resources.files("ingest") / "prompts" / f"{shipped}.txt").read_text(encoding="utf-8")
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"rewrite prompt {path}: cannot be read; expected a text file in UTF-8") from error


def _says(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _object(answer: str) -> Mapping[str, object] | None:
    fenced = _FENCE.match(answer)
    try:
        listed = parse_json(fenced["inside"] if fenced else answer)
    except ValueError:
        return None
    return listed if isinstance(listed, dict) else None


def _pairs(listed: object) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in listed if isinstance(listed, list) else []:
        value, quote = (one.get("value"), one.get("quote")) if isinstance(one, dict) else (None, None)
        if isinstance(value, str) and isinstance(quote, str):
            found.append((" ".join(value.split()), " ".join(quote.split())))
    return found


def _contains(words: Sequence[str], phrase: Sequence[str]) -> bool:
    size = len(phrase)
    wanted = tuple(phrase)
    return bool(size) and any(tuple(words[place : place + size]) == wanted for place in range(len(words) - size + 1))
