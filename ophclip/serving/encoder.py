"""One thread that encodes for all requests: what waits when it comes free is one batch.

Nobody waits for company: a lone request is encoded at once, and while that runs the next batch gathers by itself.
Shapes: N texts or pictures, T frames, W spans of them, D width.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ophclip.models.bundle import Loaded
from ophclip.models.training_record import TrainingRecord
from ophclip.serving.metrics import Metrics
from ophclip.serving.refusing import RefusedError, busy
from ophclip.serving_options import ServingConfig

R = TypeVar("R")


@dataclass(kw_only=True)
class _Lane:
    """What waits of one kind, and how a batch of it is encoded."""

    kind: str
    batch: int
    encode: Callable[[list[Any]], Sequence[Any]]
    waiting: deque[tuple[Any, Future[Any]]] = field(default_factory=deque)

    def next_batch(self) -> list[tuple[Any, Future[Any]]]:
        return [self.waiting.popleft() for _ in range(min(self.batch, len(self.waiting)))]


class BatchedEncoder:
    """A bundle that many threads ask at once; it answers all that `ophclip.evaluation.embedder.Encoder` does."""

    def __init__(self, loaded: Loaded, config: ServingConfig, metrics: Metrics) -> None:
        self.loaded = loaded
        self._limit = config.queue
        self._metrics = metrics
        self._texts = _Lane(kind="text", batch=config.batch_texts, encode=self._encode_texts)
        self._frames = _Lane(kind="frame", batch=config.batch_frames, encode=self._encode_frames)
        self._calls = _Lane(kind="call", batch=1, encode=lambda calls: [call() for call in calls])
        self._lanes = (self._texts, self._frames, self._calls)
        self._cache = _TextCache(config.cached_texts)
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="encoder", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.loaded.name

    @property
    def weights_sha256(self) -> str:
        """The bundle's weights."""
        return self.loaded.weights_sha256

    @property
    def logit_scale(self) -> float:
        """The factor of cosines."""
        return self.loaded.logit_scale

    @property
    def training(self) -> TrainingRecord | None:
        """What the bundle was trained on."""
        return self.loaded.training

    @property
    def frame_side_px(self) -> int:
        """Short side to which pictures may be decoded without loss."""
        return self.loaded.frame_side_px

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit vectors [N, D]; those that were asked for lately are not encoded again.

        Raises:
            RefusedError: too many wait (429), or the service ends (503).
        """
        found = {text: self._cache.get(text) for text in dict.fromkeys(texts)}
        new = [text for text, vector_d in found.items() if vector_d is None]
        self._metrics.cached.labels("yes").inc(len(found) - len(new))
        self._metrics.cached.labels("no").inc(len(new))
        for text, vector_d in zip(new, self._ask(self._texts, new), strict=True):
            self._cache.put(text, vector_d)
            found[text] = vector_d
        return np.stack([np.asarray(found[text]) for text in texts])

    def embed_frames(self, frames: Iterable[NDArray[np.uint8]], batch: int = 0) -> NDArray[np.float32]:  # noqa: ARG002
        """Pictures (uint8 RGB [H, W, 3]) -> unit vectors [N, D]; the service batches as it sees fit.

        Raises:
            RefusedError: too many wait (429), or the service ends (503).
        """
        return np.stack(self._ask(self._frames, list(frames)))

    def pool_spans(self, vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Unit vectors of frames [T, D] and spans (first, stop) of them -> unit vectors [W, D]."""
        return self.call(lambda: self.loaded.pool_spans(vectors_td, spans))

    def call(self, work: Callable[[], R]) -> R:
        """Do in the encoder's thread whatever else needs the model, and wait for it.

        Raises:
            RefusedError: too many wait (429), or the service ends (503).
        """
        result: R = self._ask(self._calls, [work])[0]
        return result

    def close(self) -> None:
        """Encode what waits, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _ask(self, lane: _Lane, items: Sequence[Any]) -> list[Any]:
        asked = [(item, Future[Any]()) for item in items]
        with self._changed:
            if self._closed:
                raise RefusedError(503, "the service is about to end; ask again when it is back")
            if len(lane.waiting) + len(items) > self._limit:
                raise busy("the encoder has too much to do")
            lane.waiting.extend(asked)
            self._metrics.waiting.labels(lane.kind).set(len(lane.waiting))
            self._changed.notify_all()
        return [future.result() for _item, future in asked]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or any(lane.waiting for lane in self._lanes))
                batches = [(lane, lane.next_batch()) for lane in self._lanes]
                for lane in self._lanes:
                    self._metrics.waiting.labels(lane.kind).set(len(lane.waiting))
            if not any(batch for _lane, batch in batches):
                return
            for lane, batch in batches:
                if batch:
                    self._metrics.batches.labels(lane.kind).observe(len(batch))
                    _answer(lane, batch)

    def _encode_texts(self, texts: list[str]) -> Sequence[NDArray[np.float32]]:
        distinct = list(dict.fromkeys(texts))
        vectors = dict(zip(distinct, self.loaded.embed_texts(distinct), strict=True))
        return [vectors[text] for text in texts]

    def _encode_frames(self, frames: list[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        return list(self.loaded.embed_frames(frames, len(frames)))


def _answer(lane: _Lane, batch: Sequence[tuple[Any, Future[Any]]]) -> None:
    """Encode a batch; if it fails as a whole, each item by itself, so that only the one at fault suffers."""
    try:
        answers = lane.encode([item for item, _future in batch])
    except Exception as error:  # noqa: BLE001  it belongs to whoever asked, not to this thread
        if len(batch) == 1:
            batch[0][1].set_exception(error)
        else:
            for one in batch:
                _answer(lane, [one])
        return
    for (_item, future), answer in zip(batch, answers, strict=True):
        future.set_result(answer)


class _TextCache:
    """Vectors of the texts that were asked for most recently."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def get(self, text: str) -> NDArray[np.float32] | None:
        with self._lock:
            if text in self._vectors:
                self._vectors.move_to_end(text)
            return self._vectors.get(text)

    def put(self, text: str, vector_d: NDArray[np.float32]) -> None:
        with self._lock:
            self._vectors[text] = vector_d
            self._vectors.move_to_end(text)
            if len(self._vectors) > self._size:
                self._vectors.popitem(last=False)
