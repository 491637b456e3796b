"""What the loader hands to the training step.

Shapes: B samples, T frames each, C = 3 channels, H x W pixels, L tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

Self = TypeVar("Self", bound="Batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Texts as a tower takes them: `ids_bl` int64 [B, L] and `mask_bl` bool [B, L], true where a token stands."""

    ids_bl: Tensor
    mask_bl: Tensor

    def to(self, device: torch.device | str) -> Tokens:
        """The same tokens on `device`."""
        return Tokens(
            ids_bl=self.ids_bl.to(device, non_blocking=True), mask_bl=self.mask_bl.to(device, non_blocking=True)
        )

    def pin_memory(self) -> Tokens:
        """The same tokens in page-locked memory, for a copy beside the computation."""
        return Tokens(ids_bl=self.ids_bl.pin_memory(), mask_bl=self.mask_bl.pin_memory())


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Samples of one level, pictures not yet augmented."""

    frames_btchw: Tensor
    """uint8 RGB [B, T, 3, H, W], square, a little larger than the tower's picture (`pictures.stored_side_px`)."""
    tokens: Tokens
    video_index_b: Tensor
    """int64 [B]: equal numbers are samples of one video; the number is the video's place in the corpus."""
    keys: tuple[str, ...]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    def to(self: Self, device: torch.device | str) -> Self:
        """The same batch with its tensors on `device`."""
        return replace(self, **{name: value.to(device, non_blocking=True) for name, value in self._tensors().items()})

    def pin_memory(self: Self) -> Self:
        """The same batch in page-locked memory, for a copy beside the computation."""
        return replace(self, **{name: value.pin_memory() for name, value in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor | Tokens)}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBatch(Batch):
    """Clips and the narration spoken over each; `keys` are clip keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoBatch(Batch):
    """Whole videos and the structured title of each; `keys` are video ids."""

    narrated_b: Tensor
    """bool [B]: whether the video is narrated."""
