"""HTTP/1.1 with an end to waiting: a connection on which nothing is asked, or nothing is taken, is cut off."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_LOOK_SECONDS = 1.0


def patient_protocol(idle_seconds: float) -> type[H11Protocol]:
    """uvicorn's own protocol, which would wait for ever for the rest of a request's head, for a body that nobody
    reads, and for a client that takes nothing of its last bytes."""

    class PatientProtocol(H11Protocol):
        """One connection."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """A client has come."""
            super().connection_made(transport)
            self._waiting_seconds = 0.0
            self._seen: Any = None
            self._look_later()

        def connection_lost(self, exc: Exception | None) -> None:
            """It has gone."""
            self._timer.cancel()
            super().connection_lost(exc)

        def _look_later(self) -> None:
            self._timer = self.loop.call_later(min(_LOOK_SECONDS, idle_seconds / 2), self._look)

        def _look(self) -> None:
            under_way = self.cycle is not None and not self.cycle.response_complete
            if (under_way or self.cycle is not self._seen) and not self.transport.is_closing():
                self._waiting_seconds, self._seen = 0.0, self.cycle
            elif self._waiting_seconds >= idle_seconds:
                self.transport.abort()
                return
            self._waiting_seconds += min(_LOOK_SECONDS, idle_seconds / 2)
            self._look_later()

    return PatientProtocol
