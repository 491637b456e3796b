"""Who gets in, before any route is reached."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import httpx
import pytest
import uvicorn
from served_index import Asking
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ophclip.serving.door import COOKIE, Door
from ophclip.serving.metrics import Metrics
from ophclip.serving.protocol import patient_protocol
from ophclip.serving.refusing import RefusedError, refusal
from ophclip.serving.tokens import Scope, TokenFile, create_token
from ophclip.serving_options import ServingConfig, UploadLimits

METHODS = ["GET", "POST"]


async def echo(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return refusal(error.status_code, error.detail, error.headers)


def door(tokens: TokenFile | None = None, **options: Any) -> Door:
    routes = [Route("/{path:path}", echo, methods=METHODS)]
    app = Starlette(routes=routes, exception_handlers={RefusedError: refused})
    return Door(app, ServingConfig(**options), Metrics(), tokens)


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:8000", 200), ("search.example", 200),
     ("evil.example", 400), ("127.0.0.1.evil.example", 400), ("evil.example:8000", 400), ("", 400),
     ("localhost.", 400), ("[::1].evil.example", 400), ("127.0.0.2", 400)],
)  # fmt: skip
def test_only_names_of_its_own_are_answered(host: str, status: int) -> None:
    """Else a page elsewhere could point its own name at this address and read the answers."""
    ask = Asking(door(allowed_hosts=["search.example"]))
    assert ask.get("/v1/index", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {}, 200),
        ("POST", {"Origin": "http://127.0.0.1:8000"}, 200),
        ("POST", {"Origin": "https://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, 200),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:9000"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:8000.evil.example"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "same-site"}, 403),
        ("GET", {"Sec-Fetch-Site": "none"}, 200),
        ("GET", {"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_a_page_of_another_origin_is_refused(method: str, headers: dict[str, str], status: int) -> None:
    assert Asking(door())(method, "/v1/videos/a/clip", headers=headers).status_code == status


def test_a_link_from_elsewhere_opens_the_page() -> None:
    assert Asking(door()).get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_tokens_open_what_their_scope_says(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    reader, admin = create_token(file, "page", Scope.READ), create_token(file, "ops", Scope.ADMIN)
    ask = Asking(door(TokenFile(file)))

    def status(path: str, secret: str | None, method: str = "GET") -> int:
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return ask(method, path, headers=headers).status_code

    for path in ("/", "/page/a.js", "/health", "/ready"):
        assert status(path, None) == 200
    assert status("/v1/session", None, "POST") == 200
    for path in ("/v1/index", "/metrics", "/v1/reload", "/openapi.json", "/nothing", "/pagex", "/v1/session/x"):
        assert [status(path, wrong) for wrong in (None, "", "wrong", reader[:-1])] == [401] * 4
        assert status(path, admin) == 200
    assert status("/v1/index", reader) == 200
    assert [status(path, reader) for path in ("/metrics", "/v1/reload")] == [403, 403]
    assert ask.get("/v1/index").headers["www-authenticate"] == "Bearer"
    for odd in (f"Basic {reader}", reader, f"Bearer{reader}", "Bearer \xe9"):
        assert ask.get("/v1/index", headers={"Authorization": odd.encode("latin-1")}).status_code == 401


def test_a_cookie_opens_pictures_and_nothing_that_changes_or_costs(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    secret = create_token(file, "page", Scope.READ)
    ask = Asking(door(TokenFile(file)), Cookie=f"other=1; {COOKIE}={secret}")
    assert ask.get("/v1/hits/a/thumbnail").status_code == 200
    assert ask.post("/v1/search").status_code == 401
    assert Asking(door(TokenFile(file)), Cookie=f"{COOKIE}=wrong").get("/v1/videos/a/clip").status_code == 401
    assert Asking(door(TokenFile(file)), Cookie="\x01;;=").get("/v1/videos/a/clip").status_code == 401


def test_a_body_is_bounded_whether_its_length_is_told_or_not() -> None:
    ask = Asking(door(limits=UploadLimits(picture_mb=0.002)))
    for path, most in (("/v1/embed/image", 2000), ("/v1/search", 1_000_000), ("/nothing", 1_000_000)):
        assert ask.post(path, content=bytes(most)).text == str(most)
        told = ask.post(path, content=bytes(most + 1))
        assert (told.status_code, told.headers["connection"]) == (413, "close")
        assert "larger than" in told.json()["error"]

        async def parts(count: int) -> AsyncIterator[bytes]:
            for _ in range(count):
                yield bytes(100)

        assert ask.post(path, content=parts(most // 100)).text == str(most)
        untold = ask.post(path, content=parts(most // 100 + 1))
        assert (untold.status_code, untold.headers["connection"]) == (413, "close")


@contextmanager
def listening(app: Door) -> Iterator[int]:
    """The port of a server of its own, for clients with sockets."""
    server = uvicorn.Server(uvicorn.Config(app, http=patient_protocol(5), log_config=None, lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def test_who_sends_all_before_reading_reads_why_it_was_refused() -> None:
    """More than socket buffers take: a connection that is closed over unread bytes is reset, and the answer lost."""
    with listening(door(limits=UploadLimits(picture_mb=1.0))) as port:
        asked = UrlRequest(f"http://127.0.0.1:{port}/v1/embed/image", data=bytes(14_000_000))
        with pytest.raises(HTTPError) as refusal:
            urlopen(asked, timeout=30)
        with refusal.value as answer:
            assert (answer.code, answer.headers["connection"]) == (413, "close")
            assert b"larger than 1 MB" in answer.read()
        head = b"POST /v1/embed/image HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        chunked = b"Transfer-Encoding: chunked\r\n\r\n" + 140 * (b"186A0\r\n" + bytes(100_000) + b"\r\n") + b"0\r\n\r\n"
        for rest in (chunked, b"Content-Length: 14000000\r\n\r\n" + bytes(14_000_000)):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(head + rest)
                said = b"".join(iter(lambda: connection.recv(1 << 16), b""))
            assert said.startswith(b"HTTP/1.1 413")
            assert b"larger than 1 MB" in said


def test_who_goes_on_sending_after_a_refusal_is_cut_off() -> None:
    with (
        listening(door(limits=UploadLimits(picture_mb=1.0))) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        connection.sendall(b"POST /v1/embed/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000000\r\n\r\n")
        began, sent = time.monotonic(), 0
        with suppress(ConnectionError):
            while time.monotonic() < began + 20:
                sent += connection.send(bytes(1 << 16))
                time.sleep(0.01 if sent < 12_000_000 else 0)
        assert time.monotonic() - began < 15
        assert sent < 60_000_000


def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    began = time.monotonic()
    answer = Asking(door(limits=UploadLimits(seconds=0.3))).post("/v1/embed/video", content=parts())
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")
    assert time.monotonic() - began < 3


def test_one_more_than_may_be_under_way_is_told_to_come_again() -> None:
    async def run() -> list[httpx.Response]:
        go = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            if "hold" in scope["path"]:
                await go.wait()
            await Response("done")(scope, receive, send)

        metrics = Metrics()
        made = Door(slow, ServingConfig(requests=2), metrics, None)
        transport = httpx.ASGITransport(app=made)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            held = [asyncio.create_task(client.get("/v1/hold")) for _ in range(2)]
            await asyncio.sleep(0.05)
            between = [await client.get(path) for path in ("/v1/index", "/health", "/v1/videos/a/clip")]
            go.set()
            ended = [await task for task in held]
            after = await client.get("/v1/index")
        assert metrics.rejected._value.get() == 1
        return [*between, *ended, after]

    answers = asyncio.run(run())
    assert [answer.status_code for answer in answers] == [429, 200, 200, 200, 200, 200]
    assert answers[0].headers["retry-after"] == "1"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "search.example"])
def test_an_address_that_others_reach_needs_tokens(host: str) -> None:
    with pytest.raises(ValueError, match="make a token with `ophclip token create"):
        ServingConfig(host=host)
    assert not ServingConfig(host=host, tokens="tokens.json").is_loopback


def test_a_loopback_address_needs_none() -> None:
    assert all(ServingConfig(host=host).is_loopback for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"))
