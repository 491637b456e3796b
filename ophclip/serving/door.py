"""Who gets in: the name the service was called by, where the request comes from, its token, its size, and how many."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ophclip.serving import tokens
from ophclip.serving.metrics import Metrics
from ophclip.serving.refusing import RefusedError, busy, refusal
from ophclip.serving_options import ServingConfig

COOKIE = "ophclip_session"
_API = "/v1/"
_OPEN = ("/", "/health", "/ready", "/v1/session")
_PAGE = "/page/"
_ADMIN = ("/metrics", "/v1/reload")
_SAFE = ("GET", "HEAD", "OPTIONS")
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_JSON_BYTES = 1_000_000
_READ_OUT = (413, 415, 429, 503)
_LINGER_SECONDS, _LINGER_BYTES = 2.0, 16_000_000
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::\d*)?")


class Gate:
    """Lets so many in at once."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._metrics = metrics
        self._inside = 0

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Raises RefusedError (429) if it is full."""
        if self._inside >= self._most:
            self._metrics.rejected.inc()
            raise busy("too many requests are under way")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


class Door:
    """ASGI middleware that refuses what should not reach a route, by one line and before its body is read."""

    def __init__(self, app: ASGIApp, config: ServingConfig, metrics: Metrics, held: tokens.TokenFile | None) -> None:
        self._app = app
        self._tokens = held
        self._limits = config.limits
        own = f"[{config.host}]" if ":" in config.host else config.host
        self._names = {name.lower() for name in (*_LOOPBACK_NAMES, own, *config.allowed_hosts)}
        self._requests = Gate(config.requests, metrics)
        self._uploads = Gate(config.limits.at_once, metrics)
        self._streams = Gate(config.streams, metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on with a body that is bounded."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._most_bytes(scope), self._limits.seconds)
        answer = body.read_out_before(send)
        try:
            headers = Headers(scope=scope)
            self._look_at_host(headers)
            _look_at_origin(scope, headers)
            self._look_at_token(scope, headers)
            body.require_declared(headers)
            if scope["path"].startswith(_API):
                with self._gate(scope["path"]).passed():
                    await self._app(scope, body.receive, answer)
            else:
                await self._app(scope, body.receive, answer)
        except RefusedError as error:
            await refusal(error.status_code, error.detail, error.headers)(scope, receive, answer)

    def _look_at_host(self, headers: Headers) -> None:
        name = _without_port(headers.get("host", "")).lower()
        if name not in self._names:
            raise RefusedError(400, "this service is not known by that name; add it to allowed_hosts if it is yours")

    def _look_at_token(self, scope: Scope, headers: Headers) -> None:
        path = scope["path"]
        if self._tokens is None or path in _OPEN or path.startswith(_PAGE):
            return
        found = self._tokens.find(_secret(scope, headers))
        if found is None:
            raise RefusedError(
                401, "no valid token; send one as `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"}
            )
        scope.setdefault("state", {})["token_name"] = found.name
        if path in _ADMIN and found.scope is not tokens.Scope.ADMIN:
            raise RefusedError(403, "this token may only read; use one that was created with --scope admin")

    def _gate(self, path: str) -> Gate:
        if path in ("/v1/embed/image", "/v1/embed/video"):
            return self._uploads
        return self._streams if path.endswith("/clip") else self._requests

    def _most_bytes(self, scope: Scope) -> int:
        uploads = {"/v1/embed/image": self._limits.picture_mb, "/v1/embed/video": self._limits.clip_mb}
        return int(uploads[scope["path"]] * 1e6) if scope["path"] in uploads else _JSON_BYTES


def _look_at_origin(scope: Scope, headers: Headers) -> None:
    """No page of another origin may ask: browsers say where a request comes from, and pages cannot change that."""
    if scope["path"].startswith(_API) and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise RefusedError(403, "asked by a page of another origin; expected the service's own page, open that")
    origin = headers.get("origin")
    if origin is None or scope["method"] in _SAFE:
        return
    if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise RefusedError(403, "asked by a page of another origin; expected the service's own page, open that")


def _secret(scope: Scope, headers: Headers) -> str:
    """The bearer token; of pictures and videos, whose requests a page cannot add headers to, also the cookie."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    if scope["method"] not in _SAFE:
        return ""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie is not None else ""


def _without_port(host: str) -> str:
    """Empty for what is no host."""
    parts = _HOST.fullmatch(host)
    return parts[1] if parts else ""


class _Body:
    """The body of a request, bounded in size and time; what is left of one that is refused is read and thrown away, for
    a while: a client that sends all of it before it reads would else find a broken connection and no answer."""

    def __init__(self, receive: Receive, most_bytes: int, seconds: float) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._end = asyncio.get_running_loop().time() + seconds
        self._taken = 0
        self._arrived = False

    def require_declared(self, headers: Headers) -> None:
        """Raises RefusedError (413) if the request says that its body is larger."""
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._most_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next part; raises RefusedError if the body grows larger (413) or takes longer (408)."""
        if self._arrived:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._end):
                message = await self._next()
        except TimeoutError as error:
            words = f"the body did not arrive within {self._seconds:g} s; send it faster"
            raise RefusedError(408, words) from error
        if self._taken > self._most_bytes:
            raise self._too_large()
        return message

    def read_out_before(self, send: Send) -> Send:
        """`send`, which reads the rest of the body before it ends an answer that closes the connection."""
        closes = False

        async def answer(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start":
                closes = message["status"] in _READ_OUT
            elif closes and not self._arrived and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await self._read_out()
                message = {"type": "http.response.body"}
            await send(message)

        return answer

    async def _read_out(self) -> None:
        most_bytes = self._taken + _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._arrived and self._taken < most_bytes:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        self._arrived = not message.get("more_body", False)
        return message

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"the body is larger than {self._most_bytes / 1e6:g} MB; send less")
