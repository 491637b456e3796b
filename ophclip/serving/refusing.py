"""How a request is refused: a status, one line, and where it helps when to come again."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

_BODY_UNREAD = (408, 413, 415, 429, 503)
"""Statuses before which a body may not have been read, so that the connection cannot be used again."""


class RefusedError(HTTPException):
    """A request that is not answered; `words` say what, what was expected, and the remedy."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, " ".join(words.split()), headers)


def busy(words: str) -> RefusedError:
    """429: too much waits already."""
    return RefusedError(429, f"{words}; come again in a second", {"Retry-After": "1"})


def refusal(status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a refused request."""
    closing = {"Connection": "close"} if status in _BODY_UNREAD else {}
    return JSONResponse({"error": words}, status_code=status, headers={**closing, **(headers or {})})
