"""What `ophclip.load` returns: a model that takes texts, pictures and videos as users hold them.

`normalize` is spelled as open_clip spells it, so that code written for open_clip runs; inside the house it is
`normalise`. Shapes: N texts, pictures or videos, T frames, S the side of the tower's picture, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn import functional as F

from ophclip.data.batch import Tokens
from ophclip.data.tokenizer import Tokenizer
from ophclip.models.dual_encoder import DualEncoder
from ophclip.models.embed import frame_vectors, pooled_vector, stacked, text_vectors
from ophclip.models.inputs import Picture, pictures_of, videos_of
from ophclip.models.preprocess import Preprocess
from ophclip.models.spatial import takes_any_size

FRAMES_PER_SECOND = 2.0
"""Of video files: as an index looks at them."""


class EmbeddingModel(nn.Module):
    """A dual encoder with its preprocessing and its tokenizer; it is called as a model of open_clip's is.

    Tensors that are ready for a tower are encoded in the model's mode and with the caller's gradients, as in open_clip.
    Everything else is prepared here, in batches, and encoded in evaluation without gradients, so that memory is
    bounded by a batch and the vectors. Arrays give float32 arrays, all else float32 tensors on the model's device.
    """

    def __init__(self, encoder: DualEncoder, preprocess: Preprocess, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.encoder = encoder
        self.preprocess = preprocess
        self.tokenizer = tokenizer

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.encoder.device

    @property
    def embed_dim(self) -> int:
        """The width of the common space."""
        return self.encoder.embed_dim

    @property
    def visual(self) -> nn.Module:
        """The visual tower."""
        return self.encoder.visual

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the factor of cosines, as open_clip keeps it: `model.logit_scale.exp()`."""
        return self.encoder.log_logit_scale

    @property
    def logit_bias(self) -> Tensor | None:
        """What is added to scaled cosines, where training had a sigmoid for each pair."""
        return self.encoder.logit_bias

    def forward(self, image: Any = None, text: Any = None) -> tuple[Tensor | None, ...]:
        """Unit vectors of pictures and of texts, the factor of cosines, and the bias if there is one."""
        seen = None if image is None else self.encode_image(image, normalize=True)
        said = None if text is None else self.encode_text(text, normalize=True)
        bias = () if self.logit_bias is None else (self.logit_bias,)
        return (seen, said, self.encoder.logit_scale, *bias)

    @overload
    def encode_text(
        self, text: NDArray[np.integer], normalize: bool = ..., *, batch: int = ...
    ) -> NDArray[np.float32]: ...
    @overload
    def encode_text(
        self, text: str | Sequence[str] | Tokens | Tensor, normalize: bool = ..., *, batch: int = ...
    ) -> Tensor: ...
    def encode_text(self, text: Any, normalize: bool = False, *, batch: int = 256) -> Tensor | NDArray[np.float32]:
        """A text, several, or token ids [N, L] of `tokenizer` -> [N, D], of unit length if `normalize`.

        Raises:
            ValueError: neither texts nor ids, or more ids than the context holds.
        """
        if isinstance(text, np.ndarray):
            return _on_host(self.encode_text(torch.from_numpy(text), normalize, batch=batch))
        ids_nl = text.ids_bl if isinstance(text, Tokens) else text
        if isinstance(ids_nl, Tensor):
            self._require_ids(ids_nl)
            return self._of_ids(ids_nl, batch, normalise=normalize)
        texts = [text] if isinstance(text, str) else list(text)
        if strange := next((one for one in texts if not isinstance(one, str)), None):
            raise ValueError(
                f"encode_text: expected texts or ids [N, L], found {type(strange).__name__} among the texts"
            )
        return text_vectors(self.encoder, self.tokenizer, texts, batch, normalise=normalize)

    @overload
    def encode_image(self, image: NDArray[Any], normalize: bool = ..., *, batch: int = ...) -> NDArray[np.float32]: ...
    @overload
    def encode_image(
        self, image: Image | Path | str | Tensor, normalize: bool = ..., *, batch: int = ...
    ) -> Tensor: ...
    @overload
    def encode_image(self, image: Iterable[Picture], normalize: bool = ..., *, batch: int = ...) -> Any: ...
    def encode_image(self, image: Any, normalize: bool = False, *, batch: int = 64) -> Tensor | NDArray[np.float32]:
        """Pictures -> [N, D], of unit length if `normalize`.

        Args:
            image: a PIL picture, a picture file, uint8 RGB [H, W, 3], or any number of these, of any sizes; or what
                `preprocess` makes of them, float [N, 3, S, S].
            normalize: whether to unit length.
            batch: pictures encoded at once.

        Raises:
            ValueError: no picture among them is missing or odd: grey or with alpha as an array, float, not finite.
        """
        if isinstance(image, np.ndarray) and image.dtype != np.uint8:
            return _on_host(self.encode_image(torch.from_numpy(np.asarray(image, np.float32)), normalize, batch=batch))
        if isinstance(image, Tensor) and image.is_floating_point():
            self._require_prepared(image, 4, "encode_image", "[N, 3, S, S]")
            return self._of_prepared(image, batch, normalise=normalize)
        as_array, image = _holds_arrays(image)
        vectors_nd = frame_vectors(self.encoder, self.preprocess, pictures_of(image), batch, normalise=normalize)
        return _on_host(vectors_nd) if as_array else vectors_nd

    @overload
    def encode_video(
        self, video: NDArray[Any], normalize: bool = ..., *, fps: float = ..., batch: int = ...
    ) -> NDArray[np.float32]: ...
    @overload
    def encode_video(
        self, video: Path | str | Tensor, normalize: bool = ..., *, fps: float = ..., batch: int = ...
    ) -> Tensor: ...
    @overload
    def encode_video(
        self, video: Iterable[Any], normalize: bool = ..., *, fps: float = ..., batch: int = ...
    ) -> Any: ...
    def encode_video(
        self, video: Any, normalize: bool = False, *, fps: float = FRAMES_PER_SECOND, batch: int = 64
    ) -> Tensor | NDArray[np.float32]:
        """Videos of any length -> [N, D]: the pooled unit vectors of their frames, of unit length if `normalize`.

        Args:
            video: a video file, uint8 RGB [T, H, W, 3] or pictures in their order (one video, also from a generator);
                several files or arrays; or what `preprocess` makes of the frames, float [N, T, 3, S, S].
            normalize: whether to unit length.
            fps: frames per second that are looked at, of files.
            batch: frames encoded at once.

        Raises:
            ValueError: no video, one without frames, or an odd frame.
        """
        if not fps > 0:
            raise ValueError(f"encode_video: fps is {fps} and must be positive")
        if isinstance(video, np.ndarray) and video.dtype != np.uint8:
            prepared = torch.from_numpy(np.asarray(video, np.float32))
            return _on_host(self.encode_video(prepared, normalize, batch=batch))
        if isinstance(video, Tensor) and video.is_floating_point():
            return self._of_prepared_videos(video, batch, normalise=normalize)
        as_array, video = _holds_arrays(video)
        pooled = []
        for frames in videos_of(video, fps, self.preprocess.image_size_px):
            vectors_td = frame_vectors(self.encoder, self.preprocess, frames, batch, normalise=True)
            if len(vectors_td) == 0:
                raise ValueError("encode_video: a video without frames; expected at least one")
            pooled.append(pooled_vector(self.encoder, vectors_td, normalise=normalize))
        vectors_nd = stacked(self.encoder, pooled)
        return _on_host(vectors_nd) if as_array else vectors_nd

    def _of_ids(self, ids_nl: Tensor, batch: int, *, normalise: bool) -> Tensor:
        parts = _rows_of(ids_nl.to(self.device), batch)
        # Towers tell padding by its id: the mask is for the losses.
        tokens = (Tokens(ids_bl=one, mask_bl=torch.ones_like(one, dtype=torch.bool)) for one in parts)
        return stacked(self.encoder, [self.encoder.encode_text(one, normalise=normalise).float() for one in tokens])

    def _of_prepared(self, frames_nchw: Tensor, batch: int, *, normalise: bool) -> Tensor:
        parts = _rows_of(frames_nchw, batch)
        return stacked(
            self.encoder,
            [self.encoder.encode_frames(one.to(self.device), normalise=normalise).float() for one in parts],
        )

    def _of_prepared_videos(self, frames_ntchw: Tensor, batch: int, *, normalise: bool) -> Tensor:
        self._require_prepared(frames_ntchw, 5, "encode_video", "[N, T, 3, S, S]")
        number, times = frames_ntchw.shape[:2]
        if times == 0:
            raise ValueError("encode_video: a video without frames; expected at least one")
        vectors_md = self._of_prepared(frames_ntchw.flatten(0, 1), batch, normalise=True)
        pooled_nd = self.encoder.pool(vectors_md.view(number, times, -1))
        return F.normalize(pooled_nd, dim=-1) if normalise else pooled_nd

    def _require_prepared(self, frames: Tensor, dimensions: int, what: str, expected: str) -> None:
        side = self.preprocess.image_size_px
        fits = frames.ndim == dimensions and frames.shape[-3] == 3
        if not fits or (tuple(frames.shape[-2:]) != (side, side) and not takes_any_size(self.encoder.visual)):
            raise ValueError(
                f"{what}: found {frames.dtype} {list(frames.shape)}; expected float {expected} with S = {side} as "
                "`preprocess` makes it, or uint8 pictures"
            )
        if not bool(torch.isfinite(frames).all()):
            raise ValueError(f"{what}: a value is not finite; expected what `preprocess` makes of uint8 pictures")

    def _require_ids(self, ids_nl: Tensor) -> None:
        longest = self.tokenizer.context_length
        whole = not ids_nl.is_floating_point() and ids_nl.dtype != torch.bool
        if ids_nl.ndim != 2 or not whole or ids_nl.shape[1] > longest:
            raise ValueError(
                f"encode_text: found {ids_nl.dtype} {list(ids_nl.shape)}; expected texts, or their ids [N, L] with "
                f"at most {longest} for each"
            )


def _holds_arrays(given: Any) -> tuple[bool, Any]:
    """Whether numpy's arrays are given, and the same again: the first of a stream is looked at."""
    if isinstance(given, np.ndarray):
        return True, given
    if isinstance(given, Sequence) and not isinstance(given, str):
        return len(given) > 0 and isinstance(given[0], np.ndarray), given
    if isinstance(given, Iterator):
        first = next(given, None)
        return isinstance(first, np.ndarray), [] if first is None else chain([first], given)
    return False, given


def _rows_of(rows: Tensor, batch: int) -> list[Tensor]:
    if batch < 1:
        raise ValueError(f"batch: {batch} given, at least 1 expected")
    return [rows[first : first + batch] for first in range(0, len(rows), batch)]


def _on_host(vectors_nd: Tensor) -> NDArray[np.float32]:
    return np.asarray(vectors_nd.detach().cpu().numpy(), dtype=np.float32)
