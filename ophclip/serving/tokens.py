"""Tokens: who may ask, and how much. A file holds the SHA-256 of each; the secret is shown once and kept nowhere.

A token is 256 random bits, so that a plain hash of it cannot be searched through, unlike that of a password.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from ingest.atomic import write_json
from ingest.parsing import parse_json

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PREFIX = "oph_"


class Scope(StrEnum):
    """What a token opens."""

    READ = "read"
    """Searching, embedding, playing."""
    ADMIN = "admin"
    """Also the figures of the service, and opening the index anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One entry of the file."""

    name: str
    scope: Scope
    sha256: str
    created: str


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The entries of a file of tokens.

    Raises:
        ValueError: it is not there, others may read it, or it is no such file.
    """
    if not path.is_file():
        raise ValueError(f"{path}: expected a file of tokens and there is none; make one with `ophclip token create`")
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path}: other users may read it; run `chmod 600 {path}`")
    try:
        rows = parse_json(path.read_text(encoding="utf-8"))["tokens"]
        return tuple(Token(**{**row, "scope": Scope(row["scope"])}) for row in rows)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no file of tokens; make one with `ophclip token create`") from error


def create_token(path: Path, name: str, scope: Scope) -> str:
    """Add a token to a file, which is made if need be, and return its secret.

    Raises:
        ValueError: the name is taken or unfit, or the file is none of tokens.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"token: {name!r} is no name; expected 1 to 64 letters, digits, dots, dashes or underscores")
    held = read_tokens(path) if path.exists() else ()
    if any(token.name == name for token in held):
        raise ValueError(f"{path}: there is a token named {name}; revoke it first, or give another name")
    secret = _PREFIX + secrets.token_urlsafe(32)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    _write(path, (*held, Token(name=name, scope=scope, sha256=_hash(secret), created=created)))
    return secret


def revoke_token(path: Path, name: str) -> None:
    """Take a token out of its file; a running service sees it at the next request.

    Raises:
        ValueError: there is no token of that name.
    """
    held = read_tokens(path)
    rest = tuple(token for token in held if token.name != name)
    if len(rest) == len(held):
        known = ", ".join(token.name for token in held) or "none"
        raise ValueError(f"{path}: no token named {name!r}; it holds {known}")
    _write(path, rest)


def _write(path: Path, tokens: Sequence[Token]) -> None:
    write_json(path, {"tokens": [asdict(token) for token in tokens]}, mode=0o600)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


class TokenFile:
    """The tokens of a running service, read again when their file changes; one that cannot be read lets nobody in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tokens = read_tokens(path)
        self._stamp = _stamp(path)

    def find(self, secret: str) -> Token | None:
        """Whose secret this is. Every entry is compared, each in the same time wherever it differs."""
        if (stamp := _stamp(self._path)) != self._stamp:
            self._tokens, self._stamp = _readable(self._path), stamp
        given, found = _hash(secret), None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256, given):
                found = token
        return found


def _readable(path: Path) -> tuple[Token, ...]:
    try:
        return read_tokens(path)
    except (OSError, ValueError):
        return ()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns
