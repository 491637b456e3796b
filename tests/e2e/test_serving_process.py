"""The service as it runs: slow and hostile clients, overload, its log, its end; all of it without a network."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from served_index import write_index, write_video
from serving_process import Serving, serving

from ophclip.config import IndexConfig
from ophclip.search.build import build_index

pytestmark = pytest.mark.slow
OPTIONS = (
    "idle_seconds=1.5", "stop_seconds=10", "requests=8", "limits.seconds=2", "limits.clip_mb=3", "limits.at_once=2",
    "limits.decoders=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    write_index(root)
    with (root / "videos" / "case_001.mp4").open("ab") as file:
        file.write(bytes(30_000_000))  # as much as no buffer takes, which players pass over
    build_index(root / "bundle", root / "index", videos=root / "videos", config=IndexConfig(fps=1.0))
    return root / "index"


@pytest.fixture(scope="module")
def running(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(index, tmp_path_factory.mktemp("running") / "service", *OPTIONS) as one:
        yield one
        assert one.process.poll() is None
        assert not one.network_used.exists(), one.network_used.read_text()
        assert not [line for line in one.lines() if line["event"] == "fault"]


def closed_after(connection: socket.socket, most_seconds: float) -> tuple[float, bytes]:
    """How long it takes the other side to close, and what it said."""
    began, said = time.monotonic(), b""
    connection.settimeout(most_seconds)
    while True:
        try:
            part = connection.recv(1 << 16)
        except ConnectionError:
            part = b""
        if not part:
            return time.monotonic() - began, said
        said += part


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET / HTTP/1.1\r\nHost"])
def test_a_head_that_does_not_end_is_cut_off(begun: bytes, running: Serving) -> None:
    with running.connected() as connection:
        connection.sendall(begun)
        seconds, said = closed_after(connection, 10)
    assert seconds < 6
    assert said == b""


def test_a_body_that_drips_is_told_so_and_cut_off(running: Serving) -> None:
    with running.connected() as connection:
        head = b"POST /v1/embed/video HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head + b"\x1aE\xdf\xa3")
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        seconds, said = closed_after(connection, 10)
        stop.set()
        thread.join()
    assert said.startswith(b"HTTP/1.1 408")
    assert seconds < 8


def test_an_endless_body_is_refused_while_it_arrives(running: Serving) -> None:
    before, sent = running.rss_mb(), 0
    with running.connected() as connection:
        connection.sendall(
            b"POST /v1/embed/video HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\n\x1aE\xdf\xa3\r\n"
        )
        block = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        try:
            while sent < 200_000_000:
                connection.sendall(block)
                sent += 0x10000
        except ConnectionError:
            pass
    assert 3_000_000 <= sent < 50_000_000
    assert running.rss_mb() - before < 60


def test_a_body_on_a_route_that_reads_none_is_not_read_for_ever(running: Serving) -> None:
    with running.connected() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nabc")
        seconds, said = closed_after(connection, 15)
    assert said.startswith(b"HTTP/1.1 200")
    assert seconds < 10


def test_garbage_is_answered_by_a_line_or_by_nothing(running: Serving) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 200_000):
        with running.connected() as connection:
            try:
                connection.sendall(garbage)
                _, said = closed_after(connection, 10)
            except ConnectionError:
                said = b""
        assert said == b"" or said.startswith(b"HTTP/1.1 4"), said[:200]
    with running.client() as client:
        assert client.get("/health").status_code == 200


def test_a_client_that_takes_nothing_is_cut_off(running: Serving) -> None:
    with running.connected() as connection, running.client() as client:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /v1/videos/case_001/clip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(1)
        for _ in range(150):
            time.sleep(0.1)
            if "\nophclip_requests_under_way 1.0\n" in client.get("/metrics").text:
                return
        raise AssertionError("a client that takes nothing is still answered")


def test_more_than_it_can_take_is_refused_and_memory_stays(running: Serving) -> None:
    """Many times as many clients as may be under way, some with uploads: answered or told to come again."""
    with running.client() as client:
        vectors = client.post("/v1/embed/text", json={"texts": ["warm"]})
        assert vectors.status_code == 200
    before = running.rss_mb()
    clip = write_video(running.log.parent / "clip.mp4", seconds=4).read_bytes()
    counts: Counter[int] = Counter()

    def ask(number: int) -> None:
        with running.client() as client:
            for turn in range(6):
                try:
                    if number % 4:
                        texts = [f"text {number} {turn} {place}" for place in range(64)]
                        counts[client.post("/v1/embed/text", json={"texts": texts}).status_code] += 1
                    else:
                        counts[client.post("/v1/embed/video", content=clip).status_code] += 1
                except httpx.TransportError:
                    counts[0] += 1

    with ThreadPoolExecutor(48) as pool:
        list(pool.map(ask, range(48)))
    assert set(counts) <= {200, 429, 0}, counts
    assert counts[200] > 20
    assert counts[429] > 20
    assert running.rss_mb() - before < 150


def test_the_log_tells_of_no_content(running: Serving) -> None:
    secret = "zzyzx-patient-4711"
    with running.client() as client:
        client.post("/v1/search", json={"text": secret})
        client.get("/v1/suggestions", params={"prefix": secret})
        client.get(f"/v1/videos/{secret}/clip")
        client.get(f"/{secret}")
        client.get(f"/v1/hits/{secret}/thumbnail")
        client.post("/v1/search", json={"text": secret, "filters": {"attributes": {secret: ["x"]}}})
        client.post("/v1/embed/image", content=b"\xff\xd8\xff" + secret.encode())
        client.request(secret.upper(), "/health")
        client.get("/health", headers={"X-Request-Id": secret, "User-Agent": secret})
        answer = client.get("/v1/videos/case_002/clip")
        for _ in range(100):
            if answer.headers["x-request-id"] in running.log.read_text():
                break
            time.sleep(0.05)
    text = running.log.read_text()
    assert secret.lower() not in text.lower()
    assert "case_00" not in text
    assert "127.0.0.1:" not in text
    requests = [line for line in running.lines() if line["event"] == "request"]
    mine = next(line for line in requests if line["request_id"] == answer.headers["x-request-id"])
    assert mine["route"] == "/v1/videos/{video_id}/clip"
    assert (mine["status"], mine["bytes"]) == (200, len(answer.content))
    fields = {"time", "level", "event", "request_id", "route", "method", "status", "milliseconds", "bytes", "token"}
    assert all(set(line) == fields for line in requests)


def test_told_to_end_under_load_it_finishes_and_leaves_nothing(index: Path, tmp_path: Path) -> None:
    with serving(index, tmp_path / "service", *OPTIONS) as running:
        counts: Counter[int] = Counter()
        stop = threading.Event()

        def ask(number: int) -> None:
            while not stop.is_set():
                try:
                    with running.client() as client:
                        for turn in range(20):
                            texts = [f"{number} {turn} {place} {time.monotonic()}" for place in range(32)]
                            counts[client.post("/v1/embed/text", json={"texts": texts}).status_code] += 1
                except httpx.TransportError:
                    counts[0] += 1
                    time.sleep(0.05)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        children = running.children()
        with running.client() as client:
            assert client.get("/ready").status_code == 200
        assert children
        running.process.send_signal(signal.SIGTERM)
        code = running.process.wait(120)
        stop.set()
        for thread in threads:
            thread.join()
        assert code == 0
        assert set(counts) <= {200, 429, 503, 0}, counts
        assert counts[200] > 0
        for _ in range(300):
            left = [pid for pid in children if Path(f"/proc/{pid}").exists()]
            if not left:
                break
            time.sleep(0.1)
        assert not left
        assert not list((tmp_path / "service" / "temporary").glob("ophclip-*"))
        assert [line["event"] for line in running.lines() if line["event"] != "request"] == [
            "listening",
            "ending",
            "ended",
        ]
        assert not running.network_used.exists()


def lives(pid: int) -> bool:
    """Whether a process is there, and not as an entry alone that nobody has asked for."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "\nState:\tZ" not in status


