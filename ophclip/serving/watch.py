"""One line of log and a few figures for every request, and the headers of every answer. Never any content.

What is logged: request id, route template, status, milliseconds, bytes, token's name. Not logged: paths, queries, ids,
texts, vectors, file names, addresses, and the words of an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ophclip.serving.metrics import Metrics
from ophclip.serving.refusing import refusal
from ophclip.serving_options import ServingConfig

LOG = logging.getLogger("ophclip.serving")
_CONTENT_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_GONE = 499
"""Logged where the client left before it was answered."""
_ALWAYS = ("/health", "/ready")
"""Answered by the routes even while the service ends."""


@dataclass(slots=True)
class Traffic:
    """How many requests are not answered yet, and whether new ones are refused because the service ends."""

    under_way: int = 0
    ending: bool = False


class StalledError(Exception):
    """The client takes nothing of its answer."""


class Watch:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, config: ServingConfig, metrics: Metrics, traffic: Traffic) -> None:
        self._app = app
        self._metrics = metrics
        self._stall_seconds = config.idle_seconds
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        note = _Note(scope, send, self._stall_seconds)
        try:
            if self._traffic.ending and scope["path"] not in _ALWAYS:
                await refusal(503, "the service is about to end; ask again when it is back")(scope, receive, note.send)
            else:
                with self._counted():
                    await self._app(scope, receive, note.send)
        except (ClientDisconnect, StalledError):
            pass  # nobody is there to be told; the server closes the connection
        except Exception as error:  # noqa: BLE001  whatever it is, the client gets a line and the log no content
            _log_fault(note.request_id, error)
            if not note.status:
                words = f"a fault of the service, logged as {note.request_id}; tell whoever runs it"
                await refusal(500, words)(scope, receive, note.send)
        finally:
            self._tell(note)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._traffic.under_way += 1
        self._metrics.under_way.set(self._traffic.under_way)
        try:
            yield
        finally:
            self._traffic.under_way -= 1
            self._metrics.under_way.set(self._traffic.under_way)

    def _tell(self, note: _Note) -> None:
        route, status = note.route, note.status if note.complete else _GONE
        seconds = time.perf_counter() - note.began
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        LOG.info(
            "request",
            extra={
                "fields": {
                    "request_id": note.request_id,
                    "route": route,
                    "method": note.method,
                    "status": status,
                    "milliseconds": round(seconds * 1000, 1),
                    "bytes": note.size,
                    "token": note.token_name,
                }
            },
        )


class _Note:
    """What is noted of one request while it is answered."""

    def __init__(self, scope: Scope, send: Send, stall_seconds: float) -> None:
        self._scope = scope
        self._send = send
        self._stall_seconds = stall_seconds
        self.request_id = secrets.token_hex(8)
        self.began = time.perf_counter()
        self.status = 0
        self.size = 0
        self.complete = False

    async def send(self, message: Message) -> None:
        """Send on; raises StalledError where the client takes nothing for too long."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers()]
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._send(message)
        except TimeoutError as error:
            raise StalledError from error
        self.size += len(message.get("body", b""))
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        kept = "no-store" if self._scope["path"].startswith("/v1/") else "no-cache"
        own = {**_HEADERS, "Cache-Control": kept, "X-Request-Id": self.request_id}
        return [(name.lower().encode(), value.encode()) for name, value in own.items()]

    @property
    def method(self) -> str:
        """The method, if it is a usual one: a client may send any word."""
        method = str(self._scope["method"])
        return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"

    @property
    def route(self) -> str:
        """The template of the route that answered, never the path."""
        template = getattr(self._scope.get("route"), "path", None)
        if template is not None:
            return str(template)
        return "/page" if self._scope["path"].startswith("/page/") else "none"

    @property
    def token_name(self) -> str | None:
        """Whose token it was."""
        name = self._scope.get("state", {}).get("token_name")
        return None if name is None else str(name)


def _log_fault(request_id: str, error: Exception) -> None:
    """Kind and place of a fault; its words could hold content."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    fields = {"request_id": request_id, "fault": type(error).__name__, "at": f"{last.filename}:{last.lineno}"}
    LOG.error("fault", extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A record as one line of JSON; of records that are not ours only the logger and the level, for their words may
    hold what a client sent."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if record.name == LOG.name else record.name,
        }
        return json.dumps({**line, **getattr(record, "fields", {})})
