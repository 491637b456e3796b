"""A few decoding processes that live as long as the service; one that dies or takes too long is replaced."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.pool import Crash, Worker
from ophclip.serving.decoding import Unfit, Upload, build_decoder
from ophclip.serving.metrics import Metrics
from ophclip.serving.refusing import RefusedError
from ophclip.serving_options import UploadLimits

_UPLOADS_PER_PROCESS = 200
_START_SECONDS = 60.0
_Decoder = Worker[Upload, Any]


class Decoders:
    """Decodes uploads for many threads."""

    def __init__(self, limits: UploadLimits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._free: SimpleQueue[_Decoder] = SimpleQueue()
        for _ in range(limits.decoders):
            self._free.put(self._hire())

    def decode(self, upload: Upload) -> Sequence[NDArray[np.uint8]]:
        """The frames of an upload, uint8 RGB [H, W, 3] each.

        Raises:
            RefusedError: 422, it cannot be decoded, or not within the limits.
        """
        decoder = self._free.get()
        try:
            decoder.give(upload)
            news = self._wait(decoder)
        finally:
            self._free.put(self._fit(decoder))
        if isinstance(news, Crash):
            raise RefusedError(422, f"{upload.kind.value}: decoding it {news.reason}; convert it, or make it smaller")
        if isinstance(news, Unfit):
            raise RefusedError(422, f"{upload.kind.value}: {news.reason}")
        frames: Sequence[NDArray[np.uint8]] = news
        return frames

    def close(self) -> None:
        """End all processes; none may be at work."""
        for _ in range(self._limits.decoders):
            self._free.get().kill()

    def _wait(self, decoder: _Decoder) -> Any:
        seconds = self._limits.decode_seconds
        end = time.monotonic() + (seconds if decoder.ready else _START_SECONDS)
        while True:
            if not decoder.connection.poll(max(end - time.monotonic(), 0.0)):
                decoder.stop(f"took longer than {seconds:g} s")
            try:
                news = decoder.take()
            except RuntimeError as error:
                raise RefusedError(
                    503,
                    "no decoding process starts; start the service with a larger limits.decode_memory_mb",
                ) from error
            if news is not None:
                return news[1]
            end = time.monotonic() + seconds

    def _fit(self, decoder: _Decoder) -> _Decoder:
        if decoder.alive and decoder.served < _UPLOADS_PER_PROCESS and not decoder.busy:
            return decoder
        if not decoder.alive:
            self._metrics.restarts.inc()
        decoder.kill()
        return self._hire()

    def _hire(self) -> _Decoder:
        return Worker(partial(build_decoder, self._limits), threads=1)
