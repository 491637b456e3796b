"""The address that the service takes."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ophclip.serving.run import _bound
from ophclip.serving_options import ServingConfig


def test_what_is_answered_is_sent_at_once() -> None:
    """Otherwise the kernel holds the body back until the client has acknowledged the head: 40 ms for every answer."""

    async def delays() -> int:
        with _bound(ServingConfig(port=0)) as listener:
            met: asyncio.Future[int] = asyncio.get_running_loop().create_future()

            def meet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                met.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                writer.close()

            async with await asyncio.start_server(meet, sock=listener):
                _reader, writer = await asyncio.open_connection(*listener.getsockname())
                found = await met
                writer.close()
                return found

    assert asyncio.run(delays())


def test_an_address_that_is_taken_is_told() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ValueError, match=r"cannot be listened on .*; give another --port"),
    ):
        _bound(ServingConfig(port=taken.getsockname()[1]))
