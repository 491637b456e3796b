"""What requests share: the open index, the encoder, the decoders, the figures."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ingest.shards import decode_jpeg
from ophclip.models.bundle import Loaded
from ophclip.search.heat_map import heat_map, overlay_jpeg
from ophclip.search.index import SearchIndex, open_index
from ophclip.search.vectors import require_whole
from ophclip.serving.decoders import Decoders
from ophclip.serving.decoding import Kind, Upload
from ophclip.serving.encoder import BatchedEncoder
from ophclip.serving.media import UnchangedFiles
from ophclip.serving.metrics import Metrics
from ophclip.serving.phases import PhaseSpan, phases_of
from ophclip.serving.tokens import TokenFile
from ophclip.serving_options import ServingConfig

_WARM_UP = "phaco handpiece"


class OpenIndex:
    """One opening of the index, and what was worked out from it. It is closed when the last request leaves it."""

    def __init__(self, index: SearchIndex) -> None:
        self.index = index
        self.videos = {video.video_id: video for video in index.videos()}
        self.phases: dict[str, tuple[PhaseSpan, ...]] = {}
        self.readers = 0
        self.retired = False


class Service:
    """Everything that outlives a request; safe to use from many threads."""

    def __init__(self, folder: Path, config: ServingConfig) -> None:
        """Open the index and its bundle, start what encodes and decodes, and answer one query.

        Raises:
            ValueError: no index, no bundle, other weights, or no file of tokens.
        """
        self.config = config
        self.metrics = Metrics()
        self.tokens = TokenFile(Path(config.tokens)) if config.tokens else None
        self._folder = folder
        self.encoder = BatchedEncoder(_load(folder, config), config, self.metrics)
        self._lock = threading.Lock()
        self._open = self._opened()
        self.decoders = Decoders(config.limits, self.metrics)
        self.files = UnchangedFiles()
        self.uploads = Path(tempfile.mkdtemp(prefix="ophclip-"))
        self._open.index.search(text=_WARM_UP, k=1)

    def close(self) -> None:
        """End the threads and processes; no request may be under way."""
        self.encoder.close()
        self.decoders.close()
        self._open.index.close()
        shutil.rmtree(self.uploads)

    def reload(self) -> None:
        """Open the index anew, as `ophclip index` left it; requests under way finish on what they began with.

        Raises:
            ValueError: it cannot be opened, or was made anew by other weights; the old one stays.
        """
        fresh = self._opened()
        with self._lock:
            before, self._open = self._open, fresh
            before.retired = True
            if not before.readers:
                before.index.close()

    def require_whole(self) -> None:
        """See that the index can be opened again.

        Raises:
            ValueError: a file of it is gone or damaged.
        """
        require_whole(self._folder)

    @contextmanager
    def reading(self) -> Iterator[OpenIndex]:
        """The index as it is now, for the length of a request."""
        with self._lock:
            held = self._open
            held.readers += 1
        try:
            yield held
        finally:
            with self._lock:
                held.readers -= 1
                if held.retired and not held.readers:
                    held.index.close()

    def embed(self, path: Path, kind: Kind) -> NDArray[np.float32]:
        """The vector [D] of an uploaded picture or clip.

        Raises:
            RefusedError: it cannot be decoded, or too much waits.
        """
        with self.reading() as held:
            fps = float(held.index.about["fps"])
        upload = Upload(path=path, kind=kind, short_side_px=self.encoder.frame_side_px, fps=fps)
        vectors_td = self.encoder.embed_frames(self.decoders.decode(upload))
        return np.asarray(self.encoder.pool_spans(vectors_td, [(0, len(vectors_td))])[0])

    def heat_map(self, held: OpenIndex, hit_id: str, query_d: NDArray[np.float32]) -> tuple[bytes, tuple[float, float]]:
        """The picture of a hit with where in it a query is answered, as JPEG; and the place of most, from 0 to 1.

        Raises:
            ValueError: no such hit, or a model whose cells are not known.
        """
        pixels_hwc = decode_jpeg(held.index.thumbnail(hit_id))
        heat = self.encoder.call(lambda: heat_map(self.encoder.loaded, pixels_hwc, query_d))
        height, width = pixels_hwc.shape[:2]
        return overlay_jpeg(pixels_hwc, heat), (heat.peak_xy[0] / width, heat.peak_xy[1] / height)

    def phases(self, held: OpenIndex, video_id: str) -> tuple[PhaseSpan, ...]:
        """The phases of an indexed video, worked out when they are first asked for."""
        if video_id not in held.phases:
            spans, vectors_wd = held.index.window_vectors(video_id)
            duration_seconds = held.videos[video_id].duration_seconds
            held.phases[video_id] = phases_of(self.encoder, spans, vectors_wd, duration_seconds)
        return held.phases[video_id]

    def _opened(self) -> OpenIndex:
        # The index asks of a bundle what the encoder answers, and so its queries are batched with all others.
        opened = open_index(self._folder, cast(Loaded, self.encoder))
        try:
            assert opened.loaded is not None
        except ValueError:
            opened.close()
            raise
        return OpenIndex(opened)


def _load(folder: Path, config: ServingConfig) -> Loaded:
    import torch

    if config.threads:
        torch.set_num_threads(config.threads)
    with open_index(folder, Path(config.bundle) if config.bundle else None) as index:
        return index.loaded
