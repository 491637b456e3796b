"""The dual encoder: frames and videos on one side, texts on the other, one space between them.

Shapes: B samples, T frames, C = 3 channels, H x W pixels, L tokens, D the width of the common space.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ophclip.data.batch import Tokens
from ophclip.model_options import ModelConfig
from ophclip.models.pooling import build_pooling
from ophclip.models.towers import Tower, build_text_tower, build_visual_tower

MAX_LOGIT_SCALE = 100.0
SIGMOID_SCALE, SIGMOID_BIAS = 10.0, -10.0
"""Where a sigmoid begins: most pairs of a batch do not belong together (Zhai et al. 2023, section 3.2)."""


class DualEncoder(nn.Module):
    """A visual and a text tower with a learned temperature (OphCLIP, arXiv 2411.15421, section 3).

    One that is trained by a sigmoid for each pair has a learned `logit_bias` too, and begins at a scale of its own.
    """

    def __init__(
        self,
        visual: Tower,
        text: Tower,
        pooling: nn.Module,
        *,
        embed_dim: int,
        initial_temperature: float,
        learned_temperature: bool,
        sigmoid: bool = False,
    ) -> None:
        super().__init__()
        self.visual = visual
        self.text = text
        self.pooling = pooling
        self.embed_dim = embed_dim
        scale = torch.tensor(math.log(SIGMOID_SCALE if sigmoid else 1.0 / initial_temperature))
        self.log_logit_scale = nn.Parameter(scale, requires_grad=learned_temperature)
        self.logit_bias = nn.Parameter(torch.tensor(SIGMOID_BIAS)) if sigmoid else None

    @property
    def logit_scale(self) -> Tensor:
        """The factor of cosines (one over the temperature), at most 100."""
        return self.log_logit_scale.clamp(max=math.log(MAX_LOGIT_SCALE)).exp()

    def clamp_logit_scale_(self) -> None:
        """Pull the scale back under 100; called after each optimiser step, so that its gradient never dies."""
        with torch.no_grad():
            self.log_logit_scale.clamp_(max=math.log(MAX_LOGIT_SCALE))

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.log_logit_scale.device

    def encode_frames(self, frames_bchw: Tensor, *, normalise: bool = False) -> Tensor:
        """Normalised float pictures [B, 3, S, S] (see `Preprocess`) -> [B, D]."""
        vectors_bd: Tensor = self.visual(frames_bchw.contiguous(memory_format=torch.channels_last))
        return F.normalize(vectors_bd, dim=-1) if normalise else vectors_bd

    def encode_video(self, frames_btchw: Tensor, *, normalise: bool = False) -> Tensor:
        """Clips or videos [B, T, 3, S, S] -> [B, D]: `pool` of unit frame vectors; of unit length if `normalise`."""
        vectors_nd = self.encode_frames(frames_btchw.flatten(0, 1), normalise=True)
        pooled_bd = self.pool(vectors_nd.view(*frames_btchw.shape[:2], -1))
        return F.normalize(pooled_bd, dim=-1) if normalise else pooled_bd

    def pool(self, vectors_btd: Tensor) -> Tensor:
        """Unit vectors of the frames of clips or videos [B, T, D], in their order -> [B, D].

        Frames are L2-normalised before, so that the same vector comes out of single frames that were encoded apart (an
        index, a window of a zero-shot run). What comes out has no unit length.
        """
        pooled_bd: Tensor = self.pooling(vectors_btd)
        return pooled_bd

    def encode_text(self, tokens: Tokens, *, normalise: bool = False) -> Tensor:
        """Tokens [B, L] -> [B, D]. Padding is recognised by its id, as the towers do themselves."""
        vectors_bd: Tensor = self.text(tokens.ids_bl)
        return F.normalize(vectors_bd, dim=-1) if normalise else vectors_bd

    def forward(self, frames_btchw: Tensor, tokens: Tokens) -> tuple[Tensor, Tensor, Tensor]:
        """Unit vectors of both sides, [B, D] each, and the logit scale."""
        video_bd = self.encode_video(frames_btchw, normalise=True)
        return video_bd, self.encode_text(tokens, normalise=True), self.logit_scale


def build_model(config: ModelConfig, *, pretrained: bool = True, sigmoid: bool = False) -> DualEncoder:
    """Build towers and pooling on the CPU and load the weights that `config` names; `pretrained=False` reads none.

    `sigmoid` makes the model that `loss.contrastive=siglip` trains, which has a bias beside its scale.

    Raises:
        ValueError: one line that names the option or file that is wrong.
    """
    return DualEncoder(
        build_visual_tower(config.visual, config.embed_dim, pretrained=pretrained),
        build_text_tower(config.text, config.embed_dim, pretrained=pretrained),
        build_pooling(config.pooling, config.embed_dim),
        embed_dim=config.embed_dim,
        initial_temperature=config.initial_temperature,
        learned_temperature=config.learned_temperature,
        sigmoid=sigmoid,
    )
