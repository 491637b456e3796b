"""Answers of a language model behind an OpenAI-compatible address, each paid for once.

What was asked and answered lies in one SQLite file of the corpus, keyed by content, so that killed and parallel runs
share it; so does what was spent. The key is read from the environment, sent in a header, and written nowhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from requests.auth import AuthBase

from ingest.config.text import RewriteConfig

_MOST_BYTES = 1_000_000
_LETTERS_PER_TOKEN = 3
_LONGEST_WAIT_SECONDS = 60.0
_BUSY = frozenset({408, 409, 425, 429})
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (question TEXT PRIMARY KEY, answer TEXT NOT NULL, tokens INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS spent (one INTEGER PRIMARY KEY CHECK (one = 1), requests INTEGER, tokens INTEGER);
INSERT OR IGNORE INTO spent VALUES (1, 0, 0);
"""

Message = Mapping[str, str]


class NoAnswerError(Exception):
    """No answer is to be had now, so that no result can be had either; the text says why, in one line without secrets.

    A corpus must not depend on when a server was down: whoever asks ends, and another run asks again.
    """


@dataclass(frozen=True, slots=True)
class Spent:
    """What a corpus has cost so far."""

    requests: int
    tokens: int


class Chat:
    """Asks one model; safe with several processes over the same file."""

    def __init__(self, config: RewriteConfig, path: Path) -> None:
        self._config = config
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._locks = path.with_suffix(".locks")
        self._locks.mkdir(exist_ok=True)
        with self._database() as database:
            database.executescript(_TABLES)

    @property
    def spent(self) -> Spent:
        """Requests and tokens over the life of the corpus."""
        with self._database() as database:
            return Spent(*database.execute("SELECT requests, tokens FROM spent").fetchone())

    def ask(self, messages: Sequence[Message], seed: int) -> str:
        """The model's answer to `messages`, from the file if it was given before.

        Raises:
            NoAnswerError: the budget is spent, the server stayed silent, broken or unreadable through all retries, or
                it refuses the key, the address or the model.
        """
        question = self._question(messages, seed)
        body = json.dumps(question, sort_keys=True)
        key = hashlib.sha256(body.encode()).hexdigest()
        with self._alone(key):
            known = self._known(key)
            if known is not None:
                return known
            answer, tokens = self._persistently(
                question, len(body) // _LETTERS_PER_TOKEN + self._config.max_answer_tokens
            )
            self._remember(key, answer, tokens)
            return answer

    def _question(self, messages: Sequence[Message], seed: int) -> dict[str, Any]:
        return {
            "model": self._config.model,
            "messages": [dict(message) for message in messages],
            "temperature": 0,
            "seed": seed,
            "max_tokens": self._config.max_answer_tokens,
        }

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=60.0, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            yield database

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """Hold a question against others that ask it; the system lets go for a process that was killed."""
        with (self._locks / key[:2]).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _known(self, key: str) -> str | None:
        with self._database() as database:
            row = database.execute("SELECT answer FROM answers WHERE question = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _remember(self, key: str, answer: str, tokens: int) -> None:
        with self._database() as database:
            database.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (key, answer, tokens))

    def _reserve(self, tokens: int) -> None:
        config = self._config
        with self._database() as database:
            changed = database.execute(
                "UPDATE spent SET requests = requests + 1, tokens = tokens + ? WHERE requests < ? AND tokens + ? <= ?",
                (tokens, config.max_requests, tokens, config.max_tokens),
            )
        if not changed.rowcount:
            raise NoAnswerError(
                f"rewrite: the budget is spent ({config.max_requests} requests, {config.max_tokens} tokens): raise "
                "rewrite.max_requests or rewrite.max_tokens and run again; what is done is kept"
            )

    def _settle(self, difference: int) -> None:
        with self._database() as database:
            database.execute("UPDATE spent SET tokens = tokens + ?", (difference,))

    def _persistently(self, question: Mapping[str, Any], estimate: int) -> tuple[str, int]:
        reason = ""
        for attempt in range(self._config.retries + 1):
            self._reserve(estimate)
            try:
                answer, tokens = self._once(question, estimate)
            except _UnansweredError as error:
                reason = str(error)
                if attempt < self._config.retries:
                    time.sleep(min(max(error.wait_seconds, self._wait(attempt)), _LONGEST_WAIT_SECONDS))
            else:
                self._settle(tokens - estimate)
                return answer, tokens
        raise NoAnswerError(
            f"rewrite.address: {self._config.address} gives no answer ({reason}, {self._config.retries + 1} tries): "
            "run again once it does; what is done is kept"
        )

    def _wait(self, attempt: int) -> float:
        return float(self._config.backoff_seconds * 2**attempt)

    def _once(self, question: Mapping[str, Any], estimate: int) -> tuple[str, int]:
        address = self._config.address.rstrip("/") + "/chat/completions"
        deadline = time.monotonic() + self._config.timeout_seconds
        try:
            with requests.post(
                address,
                json=question,
                auth=_Bearer(os.environ.get(self._config.key_variable, "")),
                timeout=self._config.timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                self._refuse(response)
                return _read(_body(response, deadline), estimate)
        except requests.RequestException as error:
            raise _UnansweredError(type(error).__name__) from error

    def _refuse(self, response: requests.Response) -> None:
        status = response.status_code
        if status == 200:
            return
        if status in _BUSY or status >= 500:
            raise _UnansweredError(f"HTTP {status}", _seconds(response.headers.get("Retry-After", "")))
        raise NoAnswerError(
            f"rewrite.address: {self._config.address} answers HTTP {status}; check the address, rewrite.model "
            f"({self._config.model}) and the key in {self._config.key_variable}"
        )


def forget_answers(path: Path) -> None:
    """Remove all answers and their bytes; what they cost stays noted.

    Answers lie under hashes of the questions: which belong to one video can be told no more.
    """
    if not path.is_file():
        return
    with closing(sqlite3.connect(path, timeout=60.0, isolation_level=None)) as database:
        database.execute("PRAGMA secure_delete=ON")
        database.execute("DELETE FROM answers")
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class _UnansweredError(Exception):
    """One request came to nothing, and another may not."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class _Bearer(AuthBase):
    """The key as a header; set as `auth`, so that no .netrc of the machine takes its place."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _seconds(header: str) -> float:
    return float(header) if header.isdigit() else 0.0


def _body(response: requests.Response, deadline: float) -> bytes:
    """The whole body, as long as it comes in time and is no flood."""
    body = bytearray()
    for piece in response.iter_content(chunk_size=1):
        body += piece
        if len(body) > _MOST_BYTES:
            raise _UnansweredError("answer over 1 MB")
        if time.monotonic() > deadline:
            raise _UnansweredError("slower than rewrite.timeout_seconds")
    return bytes(body)


def _read(body: bytes, estimate: int) -> tuple[str, int]:
    try:
        answer = json.loads(body)
        content = answer["choices"][0]["message"]["content"]
        used = (answer.get("usage") or {}).get("total_tokens")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _UnansweredError("unreadable answer") from error
    if content is None:
        content = ""  # all tokens went into thinking, or the model declined: asked again, it would be the same
    if not isinstance(content, str):
        raise _UnansweredError("answer without text")
    return content, used if isinstance(used, int) and not isinstance(used, bool) and used >= 0 else estimate
