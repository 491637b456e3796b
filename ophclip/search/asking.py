"""What is asked, as one vector of the space of the bundle that made an index."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.vectors import unit
from ophclip.models.description import read_description
from ophclip.search.queries import query_vector_of_text, query_wordings

if TYPE_CHECKING:
    from ophclip.models.bundle import Loaded
    from ophclip.models.inputs import Picture


class Asker:
    """Turns texts, pictures, videos and vectors into unit vectors; the bundle is loaded when first needed."""

    def __init__(self, folder: Path, about: Mapping[str, str], bundle: Path | Loaded | None) -> None:
        self._folder = folder
        self._about = about
        self._given = bundle
        self._loaded: Loaded | None = None
        self._lock = threading.Lock()

    @property
    def loaded(self) -> Loaded:
        """The bundle that made the index: given, or found where the index remembers it.

        Raises:
            ValueError: it is not there any more, or has other weights.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def vector(self, **asked: Any) -> NDArray[np.float32]:
        """Unit vector [D] of one of `text`, `image`, `video` and `vector`; the others are None.

        Raises:
            ValueError: not exactly one, or one that cannot be read.
        """
        chosen = {name: value for name, value in asked.items() if value is not None}
        if len(chosen) != 1:
            raise ValueError(f"search: give one of text, image, video, vector; {len(chosen)} given")
        (kind, value), *_ = chosen.items()
        found = np.asarray(getattr(self, f"_of_{kind}")(value))
        width = int(self._about["dim"])
        if found.shape != (width,) or found.dtype.kind not in "fiu" or not np.isfinite(found).all() or not found.any():
            raise ValueError(
                f"search: the vector is {found.dtype} of shape {list(found.shape)}; expected {width} finite numbers, "
                "not all of them zero"
            )
        vector_d = found.astype(np.float64)
        return unit(vector_d / np.abs(vector_d).max()).astype(np.float32)

    def _of_text(self, text: str) -> NDArray[Any]:
        if not isinstance(text, str) or text.encode(errors="ignore").decode() != text:
            raise ValueError(f"search: text is {text!r:.40}; expected words as a str")
        query_wordings(text)  # an empty one is told before the bundle is loaded
        return query_vector_of_text(self.loaded, text)

    def _of_vector(self, vector: NDArray[Any]) -> NDArray[Any]:
        return vector

    def _of_image(self, image: Path | str | Picture) -> NDArray[Any]:
        from ophclip.models.inputs import pixels_of

        return self._pooled(self.loaded.embed_frames([pixels_of(image)]))

    def _of_video(self, video: Path | str) -> NDArray[Any]:
        loaded = self.loaded
        from ophclip.evaluation.embedding import embed_video

        fps = float(self._about["fps"])
        return self._pooled(embed_video(loaded, Path(video), fps=fps, batch_frames=64).vectors_td)

    def _pooled(self, vectors_td: NDArray[np.float32]) -> NDArray[Any]:
        return np.asarray(self.loaded.pool_spans(vectors_td, [(0, len(vectors_td))])[0])

    def _load(self) -> Loaded:
        given = self._given if self._given is not None else self._folder / self._about["bundle"]
        if isinstance(given, Path) and self._given is None and not given.is_dir():
            raise ValueError(f"{given.resolve()}: the bundle that made {self._folder} is gone; name it with --bundle")
        digest = read_description(given).weights_sha256 if isinstance(given, Path) else given.weights_sha256
        held = self._about["weights_sha256"]
        if digest != held:
            raise ValueError(
                f"{self._folder}: made by weights {held[:12]}, the bundle has {digest[:12]}; give the bundle that made "
                "it with --bundle, or make the index anew"
            )
        if not isinstance(given, Path):
            return given
        from ophclip.evaluation.embedding import default_device
        from ophclip.models.bundle import load_bundle

        return load_bundle(given, device=default_device())
