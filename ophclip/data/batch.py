"""What the loader hands to the training step.

Shapes: B samples, T frames each, C = 3 channels, H x W pixels, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

Self = TypeVar("Self", bound="Batch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """Texts as a tower takes them: `ids_bl` int64 [B, L] and `mask_bl` bool [B, L], true where a token stands."""

    ids_bl: Tensor
    mask_bl: Tensor
    truncated: int = 0
    """How many of the texts had more tokens than the context and were cut."""

    def to(self, device: torch.device | str) -> Tokens:
        """The same tokens on `device`."""
        return self.mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Tokens:
        """The same tokens with `change` applied to both tensors."""
        return replace(self, ids_bl=change(self.ids_bl), mask_bl=change(self.mask_bl))


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
        return self._mapped(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Self) -> Self:
        """The same batch in page-locked memory, for a copy beside the computation."""
        return self._mapped(Tensor.pin_memory)

    def _mapped(self: Self, change: Callable[[Tensor], Tensor]) -> Self:
        changed: dict[str, Any] = {"tokens": self.tokens.mapped(change)}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                changed[item.name] = change(value)
        return replace(self, **changed)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipBatch(Batch):
    """Clips and the narration spoken over each; `keys` are clip keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoBatch(Batch):
    """Whole videos and the structured title of each; `keys` are video ids."""

    narrated_b: Tensor
    """bool [B]: whether the video is narrated."""
