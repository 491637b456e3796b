"""A bucket server on the loopback address, moto's, that does harm where a test asks for it."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]
Fault = Callable[[Application, Environ, Any], Iterable[bytes]]
"""Answers a request in the place of the application."""


def refused(status: int, code: str, message: str = "told so") -> Fault:
    """An error as S3 words it."""

    def answer(_application: Application, environ: Environ, start: Any) -> Iterable[bytes]:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        start(f"{status} {code}", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer


def reset(_application: Application, environ: Environ, _start: Any) -> Iterable[bytes]:
    """Hang up without an answer."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def stalled(seconds: float) -> Fault:
    """The right answer, too late."""

    def answer(application: Application, environ: Environ, start: Any) -> Iterable[bytes]:
        time.sleep(seconds)
        return application(environ, start)

    return answer


def cut_short(application: Application, environ: Environ, start: Any) -> Iterable[bytes]:
    """Half of the body, then nothing."""
    body = b"".join(application(environ, start))
    yield body[: len(body) // 2]
    reset(application, environ, start)


def flipped(application: Application, environ: Environ, start: Any) -> Iterable[bytes]:
    """A body with one bit changed."""
    body = bytearray(b"".join(application(environ, start)))
    body[len(body) // 2] ^= 1
    return [bytes(body)]


@dataclass
class BucketServer:
    """The server; `harm` does harm to the next requests that contain a text."""

    address: str = ""
    asked: list[str] = field(default_factory=list)
    """`METHOD path?query` of each request."""
    _faults: list[tuple[str, Fault]] = field(default_factory=list)
    _lock: Any = field(default_factory=Lock)

    def harm(self, containing: str, fault: Fault, times: int = 1) -> None:
        """Let the next `times` requests that contain a text (`GET`, a key, `uploadId`) meet a fault."""
        self._faults += [(containing, fault)] * times

    def heal(self) -> None:
        """No more harm."""
        self._faults.clear()

    def count(self, containing: str) -> int:
        """How many requests contained a text."""
        return sum(containing in one for one in self.asked)

    def forget(self) -> None:
        """No buckets, no faults, nothing asked."""
        self.heal()
        urllib.request.urlopen(urllib.request.Request(f"{self.address}/moto-api/reset", method="POST")).close()
        self.asked.clear()

    def wrapped(self, application: Application) -> Application:
        def answer(environ: Environ, start: Any) -> Iterable[bytes]:
            request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
            with self._lock:
                self.asked.append(request)
                found = next((number for number, (text, _) in enumerate(self._faults) if text in request), None)
                fault = None if found is None else self._faults.pop(found)[1]
            return fault(application, environ, start) if fault else application(environ, start)

        return answer


@contextmanager
def serving_buckets() -> Iterator[BucketServer]:
    """A server while it lasts."""
    bucket = BucketServer()
    application = bucket.wrapped(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    bucket.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
