"""Clients of the service in a process of its own: `python -m benchmarks.serving_load < ORDER > ANSWERS`.

The process shares the machine's cores with the service it asks, so it does little: bare sockets that stay open, nothing
but the standard library, and most answers are counted without being read.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

SECONDS_TO_START = 0.2
MOST_SECONDS = 60.0
"""For one answer."""
IDLE_SECONDS = 2.0
"""After which a connection is not taken again: a server may be closing it."""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is asked for, and when."""

    port: int
    texts: tuple[str, ...]
    clients: int = 1
    """Each asks again as soon as it is answered; not looked at where `due_seconds` are given."""
    due_seconds: tuple[float, ...] = ()
    """When each text is to be asked for, whether others are answered or not."""
    keep_every: int = 50
    """Of so many answers one is kept to be compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How one request went."""

    text: str
    status: int
    """0 where the connection broke."""
    due_seconds: float
    sent_seconds: float
    done_seconds: float
    body: str
    """Empty where it is not kept."""

    @property
    def latency_ms(self) -> float:
        """From the moment it was due, not from when it was sent."""
        return 1e3 * (self.done_seconds - self.due_seconds)

    @property
    def late_ms(self) -> float:
        """By how much the client itself was late."""
        return 1e3 * (self.sent_seconds - self.due_seconds)


def load(order: Order, meanwhile: Callable[[], object] | None = None) -> list[Answer]:
    """Ask in a process apart; `meanwhile` is called ten times a second until all is answered."""
    command = [sys.executable, "-m", "benchmarks.serving_load"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        given: str | None = json.dumps(asdict(order))
        while True:
            try:
                printed, _ = process.communicate(given, timeout=0.1 if meanwhile else None)
                break
            except subprocess.TimeoutExpired:
                given = None
                if meanwhile:
                    meanwhile()
    assert process.returncode == 0
    return [Answer(**one) for one in json.loads(printed)]


class Clients:
    """Asks over connections that are kept; one more is opened where all are in use."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._idle: list[tuple[float, Connection]] = []
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time() + SECONDS_TO_START
        self.answers: list[Answer] = []

    @property
    def seconds(self) -> float:
        """Since the load began."""
        return self._loop.time() - self._began

    async def ask_on_time(self) -> None:
        """Every text at its time."""
        async with asyncio.TaskGroup() as asking:
            for text, due_seconds in zip(self._order.texts, self._order.due_seconds, strict=True):
                if (wait_seconds := due_seconds - self.seconds) > 0:
                    await asyncio.sleep(wait_seconds)
                asking.create_task(self._ask(text, due_seconds))

    async def ask_in_turn(self) -> None:
        """Every client one text after the other, until there are none."""
        await asyncio.sleep(-self.seconds)
        texts = iter(self._order.texts)
        async with asyncio.TaskGroup() as asking:
            for _ in range(self._order.clients):
                asking.create_task(self._client(texts))

    async def _client(self, texts: Iterator[str]) -> None:
        for text in texts:
            await self._ask(text, self.seconds)

    async def _ask(self, text: str, due_seconds: float) -> None:
        number, sent_seconds = len(self.answers), self.seconds
        try:
            async with asyncio.timeout(MOST_SECONDS):
                status, body = await self._exchange(json.dumps({"text": text}).encode())
        except (OSError, EOFError, TimeoutError):
            status, body = 0, b""
        kept = body.decode() if number % self._order.keep_every == 0 else ""
        self.answers.append(
            Answer(
                text=text, status=status, body=kept, due_seconds=due_seconds, sent_seconds=sent_seconds,
                done_seconds=self.seconds,
            )
        )  # fmt: skip

    async def _exchange(self, asked: bytes) -> tuple[int, bytes]:
        reader, writer = await self._connected()
        writer.write(
            b"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(asked), asked)
        )
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers[b"content-length"]))
        if headers.get(b"connection") == b"close":
            writer.close()
        else:
            self._idle.append((self.seconds, (reader, writer)))
        return int(first.split()[1]), body

    async def _connected(self) -> Connection:
        if self._idle:
            since_seconds, connection = self._idle.pop()
            if self.seconds - since_seconds < IDLE_SECONDS:
                return connection
            connection[1].close()
        return await asyncio.open_connection("127.0.0.1", self._order.port)


async def _answers(order: Order) -> list[Answer]:
    clients = Clients(order)
    await (clients.ask_on_time() if order.due_seconds else clients.ask_in_turn())
    return clients.answers


def main() -> None:
    """Read an order, print the answers."""
    given = json.load(sys.stdin)
    order = Order(**{**given, "texts": tuple(given["texts"]), "due_seconds": tuple(given["due_seconds"])})
    json.dump([asdict(answer) for answer in asyncio.run(_answers(order))], sys.stdout)


if __name__ == "__main__":
    main()
