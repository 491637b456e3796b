"""What evaluation asks of a model: vectors of texts, of frames, of spans of frames. All of them are of unit length.

Bundles (`Loaded`), models of open_clip's (`OpenClipModel`) and folders of vectors that others made (`EmbeddingFolder`)
answer. Shapes: N texts or pictures, T frames, W spans of them, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ophclip.evaluation.metrics import Floats
from ophclip.models.training_record import TrainingRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedVideo:
    """Unit vectors of the frames of one video: `vectors_td` [T, D] of what is shown at `seconds_t`.

    A picture is one frame at 0 s, and lasts 0 s.
    """

    seconds_t: Floats
    vectors_td: NDArray[np.float32]
    duration_seconds: float
    sha256: str


class Embedder(Protocol):
    """Something that can be scored."""

    @property
    def name(self) -> str:
        """What it is called in results."""

    @property
    def weights_sha256(self) -> str:
        """What it is, byte by byte."""

    @property
    def logit_scale(self) -> float:
        """The factor of cosines before a softmax."""

    @property
    def training(self) -> TrainingRecord | None:
        """Which videos it was trained on; None where nobody says."""

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts -> unit vectors [N, D]."""

    def pool_spans(self, vectors_td: NDArray[np.float32], spans: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
        """Unit vectors of frames [T, D] and spans (first, stop) of them -> unit vectors [W, D]."""


class Encoder(Embedder, Protocol):
    """One that looks at pictures itself."""

    @property
    def frame_side_px(self) -> int | None:
        """Short side to which pictures may be decoded without loss; None wants them as they are."""

    def embed_frames(self, frames: Iterable[NDArray[np.uint8]], batch: int = 64) -> NDArray[np.float32]:
        """Pictures (uint8 RGB [H, W, 3]) -> unit vectors [N, D]."""