def test_told_to_end_it_waits_for_nobody_beyond_its_time(tmp_path: Path) -> None:
    """Neither for an upload that drips nor for a thread that reads a long file."""
    index = write_index(tmp_path)
    with (tmp_path / "videos" / "case_001.mp4").open("r+b") as file:
        file.truncate(200_000_000_000)
    with serving(index, tmp_path / "service", "stop_seconds=2") as running:
        children = running.children()
        with running.connected() as reading, running.connected() as dripping:
            reading.sendall(b"GET /v1/videos/case_001/clip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            head = b"POST /v1/embed/video HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
            dripping.sendall(head + b"\x1aE\xdf\xa3")
            time.sleep(0.3)
            running.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            while running.process.poll() is None and time.monotonic() < began + 30:
                with suppress(OSError):
                    dripping.sendall(b"x")
                time.sleep(0.05)
        seconds = time.monotonic() - began
        assert running.process.returncode == 0
        assert 1.9 < seconds < 10, running.lines()  # to read the file takes minutes
        while [pid for pid in children if lives(pid)] and time.monotonic() < began + 20:
            time.sleep(0.1)  # one that was killed is gone a moment later
        assert not [pid for pid in children if lives(pid)]
        assert not list((tmp_path / "service" / "temporary").glob("ophclip-*"))
        assert [line["event"] for line in running.lines()][-1] == "cut off"
