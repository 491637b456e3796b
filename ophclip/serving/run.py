"""`ophclip serve`: the service behind uvicorn, until it is told to end."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from ophclip.serving.app import create_app
from ophclip.serving.protocol import patient_protocol
from ophclip.serving.service import Service
from ophclip.serving.watch import LOG, JsonLines, Traffic
from ophclip.serving_options import ServingConfig

_CLEANING_SECONDS = 0.6
"""What still runs so long after the time that requests had to end is given up."""


def serve(folder: Path, config: ServingConfig) -> None:
    """Answer requests until SIGTERM or SIGINT. What is not answered `stop_seconds` later is cut off.

    Raises:
        ValueError: the address, the index, its bundle or the file of tokens cannot be used.
    """
    with _bound(config) as listener:
        service = Service(folder, config)
        try:
            _write_log()
            # uvicorn raises the signal that ended it once more, which must not end this process before it has cleaned.
            signal.signal(signal.SIGTERM, lambda *_: None)
            _server(create_app(service), config).run(sockets=[listener])
        finally:
            service.close()
            LOG.info("ended")


class EndingServer(uvicorn.Server):
    """A server that, told to end, refuses new requests by 503 and lets those under way finish before it closes."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._end = math.inf

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; True ends."""
        ends = await super().on_tick(counter)
        if not ends or self.force_exit:
            return ends
        traffic: Traffic = self._app.state.traffic
        if not traffic.ending:
            self._begin_to_end(traffic)
            return False
        if time.monotonic() > self._end:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            return True
        return traffic.under_way == 0

    def _begin_to_end(self, traffic: Traffic) -> None:
        service: Service = self._app.state.service
        traffic.ending = True
        self._end = time.monotonic() + service.config.stop_seconds
        # A thread that decodes or reads a file hears of nothing: it would hold up the end for as long as it takes.
        last = threading.Timer(service.config.stop_seconds + _CLEANING_SECONDS, _cut_off, [service])
        last.daemon = True
        last.start()
        LOG.info("ending")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        LOG.info("listening", extra={"fields": {"host": host, "port": port}})


def _cut_off(service: Service) -> None:
    """End the process at once, and leave nothing behind."""
    for decoder in multiprocessing.active_children():
        decoder.kill()
    shutil.rmtree(service.uploads, ignore_errors=True)
    LOG.info("cut off")
    os._exit(0)


def _server(app: FastAPI, config: ServingConfig) -> EndingServer:
    options = uvicorn.Config(
        app,
        http=patient_protocol(config.idle_seconds),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return EndingServer(options, app)


def _bound(config: ServingConfig) -> socket.socket:
    """The address, taken before anything is loaded; nobody is answered yet."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # asyncio sends without delay only on sockets that say that they are TCP; else an answer waits 40 ms for its body.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise ValueError(
            f"serve: {config.host} port {config.port} cannot be listened on ({error.strerror}); give another --port"
        ) from error
    return listener


def _write_log() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in ((LOG.name, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
