"""The towers as a training step uses them: pictures under a fresh augmentation, vectors in single precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ophclip.data.augment import Augment
from ophclip.data.batch import Batch, Tokens
from ophclip.data.sampler import Part
from ophclip.losses.gather import own_share
from ophclip.models.dual_encoder import DualEncoder
from ophclip.training.chance import generator
from ophclip.training.micro_batches import encode_in_parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoder:
    """Vectors [b, d], not normalised, of what a batch holds; all chance comes from (seed, step, purpose)."""

    model: DualEncoder
    augment: Augment
    seed: int
    samples_at_once: int = 0
    """`trainer.micro_batch`."""
    equal_passes: bool = False
    """Whether all ranks must pass through each tower equally often, also one that has nothing to encode (`fsdp`)."""

    def views(self, batch: Batch, purposes: tuple[str, ...], step: int, part: Part | None = None) -> list[Tensor]:
        """One augmented view of the pictures per purpose, all in one pass through the tower.

        `part` says which of all ranks' samples the batch holds; without it all ranks hold equally many.
        """
        return self._views(batch.frames_btchw, purposes, step, part)

    def frame_views(self, batch: Batch, purposes: tuple[str, ...], step: int) -> list[Tensor]:
        """The same of each frame by itself, under an augmentation of its own [b * frames, d]."""
        return self._views(batch.frames_btchw.flatten(0, 1).unsqueeze(1), purposes, step, None)

    def no_views(self, batch: Batch) -> Tensor:
        """No vector [0, d], out of a pass with gradient over one sample of `batch`."""
        (one_1d,) = self._views(batch.frames_btchw[:1], ("nothing",), 0, Part(first=0, count=1, total=1))
        return one_1d[:0]

    def no_texts(self, batch: Batch) -> Tensor:
        """The same of one of its texts."""
        return self.texts(batch.tokens.mapped(lambda tensor: tensor[:1]))[:0]

    def _views(self, frames_btchw: Tensor, purposes: tuple[str, ...], step: int, part: Part | None) -> list[Tensor]:
        share = own_share()
        mine = part or share.part(len(frames_btchw) * share.ranks)
        views = [self.augment(frames_btchw, generator(self.seed, step, purpose), mine) for purpose in purposes]
        frames = views[0] if len(views) == 1 else torch.cat(views)
        vectors = encode_in_parts(self.model.visual, self.model.encode_video, [frames], self.samples_at_once)
        return list(vectors.float().chunk(len(views)))

    def texts(self, tokens: Tokens) -> Tensor:
        """The texts."""

        def encode(ids_bl: Tensor, mask_bl: Tensor) -> Tensor:
            return self.model.encode_text(Tokens(ids_bl=ids_bl, mask_bl=mask_bl))

        return encode_in_parts(self.model.text, encode, [tokens.ids_bl, tokens.mask_bl], self.samples_at_once).float()


def full_precision(device: torch.device) -> torch.autocast:
    """Losses are computed in single precision, whatever the towers run in."""
    return torch.autocast(device.type, enabled=False)
