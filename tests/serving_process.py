"""`ophclip serve` as a process of its own, and how tests speak with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).parents[1]
# A machine without a network, as far as Python code can tell: every other address is refused and written down.
NETWORK_OFF = """
import os, sys

def _refuse(event, arguments):
    if event in ("socket.connect", "socket.bind", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            _written(event, address)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and arguments[0] not in ("127.0.0.1", "localhost"):
        _written(event, arguments[0])

def _written(event, what):
    with open(os.environ["NETWORK_USED"], "a") as file:
        file.write(f"{event} {what}\\n")
    raise OSError(f"network is off: {event} {what}")

sys.addaudithook(_refuse)
"""


@dataclass
class Serving:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    network_used: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)

    def connected(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def lines(self) -> list[dict[str, Any]]:
        """The log; every line of it must be JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def rss_mb(self) -> float:
        """Memory of the process now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1024

    def children(self) -> list[int]:
        """Its processes."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]


@contextmanager
def serving(index: Path, place: Path, *words: str) -> Iterator[Serving]:
    """Start `ophclip serve` with a log, temporary files and no network under `place`; it is ended in any case."""
    place.mkdir(parents=True)
    (place / "sitecustomize.py").write_text(NETWORK_OFF)
    (place / "temporary").mkdir()
    log = place / "log.jsonl"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(place), str(REPOSITORY)]),
        "NETWORK_USED": str(place / "network.txt"),
        "TMPDIR": str(place / "temporary"),
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "ophclip.cli", "serve", str(index), "--port", "0", *words]
        process = subprocess.Popen(command, env=environment, stderr=stderr, cwd=place)
    try:
        yield Serving(process, _port(process, log), log, place / "network.txt")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    for _ in range(1800):
        for line in log.read_text().splitlines():
            if '"listening"' in line:
                return int(json.loads(line)["port"])
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"it does not listen: {log.read_text()}")
