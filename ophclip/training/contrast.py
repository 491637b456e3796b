"""The configured contrast between the pictures and the texts of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ophclip.losses.gather import row_numbers
from ophclip.losses.minimal_pairs import Counterparts
from ophclip.losses.pairs import Groups, info_nce_of_pairs, siglip_of_pairs
from ophclip.models.dual_encoder import DualEncoder
from ophclip.objectives import LossConfig
from ophclip.training.chance import text_group


@dataclass(frozen=True, kw_only=True, slots=True)
class PairContrast:
    """InfoNCE, or SigLIP for a model that has a bias, over the pairs of all ranks."""

    model: DualEncoder
    config: LossConfig

    def __call__(
        self,
        visual_bd: Tensor,
        text_bd: Tensor,
        texts: Sequence[str],
        *,
        ignored_group_b: Tensor | None = None,
        counterparts: Counterparts | None = None,
    ) -> Tensor:
        """A scalar; `texts` are the words of `text_bd`; samples of equal `ignored_group_b` are not each other's
        negatives.
        """
        numbers_b = self.text_groups(texts, visual_bd.device)
        if numbers_b is None:
            numbers_b = row_numbers(len(texts), visual_bd.device)
        groups, scale, bias = Groups(numbers_b, ignored_group_b), self.model.logit_scale, self.model.logit_bias
        if bias is None:
            return info_nce_of_pairs(visual_bd, text_bd, scale, groups, counterparts=counterparts)
        return siglip_of_pairs(visual_bd, text_bd, scale, bias, groups, counterparts=counterparts)

    def text_groups(self, texts: Sequence[str], device: torch.device) -> Tensor | None:
        """A number for each text, int64, equal for equal words; None where those are not to share pictures."""
        if not self.config.share_equal_texts:
            return None
        return torch.tensor([text_group(text) for text in texts], dtype=torch.int64, device=device)
